//! `apriori`: rules of the form "journeys with these channels convert".

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Learnt, Names, Parameters, part};
use crate::paths::{ChannelId, Outcomes};
use crate::sets::{Sets, nano_positive, rate};

/// The most channels of a rule.
const CHANNELS_MAX: usize = 4;
/// Minimum support of a rule: one in this many journeys has its channels and converts.
const SUPPORT_PER: u128 = 1_000;

type Counts = BTreeMap<Vec<ChannelId>, Outcomes>;

pub fn fit(sets: &Sets<'_>) -> Parameters {
    let total = sets.total();
    let supported = |outcomes: Outcomes| {
        outcomes.converting > 0 && u128::from(outcomes.converting) * SUPPORT_PER >= u128::from(total.journeys())
    };
    let mut rules = Vec::new();
    let mut shorter: Counts = Counts::new();
    for length in 1..=CHANNELS_MAX {
        let mut counts = Counts::new();
        let frequent: BTreeSet<ChannelId> = shorter.keys().flatten().copied().collect();
        let mut left = Vec::new();
        for (set, outcomes) in &sets.rows {
            left.clear();
            left.extend(set.iter().filter(|channel| length == 1 || frequent.contains(channel)));
            extend(&left, length, &mut Vec::new(), &shorter, &mut |chosen| count(&mut counts, chosen, *outcomes));
        }
        counts.retain(|_, outcomes| supported(*outcomes));
        rules.extend(counts.iter().map(|(channels, outcomes)| rule(channels, *outcomes, total)));
        shorter = counts;
    }
    rules.sort_by(|a, b| {
        let key = |rule: &Rule| (Reverse(rule.confidence_nano), Reverse(rule.lift_nano));
        key(a).cmp(&key(b)).then_with(|| a.channels.cmp(&b.channels))
    });
    Parameters::Apriori { rules }
}

fn count(counts: &mut Counts, chosen: &[ChannelId], outcomes: Outcomes) {
    match counts.get_mut(chosen) {
        Some(known) => known.add(outcomes),
        None => {
            counts.insert(chosen.to_vec(), outcomes);
        }
    }
}

/// Every set of `length` channels whose first `length - 1` are one of `shorter`: all others have too little support.
fn extend(
    set: &[ChannelId],
    length: usize,
    chosen: &mut Vec<ChannelId>,
    shorter: &Counts,
    found: &mut impl FnMut(&[ChannelId]),
) {
    if chosen.len() == length {
        return found(chosen);
    }
    if chosen.len() + 1 == length && length > 1 && !shorter.contains_key(chosen) {
        return;
    }
    let mut rest = set;
    while let Some((first, others)) = rest.split_first() {
        chosen.push(*first);
        extend(others, length, chosen, shorter, found);
        chosen.pop();
        rest = others;
    }
}

fn rule(channels: &[ChannelId], outcomes: Outcomes, total: Outcomes) -> Rule {
    let confidence = rate(outcomes);
    Rule {
        channels: channels.to_vec(),
        journeys: outcomes.journeys(),
        converting: outcomes.converting,
        confidence_nano: nano_positive(confidence),
        lift_nano: nano_positive(confidence / rate(total)),
    }
}

/// Journeys with all these channels convert at this rate (confidence), and this many times as often as all (lift).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rule {
    pub channels: Vec<ChannelId>,
    pub journeys: u64,
    pub converting: u64,
    pub confidence_nano: u64,
    pub lift_nano: u64,
}

/// 1, 2, 3 and 4 divide it: so each channel of a rule gets a whole number.
const RULE_PARTS: u128 = 12;

/// The rules, by their first channel.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Vec<Rule>>);

impl Rules {
    pub fn new(rules: &[Rule], channels: usize) -> Self {
        let mut by_first = vec![Vec::new(); channels];
        for rule in rules {
            if let Some(list) = rule.channels.first().and_then(|first| by_first.get_mut(usize::from(*first))) {
                list.push(rule.clone());
            }
        }
        Self(by_first)
    }
}

impl Learnt for Rules {
    fn weights(&self, set: &[ChannelId]) -> Vec<u128> {
        let weight = |channel: &ChannelId| -> u128 {
            let own = matching(&self.0, set).filter(|rule| rule.channels.contains(channel));
            own.map(strength).fold(0, u128::saturating_add)
        };
        set.iter().map(weight).collect()
    }

    fn why(&self, set: &[ChannelId], of: ChannelId, name: &Names<'_>) -> String {
        let rules = matching(&self.0, set).filter(|rule| rule.channels.contains(&of));
        let word = |rule: &Rule| {
            let names: Vec<&str> = rule.channels.iter().map(|channel| name(*channel)).collect();
            format!("{} (confidence {}, lift {})", names.join(" + "), part(rule.confidence_nano), part(rule.lift_nano))
        };
        format!("rules: {}", rules.map(word).collect::<Vec<_>>().join(", "))
    }
}

/// The rules whose channels a journey has.
fn matching<'a>(by_first: &'a [Vec<Rule>], set: &'a [ChannelId]) -> impl Iterator<Item = &'a Rule> {
    let beginning = set.iter().filter_map(|first| by_first.get(usize::from(*first))).flatten();
    beginning.filter(|rule| rule.channels.iter().all(|channel| set.binary_search(channel).is_ok()))
}

/// The weight a rule gives: confidence times lift, divided equally among its channels.
fn strength(rule: &Rule) -> u128 {
    let product = u128::from(rule.confidence_nano).saturating_mul(u128::from(rule.lift_nano));
    product.saturating_mul(RULE_PARTS / (rule.channels.len() as u128).max(1))
}
