//! Compaction of topics that keep only the latest record of a key, like Kafka's log cleaner.
//!
//! Each record is visited once, in order, behind the writers. An index in `meta` has the latest record of every key; an older one is
//! deleted in the batch that indexes a later one. A tombstone stays for `topics.tombstone_retention_days` after it was visited, for readers
//! with a backlog; so does the `erased` row before it. Offsets do not change: a deleted record leaves a gap.

use std::collections::HashMap;

use rocksdb::WriteBatch;
use tributary_proto::Hash128;

use super::inner::Inner;
use super::notes::{Latest, Tombstone};
use super::{EmbeddedError, RECORDS, keys};
use crate::topic::Topic;

/// The compacted topics of the embedded log, which has no changelogs.
fn compacted() -> impl Iterator<Item = Topic> {
    Topic::public().filter(|topic| topic.compacted())
}

/// The parts of a record that compaction needs.
struct Looked {
    offset: u64,
    key: Hash128,
    tombstone: bool,
    /// Whether it is a row marked `erased`, which a tombstone follows.
    erased: bool,
}

/// The changes of one step in one partition.
struct Step<'a> {
    inner: &'a Inner,
    topic: Topic,
    at: u32,
    now_ms: i64,
    batch: WriteBatch,
    /// The latest records of the keys seen in this step.
    latest: HashMap<Hash128, Option<Latest>>,
    /// By offset, whether a row is marked `erased`.
    erased: HashMap<u64, bool>,
    /// The first and the last deleted offset.
    deleted: Option<(u64, u64)>,
}

impl Inner {
    /// Compacts at most `max` records of each partition; returns how many were read.
    pub(super) fn compact_some(&self, now_ms: i64, max: usize) -> Result<usize, EmbeddedError> {
        let mut looked_at = 0;
        for topic in compacted() {
            for at in 0..self.partitions {
                looked_at += self.compact_partition(topic, at, now_ms, max)?;
            }
        }
        Ok(looked_at)
    }

    fn compact_partition(&self, topic: Topic, at: u32, now_ms: i64, max: usize) -> Result<usize, EmbeddedError> {
        let end = self.lock().end(topic, at);
        let from = self.compacted_to(topic, at)?;
        if from >= end {
            return Ok(0);
        }
        let mut records: Vec<Looked> = Vec::new();
        self.visit(topic, at, from, &mut |offset, _, key, value| {
            if offset >= end || records.len() >= max {
                return false;
            }
            let erased = value.is_some_and(|value| says_erased(topic, value));
            records.push(Looked { offset, key: Hash128::of(key), tombstone: value.is_none(), erased });
            true
        })?;
        let next = if records.len() < max { end } else { records.last().map_or(end, |last| last.offset + 1) };
        let (batch, latest, erased) = (WriteBatch::default(), HashMap::new(), HashMap::new());
        let mut step = Step { inner: self, topic, at, now_ms, batch, latest, erased, deleted: None };
        records.iter().try_for_each(|record| step.look_at(record))?;
        step.finish(next)?;
        Ok(records.len())
    }

    /// Deletes tombstones read by compaction up to a time, with the rows kept beside them; at most `max`. Returns how many were deleted.
    pub(super) fn drop_tombstones(&self, until_ms: i64, max: usize) -> Result<usize, EmbeddedError> {
        let due = self.tombstones(until_ms, max)?;
        for of in &due {
            let mut batch = WriteBatch::default();
            if let Some(Latest { row, .. }) = self.latest(of.topic, of.at, of.key)?.filter(|latest| latest.offset == of.offset)
            {
                let first = row.unwrap_or(of.offset);
                for offset in row.into_iter().chain([of.offset]) {
                    batch.delete_cf(self.family(RECORDS)?, keys::record(of.topic, of.at, offset));
                }
                self.put_latest(&mut batch, (of.topic, of.at, of.key), None)?;
                self.put_unclean(&mut batch, (of.topic, of.at), (first, of.offset))?;
            }
            self.delete_tombstone(&mut batch, of)?;
            self.write(batch)?;
        }
        Ok(due.len())
    }
}

impl Step<'_> {
    fn latest(&mut self, key: Hash128) -> Result<Option<Latest>, EmbeddedError> {
        if let Some(known) = self.latest.get(&key) {
            return Ok(*known);
        }
        let known = self.inner.latest(self.topic, self.at, key)?;
        self.latest.insert(key, known);
        Ok(known)
    }

    fn look_at(&mut self, record: &Looked) -> Result<(), EmbeddedError> {
        self.erased.insert(record.offset, record.erased);
        let before = self.latest(record.key)?;
        // This record was handled before. A step is repeated only if its batch was not written, but deleting the only record of a key must
        // be impossible.
        if before.is_some_and(|before| before.offset >= record.offset) {
            return Ok(());
        }
        let mut row = None;
        if let Some(Latest { offset, row: beside }) = before {
            if record.tombstone && beside.is_none() && self.says_erased(offset)? {
                row = Some(offset);
            } else {
                self.delete(offset)?;
            }
            if let Some(beside) = beside {
                self.delete(beside)?;
            }
        }
        self.latest.insert(record.key, Some(Latest { offset: record.offset, row }));
        if record.tombstone {
            let (deleted_ms, topic, at) = (self.now_ms, self.topic, self.at);
            let tombstone = Tombstone { deleted_ms, topic, at, offset: record.offset, key: record.key };
            self.inner.put_tombstone(&mut self.batch, &tombstone)?;
        }
        Ok(())
    }

    /// Whether the record at this offset is a row marked `erased`.
    fn says_erased(&self, offset: u64) -> Result<bool, EmbeddedError> {
        if let Some(known) = self.erased.get(&offset) {
            return Ok(*known);
        }
        let mut found = false;
        self.inner.visit(self.topic, self.at, offset, &mut |there, _, _, value| {
            found = there == offset && value.is_some_and(|value| says_erased(self.topic, value));
            false
        })?;
        Ok(found)
    }

    fn delete(&mut self, offset: u64) -> Result<(), EmbeddedError> {
        self.batch.delete_cf(self.inner.family(RECORDS)?, keys::record(self.topic, self.at, offset));
        let (first, last) = self.deleted.unwrap_or((offset, offset));
        self.deleted = Some((first.min(offset), last.max(offset)));
        Ok(())
    }

    fn finish(mut self, next: u64) -> Result<(), EmbeddedError> {
        for (key, latest) in std::mem::take(&mut self.latest) {
            self.inner.put_latest(&mut self.batch, (self.topic, self.at, key), latest)?;
        }
        if let Some(deleted) = self.deleted {
            self.inner.put_unclean(&mut self.batch, (self.topic, self.at), deleted)?;
        }
        self.inner.put_compacted_to(&mut self.batch, self.topic, self.at, next)?;
        self.inner.write(self.batch)
    }
}

/// Whether a row of a profile or an account is marked `erased`.
fn says_erased(topic: Topic, value: &[u8]) -> bool {
    // Such a row has only an id and a flag: longer ones need not be decoded.
    if value.len() > 512 {
        return false;
    }
    topic.rows().is_some_and(|rows| rows.is_last(value))
}
