//! The models: the weight of every touch of a journey, as exact integers of which only the proportions matter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use tributary_attributor::settings::{Label, ModelSettings, MultiplierSettings, Settings};
use tributary_proto::Milestone;
use tributary_proto::vocabulary::MILESTONES;

use super::journey::{Journey, body, window_start};
use super::placed::Brought;

const DAY_MS: f64 = 86_400_000.0;
/// Floating-point weights become integers: the largest becomes this.
const LARGEST: f64 = 4_503_599_627_370_496.0;
const MICRO: u128 = 1_000_000;
const WHOLE: u128 = 1_000_000_000;

/// The share of each touch of the journey to `of` under a model, in billionths; `None` if no touch is in its window.
pub fn nanos(
    model: &ModelSettings,
    (of, live): (&Milestone, &[&Milestone]),
    journey: &Journey,
    settings: &Settings,
) -> Option<Vec<u128>> {
    let start = model.window.map_or(i64::MIN, |own| window_start(own, of, live, settings));
    let (narrowed, kept) = journey.of_those(|touch| touch.touch.time_ms >= start);
    if kept.is_empty() {
        return None;
    }
    let mut nanos = vec![0; journey.touches.len()];
    // A channel is on the side of its name; else of the longest pattern that matches; else on the last side, that of all others.
    let side = |touch: &Brought| telling(&model.split, &body(touch).channel).map(|(name, _)| name.clone());
    let mut sides: Vec<(Option<String>, u128)> =
        model.split.iter().map(|(name, part)| (Some(name.clone()), share(*part))).collect();
    sides.push((None, WHOLE - sides.iter().map(|(_, part)| part).sum::<u128>()));
    sides.retain(|(name, _)| narrowed.touches.iter().any(|touch| side(touch) == *name));
    let parts = equal_where_nothing(sides.iter().map(|(_, part)| *part).collect());
    for ((name, _), part) in sides.iter().zip(shares(&parts, WHOLE)) {
        let (alone, places) = narrowed.of_those(|touch| side(touch) == *name);
        for (place, nano) in places.into_iter().zip(shares(&weights(model, of, &alone), part)) {
            if let Some(slot) = kept.get(place).and_then(|at| nanos.get_mut(*at)) {
                *slot = nano;
            }
        }
    }
    Some(nanos)
}

/// The weights of a journey's touches under a model, with its multipliers.
fn weights(model: &ModelSettings, of: &Milestone, journey: &Journey) -> Vec<u128> {
    let own = equal_where_nothing(rule(model, journey));
    let factors = journey.touches.iter().map(|touch| factor(model, of, journey, touch));
    let multiplied: Vec<u128> = own.iter().zip(factors).map(|(weight, factor)| weight * factor).collect();
    if multiplied.iter().all(|weight| *weight == 0) { own } else { multiplied }
}

fn equal_where_nothing(weights: Vec<u128>) -> Vec<u128> {
    if weights.iter().all(|weight| *weight == 0) { vec![1; weights.len()] } else { weights }
}

fn rule(model: &ModelSettings, journey: &Journey) -> Vec<u128> {
    let count = journey.touches.len();
    let all_on = |on: usize| (0..count).map(|at| u128::from(at == on)).collect();
    let last = count.saturating_sub(1);
    match model.rule.as_str() {
        "first_touch" => all_on(0),
        "last_touch" => all_on(last),
        "last_non_direct" => all_on(journey.last_non_direct().unwrap_or(last)),
        "lead_conversion" => all_on(journey.stage("lead").or(journey.first_identified()).unwrap_or(journey.begins)),
        "time_decay" => time_decay(model.half_life_days.unwrap_or(30.0), journey),
        "time_weighted" => time_weighted(model.alpha.unwrap_or(0.5), model.beta.unwrap_or(0.4), journey),
        "position" => position(model, count),
        "staged" | "custom" => staged(model, journey),
        "shapley" => by_channel(&labels(model.label.unwrap_or_default(), journey), |_| Some(1)),
        "markov" => by_channel(&labels(Label::Channel, journey), removal_effect),
        _ => vec![1; count],
    }
}

/// A percentage in billionths.
fn share(percent: f64) -> u128 {
    libm::round(percent * 1e7) as u128
}

fn position(model: &ModelSettings, count: usize) -> Vec<u128> {
    let (first, last) = (share(model.first.unwrap_or(40.0)), share(model.last.unwrap_or(40.0)));
    let middle = share(model.middle.unwrap_or(20.0));
    match count {
        0 | 1 => vec![1; count],
        2 => vec![first, last],
        _ => {
            let between = count as u128 - 2;
            let weight = |at: usize| match at {
                0 => first * between,
                at if at + 1 == count => last * between,
                _ => middle,
            };
            (0..count).map(weight).collect()
        }
    }
}

fn staged(model: &ModelSettings, journey: &Journey) -> Vec<u128> {
    let count = journey.touches.len();
    let place = |at: &str| match at {
        "first" => Some(journey.begins),
        "last" => count.checked_sub(1),
        "close" => journey.close,
        kind => journey.stage(kind),
    };
    // The share of a missing stage goes to the next one present, else to the last one present.
    let mut held: BTreeMap<usize, u128> = BTreeMap::new();
    let (mut folded, mut last_present) = (0, None);
    for anchor in &model.anchors {
        folded += share(anchor.percent);
        if let Some(at) = place(&anchor.at) {
            *held.entry(at).or_default() += std::mem::take(&mut folded);
            last_present = Some(at);
        }
    }
    if let Some(at) = last_present {
        *held.entry(at).or_default() += folded;
    }
    let last_anchor = held.keys().copied().max().unwrap_or(0);
    let middle: Vec<usize> = (journey.begins..last_anchor).filter(|at| !held.contains_key(at)).collect();
    let parts = middle.len().max(1) as u128;
    let weight = |at: usize| match held.get(&at) {
        Some(share) => share * parts,
        None if middle.contains(&at) => share(model.middle.unwrap_or(0.0)),
        None => 0,
    };
    (0..count).map(weight).collect()
}

/// The labels of touches under a model that learns.
fn labels(label: Label, journey: &Journey) -> Vec<String> {
    let name = |touch: &Brought| {
        let body = body(touch);
        match label {
            Label::Campaign if !body.campaign.is_empty() => body.campaign.clone(),
            Label::Campaign => format!("({})", body.channel),
            Label::ChannelSource if !body.source.is_empty() => format!("{}/{}", body.channel, body.source),
            Label::Channel | Label::ChannelSource => body.channel.clone(),
        }
    };
    journey.touches.iter().map(name).collect()
}

/// The removal effect of a channel in the fixed set, billionths; `None` if the set does not have it.
fn removal_effect(channel: &str) -> Option<u128> {
    static SET: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("fixed_set.json")).unwrap_or_default());
    let channels = SET.get("channels")?.as_array()?;
    let at = channels.iter().position(|known| known["channel"] == channel)?;
    SET.get("parameters")?.get("removal_nano")?.get(at)?.as_u64().map(u128::from)
}

/// Every distinct channel has its weight, divided by its number of touches. If all known channels have weight 0, each has 1.
fn by_channel(labels: &[String], weight: impl Fn(&str) -> Option<u128>) -> Vec<u128> {
    let touches = |label: &String| labels.iter().filter(|other| *other == label).count() as u128;
    let all_zero = labels.iter().all(|label| weight(label).unwrap_or(0) == 0);
    let own = |label: &String| weight(label).map_or(0, |weight| if all_zero { 1 } else { weight });
    // A common multiple keeps the parts whole.
    let distinct: BTreeSet<u128> = labels.iter().map(touches).collect();
    let multiple: u128 = distinct.into_iter().product();
    labels.iter().map(|label| own(label) * multiple / touches(label)).collect()
}

fn time_decay(half_life_days: f64, journey: &Journey) -> Vec<u128> {
    let half_life_ms = libm::round(half_life_days * DAY_MS);
    let latest = journey.touches.last().map_or(0, |touch| touch.touch.time_ms);
    if half_life_ms == 0.0 {
        let last = journey.touches.len().saturating_sub(1);
        return (0..journey.touches.len()).map(|at| u128::from(at == last)).collect();
    }
    let weight = |touch: &Brought| libm::exp2(-((latest - touch.touch.time_ms) as f64 / half_life_ms));
    whole(&journey.touches.iter().map(weight).collect::<Vec<_>>())
}

fn time_weighted(alpha: f64, beta: f64, journey: &Journey) -> Vec<u128> {
    let first = journey.touches.first().map_or(0, |touch| touch.touch.time_ms);
    let span = journey.time_ms - first;
    if span <= 0 {
        return vec![1; journey.touches.len()];
    }
    let exponent = |shape: f64| libm::round(shape * 1e6) / 1e6 - 1.0;
    let weight = |touch: &Brought| {
        let u = 0.05 + 0.9 * ((touch.touch.time_ms - first) as f64 / span as f64);
        libm::pow(u, exponent(alpha)) * libm::pow(1.0 - u, exponent(beta))
    };
    whole(&journey.touches.iter().map(weight).collect::<Vec<_>>())
}

fn whole(weights: &[f64]) -> Vec<u128> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    weights.iter().map(|weight| (weight / largest * LARGEST) as u128).collect()
}

/// The product of a touch's multipliers, in millionths.
fn factor(model: &ModelSettings, of: &Milestone, journey: &Journey, touch: &Brought) -> u128 {
    let all = &model.multipliers;
    // In major units; the histories' currencies have two decimal places or none.
    let value = of.value_minor as f64 / if of.currency == "JPY" { 1.0 } else { 100.0 };
    let reached =
        all.deal_size.iter().filter(|size| (size.currency.is_empty() || size.currency == of.currency) && size.from <= value);
    let size = reached.max_by(|a, b| a.from.total_cmp(&b.from)).map(|size| &size.factors);
    let factors = [Some(all), size].into_iter().flatten().flat_map(|factors| factors_of(factors, journey, touch));
    factors.fold(MICRO, |product, factor| product * factor / MICRO)
}

fn factors_of(factors: &MultiplierSettings, journey: &Journey, touch: &Brought) -> Vec<u128> {
    let said = body(touch);
    let named = [
        telling(&factors.role, &touch.home.role),
        telling(&factors.channel, &said.channel),
        telling(&factors.touch_type, &said.touch_type),
        telling(&factors.source, &said.source),
        telling(&factors.campaign, &said.campaign),
    ];
    let reached = factors.stage.iter().filter_map(|(kind, factor)| {
        let moment = journey.moments.get(kind).copied().flatten().filter(|moment| *moment < touch.touch.time_ms)?;
        let place = MILESTONES.iter().position(|term| term.name == kind);
        Some(((moment, place.unwrap_or(MILESTONES.len())), *factor))
    });
    let stage = reached.max_by_key(|(reached, _)| *reached).map(|(_, factor)| factor).or(factors.stage.get("before").copied());
    let all = named.into_iter().flatten().map(|(_, factor)| *factor).chain(stage);
    all.map(|factor| libm::round(factor * 1e6) as u128).collect()
}

/// The value for a name: its own; else that of the longest pattern that matches; else of the first of these.
fn telling<'t>(table: &'t BTreeMap<String, f64>, name: &str) -> Option<(&'t String, &'t f64)> {
    let patterns = table.iter().filter(|(pattern, _)| pattern.contains('*') && matches(pattern, name));
    let longest = patterns.max_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then(b.cmp(a)));
    table.get_key_value(name).or(longest)
}

/// Whether a pattern with `*` matches.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| left.get(at..).is_some_and(|left| matches(rest, left)))
        }),
    }
}

/// `whole` divided in proportion to the weights: rounded down, then one more for the largest remainders, ties to the earlier.
pub fn shares(weights: &[u128], whole: u128) -> Vec<u128> {
    let total: u128 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let mut shares: Vec<u128> = weights.iter().map(|weight| weight * whole / total).collect();
    let missing = whole - shares.iter().sum::<u128>();
    let mut by_remainder: Vec<(u128, usize)> =
        weights.iter().zip(0..).map(|(weight, at)| (weight * whole % total, at)).collect();
    by_remainder.sort_by_key(|(remainder, at)| (std::cmp::Reverse(*remainder), *at));
    for (_, at) in by_remainder.into_iter().take(usize::try_from(missing).unwrap_or(usize::MAX)) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_and_ties_go_to_the_earlier() {
        assert_eq!(shares(&[1, 1, 1], 10), [4, 3, 3]);
        assert_eq!(shares(&[2, 1], 1), [1, 0]);
        assert_eq!(shares(&[0, 5], 7), [0, 7]);
    }
}
