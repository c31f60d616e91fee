//! The embedded log: topics, offsets and state in one RocksDB, for a single process without a broker. Durable.
//!
//! A transaction is one write batch: records, offsets and state change together or not at all, whenever the process is killed. Records
//! that the machine's own failure could lose are those the operating system had not written yet, unless `sync` is set.
//!
//! | column family | key (integers big-endian) | value |
//! |---|---|---|
//! | `records` | topic u8, partition u32, offset u64 | timestamp i64, flag u8 (1: has a value), key length u32, key, value |
//! | `offsets` | stage, 0, topic u8, partition u32 | next offset u64 |
//! | `state` | stage, 0, partition u32, actor key, sub-key | value |
//! | `meta` | `format`, `partitions` | u32 |
//! | | notes of the log's upkeep | see `notes` |
//!
//! What is deleted leaves a gap: offsets never change, and no end goes back. Beside those who work on the log its [`Upkeep`] compacts what is
//! compacted on Kafka (`compact`), drops what was read or is old (`retention`), and forgets who was erased (`forget`).

mod accepted;
mod compact;
mod forget;
mod keys;
mod notes;
mod retention;
mod session;
mod sizes;
mod upkeep;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, IteratorMode, Options, ReadOptions, WriteBatch,
    WriteOptions,
};
use rustix::process::{Flock, FlockType, fcntl_getlk};
use tributary_proto::{FORMAT_VERSION, partition};

use crate::descriptors::{self, tables_of_one_store};
use crate::fresh::FreshGauges;
use crate::log::StageLog;
use crate::stage::Output;
use crate::state::{Committed, says_full};
use crate::topic::Topic;

pub use accepted::accept;
pub use forget::{Recognise, Sought};
pub use notes::Cause;
pub use retention::Retention;
pub use session::EmbeddedSession;
pub use upkeep::{Forgotten, Upkeep};

const FAMILIES: [&str; 4] = [RECORDS, OFFSETS, STATE, META];
const RECORDS: &str = "records";
const OFFSETS: &str = "offsets";
const STATE: &str = "state";
const META: &str = "meta";

/// How an embedded log is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// Its folder; made if it does not exist.
    pub path: PathBuf,
    /// Partitions of every topic. Fixed when the log is made.
    pub partitions: u32,
    /// Bytes of memory for the block cache and the write buffers together.
    pub memory_bytes: usize,
    /// Whether a commit waits for the disk: then it survives a failure of the machine, not only of the process.
    pub sync: bool,
    /// Whether dead letters are written as JSON instead of Protobuf.
    pub json_dead_letters: bool,
}

/// Why the embedded log failed.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// RocksDB.
    #[error("{operation} the embedded log in {}: {why}", .path.display())]
    Store {
        /// What was being done.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// What RocksDB said.
        why: String,
    },
    /// Another process has it open.
    #[error("the embedded log in {} is in use by another process; stop that one, or choose another state.path", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It was made with another number of partitions.
    #[error(
        "the embedded log in {} has {found} partitions, not {wanted}: set topics.partitions = {found}, or replay into a new folder",
        .path.display()
    )]
    Partitions {
        /// The folder.
        path: PathBuf,
        /// Its partitions.
        found: u32,
        /// Those that were asked for.
        wanted: u32,
    },
    /// It was written by another version.
    #[error("the embedded log in {} has format {found}; this version writes {FORMAT_VERSION}: replay into a new folder", .path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl EmbeddedError {
    /// Whether there was no room on the disk: then it may succeed later. RocksDB refuses for ever what it has refused for another reason.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store { why, .. } if says_full(why))
    }
}

/// Ends of topics and offsets of stages, as committed.
#[derive(Default)]
struct Positions {
    /// Per topic and partition: the offset of the next record to be written.
    ends: BTreeMap<(Topic, u32), u64>,
    /// Per stage, topic and partition: the offset of the next record to be read.
    read: BTreeMap<(&'static str, Topic, u32), u64>,
    /// Per topic and partition: the offset below which records are deleted.
    trimmed: BTreeMap<(Topic, u32), u64>,
}

/// Records of an inbox are deleted once this many have been read.
const TRIM_RECORDS: u64 = 50_000;

struct Inner {
    db: DB,
    cache: Cache,
    path: PathBuf,
    partitions: u32,
    sync: bool,
    json_dead_letters: bool,
    positions: Mutex<Positions>,
    /// Signalled when records were written.
    written: Condvar,
}

/// An embedded log. Clones share it; any number of threads may use it.
#[derive(Clone)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
    /// Where sessions tell how far behind they are.
    gauges: FreshGauges,
}

impl EmbeddedLog {
    /// Opens the log in a folder, or makes one.
    ///
    /// # Errors
    /// When the folder cannot be used, is in use, or holds a log of another shape.
    pub fn open(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let path = options.path.clone();
        std::fs::create_dir_all(&path).map_err(|error| store_error("making", &path, error))?;
        let cache = Cache::new_lru_cache(options.memory_bytes / 2);
        let mut settings = Options::default();
        settings.create_if_missing(true);
        settings.create_missing_column_families(true);
        settings.set_db_write_buffer_size(options.memory_bytes / 2);
        settings.set_max_background_jobs(2);
        settings.set_keep_log_file_num(2);
        settings.set_max_open_files(tables_of_one_store());
        let families = FAMILIES.map(|name| ColumnFamilyDescriptor::new(name, family_options(name, &cache)));
        let db = DB::open_cf_descriptors(&settings, &path, families).map_err(|error| open_error(&path, &error))?;
        Self::with(db, cache, options)
    }

    /// Opens the log in a folder for reading, as it stands now; another process may be writing to it.
    ///
    /// # Errors
    /// When there is none or it has another format.
    pub fn open_read_only(path: &Path) -> Result<Self, EmbeddedError> {
        let memory_bytes = 16 << 20;
        let cache = Cache::new_lru_cache(memory_bytes / 2);
        let families = FAMILIES.map(|name| ColumnFamilyDescriptor::new(name, family_options(name, &cache)));
        let db = DB::open_cf_descriptors_read_only(&Options::default(), path, families, false)
            .map_err(|error| store_error("opening", path, error))?;
        let partitions = read_u32(&db, path, keys::PARTITIONS)?.unwrap_or(0);
        let options =
            EmbeddedOptions { path: path.to_owned(), partitions, memory_bytes, sync: false, json_dead_letters: false };
        Self::with(db, cache, &options)
    }

    /// Whether there is a log in a folder.
    pub fn is_in(path: &Path) -> bool {
        path.join("CURRENT").exists()
    }

    /// Whether another process has the log in a folder open for writing. Not for a process that has it open itself: its lock would be gone.
    ///
    /// # Errors
    /// When its lock cannot be looked at.
    pub fn is_held(path: &Path) -> std::io::Result<bool> {
        let lock = std::fs::File::open(path.join("LOCK"))?;
        let wanted = Flock::from(FlockType::WriteLock);
        Ok(fcntl_getlk(&lock, &wanted)?.is_some())
    }

    fn with(db: DB, cache: Cache, options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let EmbeddedOptions { path, partitions, .. } = options.clone();
        match (read_u32(&db, &path, keys::FORMAT)?, read_u32(&db, &path, keys::PARTITIONS)?) {
            (None, _) => {
                let meta = family(&db, &path, META)?;
                let put = |key: &[u8], value: u32| db.put_cf(meta, key, value.to_be_bytes());
                put(keys::PARTITIONS, partitions)
                    .and_then(|()| put(keys::FORMAT, FORMAT_VERSION))
                    .map_err(|error| store_error("making", &path, error))?;
            }
            (Some(FORMAT_VERSION), Some(found)) if found == partitions => {}
            (Some(FORMAT_VERSION), found) => {
                return Err(EmbeddedError::Partitions { path, found: found.unwrap_or(0), wanted: partitions });
            }
            (Some(found), _) => return Err(EmbeddedError::Format { path, found }),
        }
        let inner = Inner {
            db,
            cache,
            path,
            partitions,
            sync: options.sync,
            json_dead_letters: options.json_dead_letters,
            positions: Mutex::new(Positions::default()),
            written: Condvar::new(),
        };
        let mut positions = Positions::default();
        for topic in Topic::ALL {
            for at in 0..partitions {
                positions.ends.insert((topic, at), inner.find_end(topic, at)?);
            }
        }
        *inner.lock() = positions;
        Ok(Self { inner: Arc::new(inner), gauges: FreshGauges::default() })
    }

    /// The same log, whose sessions tell here how far behind they are.
    #[must_use]
    pub fn telling(self, gauges: FreshGauges) -> Self {
        Self { gauges, ..self }
    }

    /// The partitions of every topic.
    pub fn partitions(&self) -> u32 {
        self.inner.partitions
    }

    /// Appends records from outside, all or none. Their keys decide the partitions; those without a key go to partition
    /// `keyless` (modulo the number of partitions).
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append(&self, records: impl IntoIterator<Item = (Output, i64)>, keyless: u32) -> Result<(), EmbeddedError> {
        let mut positions = self.inner.lock();
        let mut batch = WriteBatch::default();
        let mut ends = positions.ends.clone();
        for (output, timestamp_ms) in records {
            let spread = keyless % self.inner.partitions.max(1);
            let at = if output.key.is_empty() { spread } else { partition::of(&output.key, self.inner.partitions) };
            self.inner.put_record(&mut batch, &mut ends, &output, at, timestamp_ms)?;
        }
        self.inner.write(batch)?;
        positions.ends = ends;
        drop(positions);
        self.inner.written.notify_all();
        Ok(())
    }

    /// Reads the records of a partition from an offset on, at most `max`; gives each with its offset and timestamp.
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
        self.inner.lock().ends.get(&(topic, at)).copied().unwrap_or(0)
    }

    /// The offset of the next record that a stage will read of a partition of one of its inputs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn committed(&self, stage: &StageLog, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        self.inner.next(&mut self.inner.lock(), stage.stage, topic, at)
    }

    /// How many records of its inputs a stage has still to read.
    ///
    /// # Errors
    /// When its offsets cannot be read.
    pub fn lag(&self, stage: &StageLog) -> Result<u64, EmbeddedError> {
        let mut positions = self.inner.lock();
        let mut lag = 0;
        for topic in stage.inputs {
            for at in 0..self.inner.partitions {
                let next = self.inner.next(&mut positions, stage.stage, *topic, at)?;
                lag += positions.ends.get(&(*topic, at)).copied().unwrap_or(0).saturating_sub(next);
            }
        }
        Ok(lag)
    }

    /// How many records of a partition were dropped because of retention, and of erasures.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dropped(&self, topic: Topic, at: u32) -> Result<BTreeMap<Cause, u64>, EmbeddedError> {
        self.inner.dropped(topic, at)
    }

    /// Dead letters that were dropped while their raw records were still there: topic, partition and offset of these, and the position in
    /// them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn dropped_letters(&self) -> Result<Vec<(Topic, u32, u64, u32)>, EmbeddedError> {
        self.inner.letters()
    }

    /// Shows every value of the states and of the log's own notes, with its key.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn each_value(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), EmbeddedError> {
        for name in [STATE, META, OFFSETS] {
            for row in self.inner.db.iterator_cf(self.inner.family(name)?, IteratorMode::Start) {
                let (key, value) = row.map_err(|error| self.inner.error("reading", error))?;
                visit(&key, &value);
            }
        }
        Ok(())
    }

    /// Reads everything, checking the checksum of every block; tells `read` the bytes of each record. Returns how many there are.
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
                let (key, value) = row.map_err(|error| self.inner.error("reading", error))?;
                count += 1;
                read((key.len() + value.len()) as u64);
            }
        }
        Ok(count)
    }

    /// Makes a copy of the log as it is now in the folder `to`, which must not exist: of hard links, where that is possible.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn checkpoint(&self, to: &Path) -> Result<(), EmbeddedError> {
        let failed = |error| self.inner.error("copying", error);
        Checkpoint::new(&self.inner.db).map_err(failed)?.create_checkpoint(to).map_err(failed)
    }

    /// Bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        let size = |name| {
            let family = self.inner.family(name).ok()?;
            self.inner.db.property_int_value_cf(family, "rocksdb.total-sst-files-size").ok()?
        };
        FAMILIES.into_iter().filter_map(size).sum()
    }

    /// The committed states of all stages, as they stand whenever they are read.
    pub fn states(&self) -> Committed {
        let inner = self.inner.clone();
        Committed::new(self.partitions(), Box::new(move |stage, at| Ok(session::base(&inner, stage, at))))
    }

    /// Worker `worker` of the `workers` of a stage: it owns the partitions whose number leaves `worker` as remainder.
    pub fn session(&self, stage: StageLog, worker: u32, workers: u32) -> EmbeddedSession {
        let owned = (0..self.inner.partitions).filter(|at| at % workers.max(1) == worker).collect();
        EmbeddedSession::new(self.inner.clone(), stage, owned, self.gauges.clone())
    }
}

type Visit<'a> = dyn FnMut(u64, i64, &[u8], Option<&[u8]>) -> bool + 'a;

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Positions> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(&self, name: &'static str) -> Result<&ColumnFamily, EmbeddedError> {
        family(&self.db, &self.path, name)
    }

    fn error(&self, operation: &'static str, why: impl ToString) -> EmbeddedError {
        store_error(operation, &self.path, why)
    }

    fn write(&self, batch: WriteBatch) -> Result<(), EmbeddedError> {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        self.db.write_opt(batch, &options).map_err(|error| self.error("writing to", error))
    }

    fn put_record(
        &self,
        batch: &mut WriteBatch,
        ends: &mut BTreeMap<(Topic, u32), u64>,
        output: &Output,
        at: u32,
        timestamp_ms: i64,
    ) -> Result<(), EmbeddedError> {
        let end = ends.entry((output.topic, at)).or_default();
        batch.put_cf(self.family(RECORDS)?, keys::record(output.topic, at, *end), keys::record_value(output, timestamp_ms));
        *end += 1;
        Ok(())
    }

    /// The next offset of a stage, read from disk the first time.
    fn next(&self, positions: &mut Positions, stage: &'static str, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        if let Some(next) = positions.read.get(&(stage, topic, at)) {
            return Ok(*next);
        }
        let stored = self
            .db
            .get_cf(self.family(OFFSETS)?, keys::offset(stage, topic, at))
            .map_err(|error| self.error("reading", error))?;
        let next = stored.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        positions.read.insert((stage, topic, at), next);
        Ok(next)
    }

    fn find_end(&self, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        let upper = keys::record(topic, at, u64::MAX);
        let mode = IteratorMode::From(&upper, rocksdb::Direction::Reverse);
        let found = match self.db.iterator_cf(self.family(RECORDS)?, mode).next() {
            Some(Ok((key, _))) if keys::same_partition(&key, &upper) => keys::offset_of(&key) + 1,
            Some(Err(error)) => return Err(self.error("reading", error)),
            // Every record was read and deleted: the end is where the reader stands.
            _ => self.last_read(topic, at)?,
        };
        // The last records may have been deleted.
        Ok(found.max(self.noted_end(topic, at)?))
    }

    fn last_read(&self, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        let stage = match topic {
            Topic::IdentityInbox => "identity",
            Topic::AttributorInbox => "attributor",
            _ => return Ok(0),
        };
        self.next(&mut Positions::default(), stage, topic, at)
    }

    fn visit(&self, topic: Topic, at: u32, from: u64, visit: &mut Visit<'_>) -> Result<(), EmbeddedError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(keys::record(topic, at, u64::MAX));
        options.set_readahead_size(1 << 20);
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(RECORDS)?, options);
        iterator.seek(keys::record(topic, at, from));
        while let Some((key, value)) = iterator.item() {
            let Some((timestamp_ms, record_key, record_value)) = keys::parse_value(value) else {
                return Err(
                    self.error("reading", format!("record {} of {}-{at} is corrupt", keys::offset_of(key), topic.name()))
                );
            };
            if !visit(keys::offset_of(key), timestamp_ms, record_key, record_value) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.error("reading", error))
    }

    /// Waits until records may have been written.
    fn wait(&self, positions: MutexGuard<'_, Positions>, limit: Duration) {
        drop(self.written.wait_timeout(positions, limit));
    }
}

fn family<'a>(db: &'a DB, path: &Path, name: &'static str) -> Result<&'a ColumnFamily, EmbeddedError> {
    db.cf_handle(name).ok_or_else(|| store_error("opening", path, format!("no column family {name}")))
}

fn family_options(name: &str, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    if name == STATE || name == META {
        table.set_bloom_filter(10.0, false);
    }
    options.set_block_based_table_factory(&table);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options
}

fn read_u32(db: &DB, path: &Path, key: &[u8]) -> Result<Option<u32>, EmbeddedError> {
    let found = db.get_cf(family(db, path, META)?, key).map_err(|error| store_error("opening", path, error))?;
    Ok(found.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes))
}

fn store_error(operation: &'static str, path: &Path, why: impl ToString) -> EmbeddedError {
    let mut why = why.to_string();
    if descriptors::says_none_left(&why) {
        why += descriptors::ADVICE;
    }
    EmbeddedError::Store { operation, path: path.to_owned(), why }
}

fn open_error(path: &Path, error: &rocksdb::Error) -> EmbeddedError {
    let why = error.to_string();
    if why.contains("lock") { EmbeddedError::InUse { path: path.to_owned() } } else { store_error("opening", path, why) }
}

#[cfg(test)]
mod beside_tests;
#[cfg(test)]
mod upkeep_tests;
