//! Lag of the inputs, and open transactions that block readers: as far as the consumer's statistics tell.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::statistics::{Partition, Statistics};

use super::KafkaSession;
use crate::exactly_once::Phase;
use crate::fresh::Place;
use crate::kafka::context::Noted;
use crate::kafka::reach::answers;
use crate::metrics::{CONSUMER_LAG_RECORDS, HELD_UP_SECONDS};
use crate::topic::Topic;

/// How long statistics are published after they were taken; the next ones come after 5 s.
const FRESH: Duration = Duration::from_secs(12);
/// How often it is logged that a transaction hangs.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// Open transactions, by input and partition.
pub(in crate::kafka) type HeldUps = BTreeMap<(Topic, u32), HeldUp>;

/// An open transaction.
pub(in crate::kafka) struct HeldUp {
    /// Its first offset.
    offset: i64,
    /// Since when it is the first one.
    since: Instant,
    /// When it was last logged.
    said: Option<Instant>,
}

impl KafkaSession {
    /// Publishes the lag of the owned partitions, from the latest statistics. Statistics describe the past: records processed since then
    /// are not in them.
    pub(in crate::kafka) fn publish_lag(&mut self) {
        let Some(consumer) = self.consumer.as_ref() else { return };
        let Some(Noted { statistics, taken }) = consumer.context().take_statistics() else { return };
        let until = taken + FRESH;
        if self.options.reach.is_away() || until <= Instant::now() {
            return;
        }
        let hanging = 2 * Duration::from_millis(self.options.transaction_timeout_ms);
        for (number, owned) in self.owned.iter() {
            for (topic, name) in &self.inputs {
                let place = Place { stage: self.log.stage, topic: *topic, partition: number };
                let found = i32::try_from(number).ok().and_then(|at| statistics.topics.get(name)?.partitions.get(&at));
                // Statistics from before the partition was last started count records that will be read again.
                let begun = self.since.get(&number).is_some_and(|since| *since < taken);
                let fetched = begun && owned.phase == Phase::Ready && !self.stands_still(*topic, number);
                let known = found.filter(|partition| fetched && is_fetched(partition, &statistics));
                let (committed, next) = (owned.committed.next.get(topic).copied(), owned.next(*topic));
                let lag = known.and_then(|partition| lag(partition, committed, next));
                self.options.gauges.set(&CONSUMER_LAG_RECORDS, place, lag.map(|records| records as f64), until);
                let open = known.map(|partition| watch_stable(&mut self.held_ups, (*topic, number), partition));
                self.options.gauges.set(&HELD_UP_SECONDS, place, open.map(|since| since.as_secs_f64()), until);
                if let Some(offset) = self.held_ups.get_mut(&(*topic, number)).and_then(|open| open.hangs(hanging)) {
                    say_hangs(self.log.stage, name, number, offset);
                }
            }
        }
    }

    /// The partition was revoked: removes its values.
    pub(in crate::kafka) fn forget_lag(&mut self, partition: u32) {
        self.held_ups.retain(|(_, number), _| *number != partition);
        self.options.gauges.forget(self.log.stage, partition);
    }
}

/// Whether a partition is being fetched: its end is known only then.
fn is_fetched(partition: &Partition, statistics: &Statistics) -> bool {
    let from = statistics.brokers.values().find(|broker| broker.nodeid == partition.broker && broker.source != "logical");
    partition.fetch_state == "active" && from.is_some_and(answers)
}

/// The number of committed records of a partition that are not processed yet. Those up to `committed` are processed, those up to `next`
/// were delivered; `None` while unknown. Control records count, too, while records are left.
fn lag(of: &Partition, committed: Option<u64>, next: Option<u64>) -> Option<u64> {
    let end = u64::try_from(of.ls_offset).ok()?;
    // If nothing was ever committed, it begins with the first record that exists.
    let done = committed.or_else(|| u64::try_from(of.lo_offset).ok())?;
    // More was processed since the statistics were taken.
    let left = end.checked_sub(done)?;
    // Control records, which end transactions, have offsets but are not delivered. If the client has fetched everything up to the end (its
    // position skips them, too) and what it delivered is processed, nothing is left.
    let passed_all = of.next_offset >= of.ls_offset && of.app_offset >= of.ls_offset && of.fetchq_cnt == 0;
    let handled_all = next.is_none_or(|next| next <= done);
    Some(if passed_all && handled_all { 0 } else { left })
}

/// Readers see nothing beyond the first open transaction. Returns for how long that has been the case.
fn watch_stable(open: &mut HeldUps, place: (Topic, u32), partition: &Partition) -> Duration {
    let first = partition.ls_offset;
    if first >= partition.hi_offset || first < 0 {
        open.remove(&place);
        return Duration::ZERO;
    }
    let new = || HeldUp { offset: first, since: Instant::now(), said: None };
    let held_up = open.entry(place).or_insert_with(new);
    if held_up.offset != first {
        *held_up = new();
    }
    held_up.since.elapsed()
}

impl HeldUp {
    /// The offset at which a transaction hangs, if that is to be logged now. A transaction open for longer than `hanging` is not a
    /// worker's: the brokers would have aborted it.
    fn hangs(&mut self, hanging: Duration) -> Option<i64> {
        let due = self.since.elapsed() > hanging && self.said.is_none_or(|said| said.elapsed() > SAY_AGAIN);
        due.then(|| {
            self.said = Some(Instant::now());
            self.offset
        })
    }
}

fn say_hangs(stage: &str, name: &str, number: u32, offset: i64) {
    tracing::warn!(
        stage,
        "a transaction is open in {name}/{number} since offset {offset} and holds up its readers: if `kafka-transactions.sh find-hanging` \
         lists it, end it with `kafka-transactions.sh abort --topic {name} --partition {number} --start-offset {offset}`"
    );
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    /// librdkafka's number for an unknown offset.
    const INVALID: i64 = -1_001;

    /// A partition that was read to its end at 11: ten records and a control record.
    fn read() -> Partition {
        Partition {
            fetch_state: "active".into(),
            lo_offset: 0,
            hi_offset: 11,
            ls_offset: 11,
            next_offset: 11,
            app_offset: 11,
            ..Partition::default()
        }
    }

    #[test]
    fn lag_is_zero_when_all_was_fetched_delivered_and_committed() {
        assert_eq!(lag(&read(), Some(10), Some(10)), Some(0), "only the control record is left");
        assert_eq!(lag(&read(), Some(10), None), Some(0), "nothing came since the partition was begun");
        let empty = Partition { hi_offset: 0, ls_offset: 0, next_offset: 0, app_offset: INVALID, ..read() };
        assert_eq!(lag(&empty, None, None), Some(0), "there never was a record");
        let expired = Partition { lo_offset: 11, app_offset: INVALID, ..read() };
        assert_eq!(lag(&expired, None, None), Some(0), "there is none any more");
    }

    #[test]
    fn lag_remains_until_records_are_committed() {
        assert_eq!(lag(&read(), Some(4), Some(10)), Some(7), "handed out, not committed");
        assert_eq!(
            lag(&Partition { next_offset: 4, ..read() }, Some(4), Some(4)),
            Some(7),
            "handed out once, and gone back from"
        );
        assert_eq!(
            lag(&Partition { app_offset: 10, ..read() }, Some(10), Some(10)),
            Some(1),
            "the control record is not passed yet"
        );
        assert_eq!(
            lag(&Partition { fetchq_cnt: 3, app_offset: 7, ..read() }, Some(7), Some(7)),
            Some(4),
            "waiting to be handed out"
        );
        assert_eq!(lag(&Partition { next_offset: 7, app_offset: 7, ..read() }, Some(7), Some(7)), Some(4), "not fetched");
        assert_eq!(lag(&Partition { next_offset: INVALID, app_offset: INVALID, ..read() }, Some(10), None), Some(1));
        let unread = Partition { next_offset: 3, app_offset: INVALID, lo_offset: 3, ..read() };
        assert_eq!(lag(&unread, None, None), Some(8), "nothing was ever committed");
        let held_up = Partition { hi_offset: 99, ..read() };
        assert_eq!(
            lag(&held_up, Some(10), Some(10)),
            Some(0),
            "what an open transaction holds up cannot be read: it is told apart"
        );
    }

    #[test]
    fn an_unknown_lag_is_not_reported() {
        assert_eq!(lag(&Partition { ls_offset: INVALID, ..read() }, Some(10), Some(10)), None, "nothing was fetched yet");
        assert_eq!(lag(&read(), Some(12), Some(12)), None, "more was done than the statistics know of");
        let fetched = |partition: &Partition, broker: Broker| {
            is_fetched(partition, &Statistics { brokers: [("b".to_owned(), broker)].into(), ..Statistics::default() })
        };
        let broker = Broker { nodeid: 1, source: "learned".into(), state: "UP".into(), ..Broker::default() };
        let partition = Partition { broker: 1, ..read() };
        assert!(fetched(&partition, broker.clone()));
        assert!(!fetched(&partition, Broker { state: "DOWN".into(), ..broker.clone() }));
        assert!(!fetched(&Partition { broker: -1, ..partition.clone() }, broker.clone()), "no broker leads it");
        assert!(!fetched(&Partition { fetch_state: "offset-query".into(), ..partition }, broker));
    }
}
