//! How many records of a topic are newer than what was read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Message, Offset, TopicPartitionList};
use tributary_runtime::kafka::ConnectionErrors;

use crate::source::{SourceError, WAIT};

/// Up to this many offsets are read one by one, to tell records from the markers that end transactions, which have offsets, too.
const LOOKED_AT_MAX: i64 = 20_000;
/// Longest time for reading them.
const LOOK: Duration = Duration::from_secs(10);
/// Timeout of a request to a broker.
const ASK: Duration = Duration::from_secs(5);

/// A number of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer {
    /// The number.
    pub records: u64,
    /// Whether it is exact; if not, it is an upper limit.
    pub exact: bool,
}

impl Newer {
    /// No records.
    pub const NONE: Self = Self { records: 0, exact: true };

    /// The sum of both.
    pub fn and(self, other: Self) -> Self {
        Self { records: self.records + other.records, exact: self.exact && other.exact }
    }
}

/// The number of committed records in each partition of the topic `name` from this offset on (`None`: from the beginning). The consumer
/// must read committed records only.
///
/// # Errors
/// When the brokers do not answer.
pub fn count(
    consumer: &BaseConsumer<ConnectionErrors>,
    name: &str,
    from: &BTreeMap<u32, Option<u64>>,
) -> Result<BTreeMap<u32, Newer>, SourceError> {
    let read = |source| SourceError::Read { topic: name.to_owned(), source };
    let (mut counted, mut list, mut ends) = (BTreeMap::new(), TopicPartitionList::new(), BTreeMap::new());
    for (partition, next) in from {
        let at = i32::try_from(*partition).unwrap_or(i32::MAX);
        let (first, end) = consumer.fetch_watermarks(name, at, ASK).map_err(read)?;
        let next = next.map_or(first, |next| i64::try_from(next).unwrap_or(i64::MAX)).max(first);
        let gap = end.saturating_sub(next).max(0);
        counted.insert(*partition, Newer { records: gap.unsigned_abs(), exact: gap == 0 });
        if (1..=LOOKED_AT_MAX).contains(&gap) {
            list.add_partition_offset(name, at, Offset::Offset(next)).map_err(read)?;
            ends.insert(at, end);
        }
    }
    for (partition, records) in records_up_to(consumer, &list, &ends).map_err(read)? {
        counted.insert(partition, Newer { records, exact: true });
    }
    Ok(counted)
}

/// Reads partitions up to these ends; for those read in time, the number of records.
fn records_up_to(
    consumer: &BaseConsumer<ConnectionErrors>,
    list: &TopicPartitionList,
    ends: &BTreeMap<i32, i64>,
) -> KafkaResult<BTreeMap<u32, u64>> {
    let mut records: BTreeMap<i32, u64> = ends.keys().map(|at| (*at, 0)).collect();
    let mut open: BTreeSet<i32> = ends.keys().copied().collect();
    let begun = Instant::now();
    if !open.is_empty() {
        consumer.assign(list)?;
    }
    while !open.is_empty() && begun.elapsed() < LOOK {
        match consumer.poll(WAIT) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(at))) => drop(open.remove(&at)),
            Some(Err(error)) => return Err(error),
            Some(Ok(message)) => {
                let (at, end) = (message.partition(), ends.get(&message.partition()).copied().unwrap_or(0));
                if message.offset() >= end - 1 {
                    open.remove(&at);
                }
                if message.offset() < end {
                    *records.entry(at).or_default() += 1;
                }
            }
        }
    }
    let done = records.into_iter().filter(|(at, _)| !open.contains(at));
    Ok(done.map(|(at, count)| (at.unsigned_abs(), count)).collect())
}
