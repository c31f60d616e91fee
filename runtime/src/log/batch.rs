//! A batch of records in one buffer: no allocation a record.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::stage::Record;
use crate::topic::Topic;
use crate::trace::TraceContext;

struct Entry {
    topic: Topic,
    partition: u32,
    offset: u64,
    timestamp_ms: i64,
    key: Range<usize>,
    value: Range<usize>,
}

/// Records as they were read, in order.
#[derive(Default)]
pub struct Batch {
    data: Vec<u8>,
    entries: Vec<Entry>,
    /// The contexts of traced records, by topic, partition and offset.
    traces: BTreeMap<(Topic, u32, u64), TraceContext>,
}

impl Batch {
    /// The record at this place is traced.
    pub fn trace(&mut self, topic: Topic, partition: u32, offset: u64, context: TraceContext) {
        self.traces.insert((topic, partition, offset), context);
    }

    /// The context of a record; `None` where it is not traced.
    pub fn context(&self, record: &Record<'_>) -> Option<TraceContext> {
        self.traces.get(&(record.topic, record.partition, record.offset)).copied()
    }

    /// Appends a copy of a record.
    pub fn push(&mut self, record: &Record<'_>) {
        let start = self.data.len();
        self.data.extend_from_slice(record.key);
        let middle = self.data.len();
        self.data.extend_from_slice(record.value);
        self.entries.push(Entry {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: start..middle,
            value: middle..self.data.len(),
        });
    }

    /// The records, in the order in which they were appended.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.entries.iter().map(|entry| Record {
            topic: entry.topic,
            partition: entry.partition,
            offset: entry.offset,
            timestamp_ms: entry.timestamp_ms,
            key: self.data.get(entry.key.clone()).unwrap_or_default(),
            value: self.data.get(entry.value.clone()).unwrap_or_default(),
        })
    }

    /// Takes out the records of a partition that is no longer owned.
    pub fn drop_partition(&mut self, partition: u32) {
        self.entries.retain(|entry| entry.partition != partition);
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Forgets the records, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.entries.clear();
        self.traces.clear();
    }
}
