//! Stopped partitions: inputs of which too many records were refused. All other partitions continue.
//!
//! A stopped partition continues when the limits are changed, or when an operator has accepted the refusals: then refusals below the
//! accepted offset do not count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::dead_letter_limit::{DeadLetterLimits, LimitExceeded};
use crate::obstacle::Obstacle;
use crate::topic::Topic;

/// How often it is logged again that a partition is stopped.
const SAY_AGAIN: Duration = Duration::from_mins(5);

/// A partition of one input.
pub(crate) type Place = (Topic, u32);

/// Why a partition is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    /// The number of refusals.
    pub excess: LimitExceeded,
    /// The reason of the last one: a code.
    pub reason: String,
    /// The offset of the record that exceeded the limit.
    pub offset: u64,
    /// The first record that is not committed: where the partition stopped.
    pub first: u64,
    /// The limits under which it was stopped.
    pub limits: DeadLetterLimits,
}

impl Stop {
    /// What has happened, and what to do.
    fn why(&self, (topic, partition): Place) -> String {
        let Self { excess: LimitExceeded { refused, of }, reason, offset, first, .. } = self;
        let name = topic.name();
        format!(
            "{refused} of the last {of} records up to offset {offset} were refused, the last as {reason}. Nothing from offset {first} on is \
             committed; everything else continues. Repair the sender; then run `tributary dead-letters accept {name}/{partition}` to \
             accept the refusals among the present records, or set higher limits in [worker.dead_letters]"
        )
    }
}

/// The stopped partitions of a worker.
#[derive(Debug, Default)]
pub(crate) struct Stops {
    stopped: BTreeMap<Place, (Stop, Option<Instant>)>,
    /// The offset up to which refusals do not count.
    accepted: BTreeMap<Place, u64>,
}

impl Stops {
    /// Stops a partition.
    pub fn add(&mut self, place: Place, stop: Stop) {
        self.stopped.insert(place, (stop, None));
    }

    /// Lets a partition continue.
    pub fn remove(&mut self, place: Place) {
        self.stopped.remove(&place);
    }

    /// The partitions that were stopped, including those now owned by another process.
    pub fn places(&self) -> Vec<Place> {
        self.stopped.keys().copied().collect()
    }

    /// Whether a partition was stopped under other limits.
    pub fn other_limits(&self, place: Place, limits: &DeadLetterLimits) -> bool {
        self.stopped.get(&place).is_some_and(|(stop, _)| stop.limits != *limits)
    }

    /// An operator has accepted the refused records of a partition below `until`; returns whether it may continue.
    pub fn accept(&mut self, place: Place, until: u64) -> bool {
        let Some((stop, _)) = self.stopped.get(&place) else { return false };
        if until <= stop.first || self.accepted.get(&place).is_some_and(|known| until <= *known) {
            return false;
        }
        self.accepted.insert(place, until);
        true
    }

    /// Whether the refusal of a record does not count.
    pub fn is_accepted(&self, place: Place, offset: u64) -> bool {
        self.accepted.get(&place).is_some_and(|until| offset < *until)
    }

    /// Logs, when it is time, that a partition is stopped, and what to do.
    pub fn say(&mut self, stage: &'static str, place: Place) {
        let Some((stop, said)) = self.stopped.get_mut(&place) else { return };
        if said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
            *said = Some(Instant::now());
            let (topic, partition) = (place.0.name(), place.1);
            let (offset, reason) = (stop.first, &stop.reason);
            tracing::error!(stage, topic, partition, offset, reason, "{topic}/{partition} is stopped: {}", stop.why(place));
        }
    }

    /// The obstacle of a stopped partition, for health checks.
    pub fn obstacle(&self, place: Place) -> Option<Obstacle> {
        let (stop, _) = self.stopped.get(&place)?;
        Some(Obstacle::Stopped { topic: place.0, partition: place.1, why: stop.why(place) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (Topic::Offline, 3);

    fn stopped() -> Stops {
        let mut stops = Stops::default();
        let excess = LimitExceeded { refused: 20, of: 20 };
        stops.add(
            PLACE,
            Stop { excess, reason: "json_malformed".into(), offset: 119, first: 107, limits: DeadLetterLimits::default() },
        );
        stops
    }

    #[test]
    fn a_stopped_input_is_described_with_what_to_do() {
        let Some(Obstacle::Stopped { topic, partition, why }) = stopped().obstacle(PLACE) else { panic!("it is stopped") };
        assert_eq!((topic, partition), PLACE);
        for part in [
            "offset 119",
            "20 of the last 20 records",
            "json_malformed",
            "offset 107",
            "accept offline/3",
            "[worker.dead_letters]",
        ] {
            assert!(why.contains(part), "{why}");
        }
    }

    #[test]
    fn an_acceptance_counts_once_and_only_beyond_the_position() {
        let mut stops = stopped();
        assert!(!stops.accept(PLACE, 107), "it stands there already");
        assert!(stops.accept(PLACE, 150));
        assert!(stops.is_accepted(PLACE, 149) && !stops.is_accepted(PLACE, 150));
        assert!(!stops.accept(PLACE, 150), "stopped again behind it, it stays");
        assert!(stops.accept(PLACE, 200));
        assert!(!stops.accept((Topic::Sdk, 3), 150), "it is not stopped");
    }

    #[test]
    fn other_limits_are_seen() {
        assert!(!stopped().other_limits(PLACE, &DeadLetterLimits::default()));
        assert!(stopped().other_limits(PLACE, &DeadLetterLimits::NONE));
    }
}
