//! The embedded log: topics, offsets and state in one RocksDB, for a single process without a broker. Durable.
//!
//! A transaction is one write batch: records, offsets and state change together or not at all, whenever the process is killed. A failure of
//! the machine can lose the records that the operating system had not written yet, unless `sync` is set. The high-water mark beside the log
//! (`high_water.rs`) detects any loss when the log is opened.
//!
//! | column family | key (integers big-endian) | value |
//! |---|---|---|
//! | `records` | topic u8, partition u32, offset u64 | timestamp i64, flag u8 (1: has a value), key length u32, key, value |
//! | `offsets` | stage, 0, topic u8, partition u32 | next offset u64 |
//! | `state` | stage, 0, partition u32, actor key, sub-key | value |
//! | `meta` | `format`, `partitions` | u32 |
//! | `meta` | `mark/`, name | how far `send` or `import` has come in its files: see `send_checkpoint` |
//! | `meta` | `sequence` | transactions committed, u64 |
//! | `meta` | `count` | the same by adding one for each, u64: another number where some in the middle are missing |
//! | `meta` | `end`, 0, topic u8, partition u32 | next offset u64, running hash u64 |
//! | `meta` | notes of the log's upkeep | see `notes` |
//!
//! Deleted records leave gaps: offsets never change, and an end offset never goes back. Beside the workers, the [`Upkeep`] compacts the
//! topics that are compacted on Kafka (`compact`), drops records that were read or are old (`retention`), and deletes erased people
//! (`forget`).

mod accepted;
mod compact;
mod error;
mod forget;
mod high_water;
mod inner;
mod keys;
mod notes;
mod open;
mod retention;
mod send_checkpoint;
mod session;
mod sizes;
mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{IteratorMode, ReadOptions, WriteBatch};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use tributary_proto::partition;

use crate::fresh::FreshGauges;
use crate::log::StageLog;
use crate::stage::Output;
use crate::state::Committed;
use crate::topic::Topic;

pub use accepted::accept;
pub use error::EmbeddedError;
use error::store_error;
pub use forget::{Recognise, Sought};
use high_water::HighWaterFile;
pub use high_water::{Missing, MissingRecords};
use inner::Inner;
pub use notes::Cause;
pub use retention::Retention;
pub use session::EmbeddedSession;
pub use upkeep::{Forgotten, Upkeep};

const FAMILIES: [&str; 4] = [RECORDS, OFFSETS, STATE, META];
const RECORDS: &str = "records";
const OFFSETS: &str = "offsets";
const STATE: &str = "state";
const META: &str = "meta";

/// Options for opening an embedded log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// Its folder; made if it does not exist.
    pub path: PathBuf,
    /// Partitions of every topic. Fixed when the log is created.
    pub partitions: u32,
    /// Bytes of memory for the block cache and the write buffers together.
    pub memory_bytes: usize,
    /// Whether a commit waits for the disk. Then it survives a crash of the machine, not only of the process.
    pub sync: bool,
    /// Whether dead letters are written as JSON instead of Protobuf.
    pub json_dead_letters: bool,
}

/// An embedded log. Clones share it; any number of threads may use it.
#[derive(Clone)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
    /// The gauges in which sessions publish their lag.
    gauges: FreshGauges,
}

impl EmbeddedLog {
    /// Whether a folder contains a log.
    pub fn is_in(path: &Path) -> bool {
        path.join("CURRENT").exists()
    }

    /// Whether another process has the log in a folder open for writing. Must not be called for a log that this process has open: the call
    /// would release its lock.
    ///
    /// # Errors
    /// When the lock cannot be checked.
    pub fn is_held(path: &Path) -> std::io::Result<bool> {
        let lock = std::fs::File::open(path.join("LOCK"))?;
        let wanted = Flock::from(FlockType::WriteLock);
        Ok(fcntl_getlk(&lock, &wanted)?.is_some())
    }

    /// The same log; its sessions publish their lag in these gauges.
    #[must_use]
    pub fn telling(self, gauges: FreshGauges) -> Self {
        Self { gauges, ..self }
    }

    /// The partitions of every topic.
    pub fn partitions(&self) -> u32 {
        self.inner.partitions
    }

    /// Appends records from outside, all or none. Their keys decide the partitions; records without a key go to partition `keyless` (modulo
    /// the number of partitions).
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append(&self, records: impl IntoIterator<Item = (Output, i64)>, keyless: u32) -> Result<(), EmbeddedError> {
        self.append_with(records, keyless, |_| {})
    }

    /// Appends records together with what `more` adds to the batch.
    fn append_with(
        &self,
        records: impl IntoIterator<Item = (Output, i64)>,
        keyless: u32,
        more: impl FnOnce(&mut WriteBatch),
    ) -> Result<(), EmbeddedError> {
        let mut positions = self.inner.lock();
        let mut batch = WriteBatch::default();
        let mut ends = positions.water.ends.clone();
        for (output, timestamp_ms) in records {
            let spread = keyless % self.inner.partitions.max(1);
            let at = if output.key.is_empty() { spread } else { partition::of(&output.key, self.inner.partitions) };
            self.inner.put_record(&mut batch, &mut ends, &output, at, timestamp_ms)?;
        }
        more(&mut batch);
        self.inner.commit(&mut positions, batch, ends)?;
        drop(positions);
        self.inner.written.notify_all();
        Ok(())
    }

    /// Reads at most `max` records of a partition from an offset on, each with its offset and timestamp.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self, topic: Topic, at: u32, from: u64, max: usize) -> Result<Vec<(u64, i64, Output)>, EmbeddedError> {
        let mut found = Vec::new();
        self.inner.visit(topic, at, from, &mut |offset, timestamp_ms, key, value| {
            found.push((offset, timestamp_ms, Output { topic, key: key.to_vec(), value: value.map(<[u8]>::to_vec) }));
            found.len() < max
        })?;
        Ok(found)
    }

    /// The offset of the next record to be written to a partition.
    pub fn end(&self, topic: Topic, at: u32) -> u64 {
        self.inner.lock().end(topic, at)
    }

    /// The offset of the next record that a stage will read from a partition of one of its inputs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn committed(&self, stage: &StageLog, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        self.inner.next(&mut self.inner.lock(), stage.stage, topic, at)
    }

    /// How many records of its inputs a stage has not read yet.
    ///
    /// # Errors
    /// When its offsets cannot be read.
    pub fn lag(&self, stage: &StageLog) -> Result<u64, EmbeddedError> {
        let mut positions = self.inner.lock();
        let mut lag = 0;
        for topic in stage.inputs {
            for at in 0..self.inner.partitions {
                let next = self.inner.next(&mut positions, stage.stage, *topic, at)?;
                lag += positions.end(*topic, at).saturating_sub(next);
            }
        }
        Ok(lag)
    }

    /// How many records of a partition were dropped, because of retention and because of erasures.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dropped(&self, topic: Topic, at: u32) -> Result<BTreeMap<Cause, u64>, EmbeddedError> {
        self.inner.dropped(topic, at)
    }

    /// Dead letters that were dropped while their raw records still exist: topic, partition and offset of the raw record, and the position
    /// in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dropped_letters(&self) -> Result<Vec<(Topic, u32, u64, u32)>, EmbeddedError> {
        self.inner.letters()
    }

    /// Visits every value of the states and of the log's own notes, with its key.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn each_value(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), EmbeddedError> {
        for name in [STATE, META, OFFSETS] {
            for row in self.inner.db.iterator_cf(self.inner.family(name)?, IteratorMode::Start) {
                let (key, value) = row.map_err(|error| self.inner.error("reading", &error))?;
                visit(&key, &value);
            }
        }
        Ok(())
    }

    /// Reads everything, with the checksum of every block; calls `read` with the bytes of each record. Returns the number of records.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn verify(&self, read: &mut dyn FnMut(u64)) -> Result<u64, EmbeddedError> {
        let mut count = 0;
        for name in FAMILIES {
            let mut options = ReadOptions::default();
            options.set_total_order_seek(true);
            options.fill_cache(false);
            for row in self.inner.db.iterator_cf_opt(self.inner.family(name)?, options, IteratorMode::Start) {
                let (key, value) = row.map_err(|error| self.inner.error("reading", &error))?;
                count += 1;
                read((key.len() + value.len()) as u64);
            }
        }
        Ok(count)
    }

    /// Copies the current log to the folder `to`, which must not exist; with hard links if possible.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn checkpoint(&self, to: &Path) -> Result<(), EmbeddedError> {
        let failed = |error| self.inner.error("copying", &error);
        // Nothing is committed while this is held, so the copy's mark is exact.
        let positions = self.inner.lock();
        Checkpoint::new(&self.inner.db).map_err(failed)?.create_checkpoint(to).map_err(failed)?;
        HighWaterFile::create(to, &positions.water).map_err(|error| store_error("copying", &self.inner.path, error))?;
        Ok(())
    }

    /// Closes the log: on return, everything committed is flushed to table files, each of whose blocks has a checksum.
    ///
    /// # Errors
    /// When it cannot be written. What was committed is in the write-ahead log then.
    pub fn close(&self) -> Result<(), EmbeddedError> {
        self.inner.flush()
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        let size = |name| {
            let family = self.inner.family(name).ok()?;
            self.inner.db.property_int_value_cf(family, "rocksdb.total-sst-files-size").ok()?
        };
        FAMILIES.into_iter().filter_map(size).sum()
    }

    /// The committed states of all stages, as they are at each read.
    pub fn states(&self) -> Committed {
        let inner = self.inner.clone();
        Committed::new(self.partitions(), Box::new(move |stage, at| Ok(session::base(&inner, stage, at))))
    }

    /// A session for worker `worker` of the `workers` of a stage: it gets the partitions whose number modulo `workers` is `worker`.
    pub fn session(&self, stage: StageLog, worker: u32, workers: u32) -> EmbeddedSession {
        let owned = (0..self.inner.partitions).filter(|at| at % workers.max(1) == worker).collect();
        EmbeddedSession::new(self.inner.clone(), stage, owned, self.gauges.clone())
    }
}

#[cfg(test)]
mod beside_tests;
#[cfg(test)]
mod upkeep_tests;
