//! Shared by the clones and sessions of an embedded log: the database, the end offsets of its topics and the positions of its readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocksdb::{Cache, ColumnFamily, DB, FlushOptions, IteratorMode, ReadOptions, WriteBatch, WriteOptions};

use super::error::{EmbeddedError, rocks_error, store_error};
use super::high_water::{End, Ends, HighWater, HighWaterFile};
use super::{FAMILIES, META, OFFSETS, RECORDS, keys};
use crate::stage::Output;
use crate::topic::Topic;

/// Ends of topics and offsets of stages, as committed.
#[derive(Default)]
pub(super) struct Positions {
    /// The high-water mark, with the end of each partition.
    pub water: HighWater,
    /// The file of the high-water mark beside the database; `None` if the log is open for reading only.
    pub mark: Option<HighWaterFile>,
    /// Per stage, topic and partition: the offset of the next record to be read.
    pub read: BTreeMap<(&'static str, Topic, u32), u64>,
    /// Per topic and partition: the offset below which records are deleted.
    pub trimmed: BTreeMap<(Topic, u32), u64>,
}

impl Positions {
    /// The offset of the next record to be written to a partition.
    pub fn end(&self, topic: Topic, at: u32) -> u64 {
        self.water.ends.get(&(topic, at)).map_or(0, |end| end.offset)
    }
}

pub(super) struct Inner {
    pub db: DB,
    pub cache: Cache,
    pub path: PathBuf,
    pub partitions: u32,
    pub sync: bool,
    pub json_dead_letters: bool,
    pub positions: Mutex<Positions>,
    /// Notified when records were written.
    pub written: Condvar,
}

type Visit<'a> = dyn FnMut(u64, i64, &[u8], Option<&[u8]>) -> bool + 'a;

impl Inner {
    pub fn lock(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn family(&self, name: &'static str) -> Result<&ColumnFamily, EmbeddedError> {
        family(&self.db, &self.path, name)
    }

    pub fn error(&self, operation: &'static str, error: &rocksdb::Error) -> EmbeddedError {
        rocks_error(operation, &self.path, error)
    }

    /// Writes a batch as the next transaction, after which the partitions end at `ends`. Atomic.
    pub fn commit(&self, positions: &mut Positions, mut batch: WriteBatch, ends: Ends) -> Result<(), EmbeddedError> {
        let meta = self.family(META)?;
        let sequence = positions.water.sequence + 1;
        batch.put_cf(meta, keys::SEQUENCE, sequence.to_be_bytes());
        batch.merge_cf(meta, keys::COUNT, 1u64.to_be_bytes());
        for (place, end) in &ends {
            if positions.water.ends.get(place) != Some(end) {
                batch.put_cf(meta, keys::end(place.0, place.1), keys::end_value(*end));
            }
        }
        self.write(batch)?;
        positions.water = HighWater { sequence, ends };
        if let Some(mark) = &mut positions.mark {
            mark.raise(&positions.water);
        }
        Ok(())
    }

    /// Writes a batch of upkeep, which is not a transaction: if it is lost, upkeep does it again.
    pub fn write(&self, batch: WriteBatch) -> Result<(), EmbeddedError> {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        self.db.write_opt(batch, &options).map_err(|error| self.error("writing to", &error))
    }

    pub fn put_record(
        &self,
        batch: &mut WriteBatch,
        ends: &mut Ends,
        output: &Output,
        at: u32,
        timestamp_ms: i64,
    ) -> Result<(), EmbeddedError> {
        let end = ends.entry((output.topic, at)).or_default();
        let value = keys::record_value(output, timestamp_ms);
        batch.put_cf(self.family(RECORDS)?, keys::record(output.topic, at, end.offset), &value);
        *end = end.after(&value);
        Ok(())
    }

    /// Flushes all memtables together; the write-ahead log with their content is then deleted.
    pub fn flush_families(&self) -> Result<(), EmbeddedError> {
        let families = FAMILIES.into_iter().map(|name| self.family(name)).collect::<Result<Vec<_>, _>>()?;
        let families: Vec<_> = families.iter().collect();
        self.db.flush_cfs_opt(&families, &FlushOptions::default()).map_err(|error| self.error("flushing", &error))
    }

    /// The same while nobody commits, so the write-ahead log becomes empty. Log and mark are flushed to disk on return.
    pub fn flush(&self) -> Result<(), EmbeddedError> {
        let positions = self.lock();
        self.flush_families()?;
        match &positions.mark {
            Some(mark) => mark.sync().map_err(|error| store_error("flushing", &self.path, error)),
            None => Ok(()),
        }
    }

    /// The offset of the next record that a stage reads; loaded from disk the first time.
    pub fn next(&self, positions: &mut Positions, stage: &'static str, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        if let Some(next) = positions.read.get(&(stage, topic, at)) {
            return Ok(*next);
        }
        let stored = self
            .db
            .get_cf(self.family(OFFSETS)?, keys::offset(stage, topic, at))
            .map_err(|error| self.error("reading", &error))?;
        let next = stored.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        positions.read.insert((stage, topic, at), next);
        Ok(next)
    }

    /// The high-water mark as stored in the log itself; `None` if an older version, which did not store it, created the log.
    pub fn stored_water(&self) -> Result<Option<HighWater>, EmbeddedError> {
        let meta = self.family(META)?;
        let read = |key: &[u8]| self.db.get_cf(meta, key).map_err(|error| self.error("reading", &error));
        let number = |key: &[u8]| Ok(read(key)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes));
        let Some(sequence) = number(keys::SEQUENCE)? else { return Ok(None) };
        // RocksDB accepts a truncated write-ahead log even if another one follows it, so the transactions are counted here.
        let missing = sequence.saturating_sub(number(keys::COUNT)?.unwrap_or(0));
        if missing > 0 {
            let why = format!("{missing} transactions before the last ones are missing");
            return Err(EmbeddedError::Damaged { operation: "opening", path: self.path.clone(), why });
        }
        let mut ends = Ends::new();
        for (topic, at) in self.places() {
            let stored = read(&keys::end(topic, at))?;
            ends.insert((topic, at), stored.and_then(|bytes| keys::parse_end(&bytes)).unwrap_or_default());
        }
        Ok(Some(HighWater { sequence, ends }))
    }

    /// The same for such an older log, computed from its records.
    pub fn find_water(&self) -> Result<HighWater, EmbeddedError> {
        let end = |(topic, at)| Ok(((topic, at), End { offset: self.find_end(topic, at)?, hash: 0 }));
        Ok(HighWater { sequence: 0, ends: self.places().map(end).collect::<Result<_, EmbeddedError>>()? })
    }

    fn places(&self) -> impl Iterator<Item = (Topic, u32)> + use<> {
        let partitions = self.partitions;
        Topic::ALL.into_iter().flat_map(move |topic| (0..partitions).map(move |at| (topic, at)))
    }

    fn find_end(&self, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        let upper = keys::record(topic, at, u64::MAX);
        let mode = IteratorMode::From(&upper, rocksdb::Direction::Reverse);
        match self.db.iterator_cf(self.family(RECORDS)?, mode).next() {
            Some(Ok((key, _))) if keys::same_partition(&key, &upper) => Ok(keys::offset_of(&key) + 1),
            Some(Err(error)) => Err(self.error("reading", &error)),
            // All records were read and deleted: the end is the reader's offset.
            _ => self.last_read(topic, at),
        }
    }

    fn last_read(&self, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        let stage = match topic {
            Topic::IdentityInbox => "identity",
            Topic::AttributorInbox => "attributor",
            _ => return Ok(0),
        };
        self.next(&mut Positions::default(), stage, topic, at)
    }

    pub fn visit(&self, topic: Topic, at: u32, from: u64, visit: &mut Visit<'_>) -> Result<(), EmbeddedError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(keys::record(topic, at, u64::MAX));
        options.set_readahead_size(1 << 20);
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(RECORDS)?, options);
        iterator.seek(keys::record(topic, at, from));
        while let Some((key, value)) = iterator.item() {
            let Some((timestamp_ms, record_key, record_value)) = keys::parse_value(value) else {
                let record = format!("record {} of {}-{at} is corrupt", keys::offset_of(key), topic.name());
                return Err(store_error("reading", &self.path, record));
            };
            if !visit(keys::offset_of(key), timestamp_ms, record_key, record_value) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.error("reading", &error))
    }

    /// Waits until records are written, at most `limit`.
    pub fn wait(&self, positions: MutexGuard<'_, Positions>, limit: Duration) {
        drop(self.written.wait_timeout(positions, limit));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.lock().mark.is_none() {
            return;
        }
        if let Err(error) = self.flush() {
            tracing::error!(%error, "the embedded log was closed without being flushed; all of it is in its write-ahead log");
        }
    }
}

pub(super) fn family<'a>(db: &'a DB, path: &Path, name: &'static str) -> Result<&'a ColumnFamily, EmbeddedError> {
    db.cf_handle(name).ok_or_else(|| store_error("opening", path, format!("no column family {name}")))
}
