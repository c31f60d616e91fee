//! Retention: deletes records of inboxes once they are read, and raw records and dead letters once they are old.

use rocksdb::WriteBatch;
use tributary_proto::DeadLetter;

use super::inner::Inner;
use super::notes::Cause;
use super::{EmbeddedError, RECORDS, keys};
use crate::topic::Topic;
use crate::topic::format;

/// How long records are kept, milliseconds; `None` for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Raw records that were processed: `topics.raw_retention_days`.
    pub raw_ms: Option<i64>,
    /// Dead letters: `topics.dead_letters_retention_days`.
    pub dead_letters_ms: Option<i64>,
    /// Tombstones in compacted topics: `topics.tombstone_retention_days`.
    pub tombstones_ms: i64,
}

impl Inner {
    /// Deletes processed records of the inboxes; returns whether there were any.
    pub(super) fn trim_inboxes(&self) -> Result<bool, EmbeddedError> {
        let mut trimmed = false;
        for (topic, stage) in Topic::inboxes() {
            for at in 0..self.partitions {
                // Held until the write: a worker may trim, too.
                let mut positions = self.lock();
                let next = self.next(&mut positions, stage, topic, at)?;
                let from = positions.trimmed.get(&(topic, at)).copied().unwrap_or(0);
                if next <= from {
                    continue;
                }
                let mut batch = WriteBatch::default();
                batch.delete_range_cf(self.family(RECORDS)?, keys::record(topic, at, from), keys::record(topic, at, next));
                self.put_unclean(&mut batch, (topic, at), (from, next))?;
                self.write(batch)?;
                positions.trimmed.insert((topic, at), next);
                trimmed = true;
            }
        }
        Ok(trimmed)
    }

    /// Deletes processed raw records, and dead letters, that are older than `retention` allows; at most `max` of each partition. Returns
    /// how many.
    pub(super) fn expire(&self, retention: &Retention, now_ms: i64, max: usize) -> Result<u64, EmbeddedError> {
        let mut gone = 0;
        let topics = Topic::RAW.map(|topic| (topic, retention.raw_ms)).into_iter();
        for (topic, kept_ms) in topics.chain([(Topic::DeadLetters, retention.dead_letters_ms)]) {
            let Some(kept_ms) = kept_ms else { continue };
            for at in 0..self.partitions {
                gone += self.expire_partition(topic, at, now_ms.saturating_sub(kept_ms), max)?;
            }
        }
        Ok(gone)
    }

    /// Deletes records received before a time, up to the first that is newer: as a topic of Kafka loses its oldest segments. A record
    /// without a time counts as old as the next one with a time.
    fn expire_partition(&self, topic: Topic, at: u32, before_ms: i64, max: usize) -> Result<u64, EmbeddedError> {
        let until = self.forgettable(topic, at)?;
        let (mut looked_at, mut counted, mut old) = (0usize, 0u64, None);
        let mut letters = Vec::new();
        self.visit(topic, at, 0, &mut |offset, timestamp_ms, _, value| {
            if offset >= until || looked_at >= max || timestamp_ms >= before_ms {
                return false;
            }
            looked_at += 1;
            if topic == Topic::DeadLetters {
                letters.push((offset, value.and_then(letter_of)));
            }
            if timestamp_ms > 0 {
                old = Some(offset + 1);
                counted = looked_at as u64;
            }
            true
        })?;
        let Some(end) = old else { return Ok(0) };
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.family(RECORDS)?, keys::record(topic, at, 0), keys::record(topic, at, end));
        let gone = letters.iter().filter(|(offset, _)| *offset < end).filter_map(|(_, letter)| letter.as_ref());
        gone.cloned().try_for_each(|letter| self.note_letter(&mut batch, &letter))?;
        if Topic::RAW.contains(&topic) {
            self.delete_letters(&mut batch, (topic, at), (0, end))?;
        }
        self.count_dropped(&mut batch, (topic, at), Cause::Retention, counted)?;
        self.put_unclean(&mut batch, (topic, at), (0, end))?;
        self.write(batch)?;
        Ok(counted)
    }

    /// For every partition of the inboxes: its end, and the next offset to be read.
    pub(super) fn inboxes(&self) -> Result<Vec<(u64, u64)>, EmbeddedError> {
        let mut positions = self.lock();
        let mut found = Vec::new();
        for (topic, stage) in Topic::inboxes() {
            for at in 0..self.partitions {
                let read = self.next(&mut positions, stage, topic, at)?;
                found.push((positions.end(topic, at), read));
            }
        }
        Ok(found)
    }

    /// The offset below which records of a partition may be dropped: raw records once they are processed.
    pub(super) fn forgettable(&self, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        let mut positions = self.lock();
        if Topic::RAW.contains(&topic) {
            return self.next(&mut positions, "ingest", topic, at);
        }
        Ok(positions.end(topic, at))
    }

    /// Notes that a dead letter is dropped, if its raw record still exists: `audit` then does not miss it.
    pub(super) fn note_letter(&self, batch: &mut WriteBatch, letter: &LetterOf) -> Result<(), EmbeddedError> {
        let LetterOf { topic, at, offset, index } = *letter;
        let there = self.db.get_pinned_cf(self.family(RECORDS)?, keys::record(topic, at, offset));
        if there.map_err(|error| self.error("reading", &error))?.is_some() {
            self.put_letter(batch, (topic, at, offset), index)?;
        }
        Ok(())
    }
}

/// The raw record of a dead letter, and the position of the event in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LetterOf {
    topic: Topic,
    at: u32,
    offset: u64,
    index: u32,
}

/// The raw record that a dead letter is about; `None` if it is about another record.
pub(super) fn letter_of(value: &[u8]) -> Option<LetterOf> {
    let letter: DeadLetter = format::read(value).ok()?;
    let topic = Topic::RAW.into_iter().find(|topic| topic.name() == letter.topic)?;
    let (at, offset) = (u32::try_from(letter.partition).ok()?, u64::try_from(letter.offset).ok()?);
    Some(LetterOf { topic, at, offset, index: letter.index })
}
