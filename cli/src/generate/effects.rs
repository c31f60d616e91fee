//! Histories in which the causal effect of each channel is known.
//!
//! A touch raises the chance to convert on every day after it, by an amount that halves in [`HALF_LIFE_DAYS`]. The true effect of a channel
//! is the drop in expected conversions when its touches are taken out while the others stay; its share is its part of the sum over the
//! channels. None of the models has this form: people convert by a hazard over time, not by a walk over their touches, a regression on the
//! channels present, or a rule.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::draw::Draw;
use super::scene::Moment;

/// Days from the first touch to the last.
pub const DAYS: usize = 180;
/// Days in which an effect halves.
pub const HALF_LIFE_DAYS: f64 = 30.0;
/// The kind of milestone of people who convert.
pub const TARGET: &str = "closed_won";
/// The beginning of the first day: 2024-01-01 in the senders' time zone.
const BEGIN_MS: i64 = 1_704_038_400_000;
const DAY_MS: i64 = 86_400_000;
/// Time between two touches of a day, milliseconds.
const STEP_MS: i64 = 60_000;

/// The planted properties of a channel.
struct Channel {
    name: &'static str,
    /// Touches of a person per year, on average.
    rate: f64,
    /// What a touch adds to the chance to convert on the next day, in thousandths.
    effect: f64,
    /// How much more often interested people have it.
    pull: f64,
}

const COUNT: usize = 8;

const CHANNELS: [Channel; COUNT] = [
    Channel { name: "content", rate: 1.0, effect: 0.25, pull: 0.0 },
    Channel { name: "direct", rate: 1.6, effect: 0.0, pull: 1.0 },
    Channel { name: "display", rate: 1.2, effect: 0.05, pull: 0.0 },
    Channel { name: "email", rate: 0.9, effect: 0.2, pull: 0.0 },
    Channel { name: "event", rate: 0.3, effect: 1.0, pull: 0.0 },
    Channel { name: "retargeting", rate: 0.7, effect: 0.1, pull: 1.5 },
    Channel { name: "paid_search", rate: 1.1, effect: 0.4, pull: 0.5 },
    Channel { name: "webinar", rate: 0.4, effect: 0.8, pull: 0.0 },
];
const CONTENT: usize = 0;
const EMAIL: usize = 3;
const EVENT: usize = 4;
const WEBINAR: usize = 7;

/// How the effects of several touches combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Effects {
    /// They add up.
    Additive,
    /// Content and webinars do little alone and much together.
    Interacting,
    /// Each further touch adds less.
    Saturating,
    /// An event works only after email.
    Ordered,
    /// They add up, and people who are interested anyway convert more often and see more of some channels.
    Confounded,
}

impl Effects {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Additive, Self::Interacting, Self::Saturating, Self::Ordered, Self::Confounded];
}

/// The true effect of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The channel.
    pub channel: String,
    /// How many fewer people are expected to convert without it.
    pub lost: f64,
    /// Its share of the sum over all channels.
    pub share: f64,
}

/// The truth about a history, which reports never read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planted {
    /// How effects combine.
    pub effects: Effects,
    /// The number of people.
    pub people: u64,
    /// How many of them converted.
    pub converted: u64,
    /// The kind of milestone that they reached.
    pub target: String,
    /// The true effect of each channel.
    pub channels: Vec<Done>,
}

/// A touch: day, and position of the channel.
type Touch = (usize, usize);

/// Generates a history. `record` is called with every record (native ones), person by person. The same arguments give the same bytes on
/// every machine.
///
/// # Errors
/// Errors of `record`.
pub fn invent<E>(
    effects: Effects,
    people: u64,
    seed: u64,
    record: &mut dyn FnMut(&serde_json::Value) -> Result<(), E>,
) -> Result<Planted, E> {
    let mut lost = [0.0; COUNT];
    let mut converted = 0;
    for person in 0..people {
        let mut draw = Draw::new(seed, person);
        let interest = unit(&mut draw);
        let touches = touches(effects, interest, &mut draw);
        let whole = staying(effects, interest, &touches, None);
        for (channel, lost) in lost.iter_mut().enumerate() {
            if touches.iter().any(|(_, other)| *other == channel) {
                *lost += end(&staying(effects, interest, &touches, Some(channel))) - end(&whole);
            }
        }
        let luck = unit(&mut draw);
        let won = whole.iter().position(|staying| *staying < luck);
        converted += u64::from(won.is_some());
        say(person, &touches, won, record)?;
    }
    let sum: f64 = lost.iter().sum();
    let done = |(channel, lost): (&Channel, &f64)| Done { channel: channel.name.to_owned(), lost: *lost, share: lost / sum };
    let channels = CHANNELS.iter().zip(&lost).map(done).collect();
    Ok(Planted { effects, people, converted, target: TARGET.to_owned(), channels })
}

/// A number from 0 to 1.
fn unit(draw: &mut Draw) -> f64 {
    let high = u64::from(draw.bits()) << 21;
    (high ^ u64::from(draw.bits() >> 11)) as f64 / (1_u64 << 53) as f64
}

/// The touches of a person, by day.
fn touches(effects: Effects, interest: f64, draw: &mut Draw) -> Vec<Touch> {
    let mut touches = Vec::new();
    for (at, Channel { rate, pull, .. }) in CHANNELS.iter().enumerate() {
        let pull = if effects == Effects::Confounded { 1.0 + pull * (4.0 * interest - 1.0) } else { 1.0 };
        let chance = rate * pull.max(0.1) / 365.0;
        touches.extend((0..DAYS).filter(|_| unit(draw) < chance).map(|day| (day, at)));
    }
    touches.sort_by_key(|(day, _)| *day);
    touches
}

/// The probability of not having converted by the end of each day, with these touches, except those of the channel `without`.
fn staying(effects: Effects, interest: f64, touches: &[Touch], without: Option<usize>) -> Vec<f64> {
    let mut active = [0.0_f64; COUNT];
    let (mut mailed, mut staying, mut all) = (false, 1.0, Vec::with_capacity(DAYS));
    let mut next = touches.iter().filter(|(_, channel)| Some(*channel) != without).peekable();
    let fading = libm::pow(0.5, 1.0 / HALF_LIFE_DAYS);
    for day in 0..DAYS {
        active.iter_mut().for_each(|effect| *effect *= fading);
        while let Some((_, at)) = next.next_if(|(at, _)| *at <= day) {
            let works = effects != Effects::Ordered || *at != EVENT || mailed;
            if let (true, Some(effect), Some(channel)) = (works, active.get_mut(*at), CHANNELS.get(*at)) {
                *effect += channel.effect;
            }
            mailed |= *at == EMAIL;
        }
        let base = if effects == Effects::Confounded { 0.12 * interest } else { 0.03 };
        staying *= 1.0 - (base + together(effects, &active)) / 1_000.0;
        all.push(staying);
    }
    all
}

/// The combined effect of all channels on a day, in thousandths.
fn together(effects: Effects, active: &[f64; COUNT]) -> f64 {
    let sum: f64 = active.iter().sum();
    let of = |at: usize| active.get(at).copied().unwrap_or_default();
    match effects {
        Effects::Additive | Effects::Ordered | Effects::Confounded => sum,
        Effects::Interacting => sum - 0.7 * (of(CONTENT) + of(WEBINAR)) + 6.0 * libm::sqrt(of(CONTENT) * of(WEBINAR)),
        Effects::Saturating => 0.6 * (1.0 - libm::exp(-sum / 0.6)),
    }
}

fn end(staying: &[f64]) -> f64 {
    staying.last().copied().unwrap_or(1.0)
}

/// Writes the records of a person: touches up to the day of conversion, and the milestone at the end of that day.
fn say<E>(
    person: u64,
    touches: &[Touch],
    won: Option<usize>,
    record: &mut dyn FnMut(&serde_json::Value) -> Result<(), E>,
) -> Result<(), E> {
    let user = format!("person-{person}");
    let seen = touches.iter().filter(|(day, _)| won.is_none_or(|won| *day <= won));
    for (serial, (day, at)) in seen.enumerate() {
        let channel = CHANNELS.get(*at).map_or("direct", |channel| channel.name);
        let at_ms = begin_of(*day) + (serial as i64 + 1) * STEP_MS;
        record(&json!({
            "event_id": format!("{user}-{serial}"), "timestamp": Moment::Rfc3339(at_ms), "user_id": user, "channel": channel,
        }))?;
    }
    let Some(day) = won else { return Ok(()) };
    record(&json!({
        "kind": "milestone", "milestone": TARGET, "object_id": user, "event_id": format!("{user}-won"),
        "timestamp": Moment::Rfc3339(begin_of(day + 1) - 1), "user_id": user, "value": "1000", "currency": "CNY",
    }))
}

fn begin_of(day: usize) -> i64 {
    BEGIN_MS + day as i64 * DAY_MS
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn history(effects: Effects, seed: u64) -> (Planted, Vec<serde_json::Value>) {
        let mut records = Vec::new();
        let planted = invent::<Infallible>(effects, 400, seed, &mut |record| {
            records.push(record.clone());
            Ok(())
        });
        (planted.unwrap(), records)
    }

    #[test]
    fn the_same_seed_gives_the_same_history() {
        for effects in Effects::ALL {
            assert_eq!(history(effects, 3), history(effects, 3));
            assert_ne!(history(effects, 3).1, history(effects, 4).1);
        }
    }

    #[test]
    fn what_does_nothing_has_done_nothing_and_shares_are_the_whole() {
        for effects in Effects::ALL {
            let (planted, records) = history(effects, 7);
            let share: f64 = planted.channels.iter().map(|done| done.share).sum();
            assert!((share - 1.0).abs() < 1e-9, "{effects:?}: {share}");
            let direct = planted.channels.iter().find(|done| done.channel == "direct").unwrap();
            assert_eq!(direct.lost, 0.0, "{effects:?}");
            let won = records.iter().filter(|record| record["kind"] == "milestone").count();
            assert_eq!(won as u64, planted.converted, "{effects:?}");
        }
    }

    #[test]
    fn effects_add_up_and_two_that_need_each_other_do_not() {
        // On the day after both touches of a history.
        let touches = [(0, CONTENT), (0, WEBINAR)];
        let drop = |effects, without| {
            let day = |without| *staying(effects, 0.0, &touches, without).first().unwrap();
            day(without) - day(None)
        };
        let added = drop(Effects::Additive, Some(CONTENT)) + drop(Effects::Additive, Some(WEBINAR));
        assert!((added - 0.001_05).abs() < 1e-6, "{added}");
        assert!(drop(Effects::Interacting, Some(CONTENT)) > 4.0 * drop(Effects::Additive, Some(CONTENT)));
    }
}
