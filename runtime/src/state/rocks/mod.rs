//! The committed state of a partition in RocksDB: one database per stage and partition.
//!
//! Everything is in one column family, so that a write batch is in one memtable and reaches the disk whole or not at all: values, the input
//! offsets they stand for, and the position in the changelog. So the write-ahead log can be off: a crash loses a tail of whole batches, and
//! the changelog has them.
//!
//! ```text
//! actor key (17 bytes) sub-key   value        written by the stages; no actor has the tag 0 or 255
//! 17 zero bytes "inputs"         offsets      see `exactly_once::Inputs`; also a record of the changelog
//! 17 zero bytes "position"       position     version 1, next offset (8, big-endian), as of (8, big-endian)
//! ```

mod base;
mod broken;
mod bulk;
mod open;
mod options;
mod view;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{Cache, DB, FlushOptions, ReadOptions, WriteBatch, WriteBufferManager, WriteOptions};

use super::StateError;
use crate::exactly_once::{INPUTS_KEY, Inputs, Position};
use crate::rocks_failure::{is_full, open_beside_writer};
use broken::{open_failed, tell};
use options::database_options;
pub use view::StoreView;

/// The properties of RocksDB that are above 0 while writes are stopped or slowed.
pub(crate) const STALLS: [&str; 2] = ["rocksdb.is-write-stopped", "rocksdb.actual-delayed-write-rate"];

/// Key of the position. Part of the stored format: do not change.
const POSITION_KEY: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0position";
/// Version of the position, and with it of the whole folder.
const POSITION_VERSION: u8 = 1;

/// Longest time without a flush: a crash loses no more than this, however little is written. Restored data is compacted after the same
/// time.
const FLUSH_AFTER: Duration = Duration::from_mins(10);

/// Table files that a store keeps open by default.
const TABLES: i32 = 256;

/// A store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error(
        "the state folder {} is in use by another process; give each process a state path of its own, or stop the other one", path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by another version.
    #[error(
        "the state folder {} has a format this version does not know; delete it, and it is restored from the changelog", path.display()
    )]
    Format {
        /// The folder.
        path: PathBuf,
    },
    /// The partition was opened again in this process.
    #[error("the state folder {} was taken over by another worker", path.display())]
    Superseded {
        /// The folder.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("the state folder {}: {operation} failed: no space left on the device; make room", path.display())]
    Full {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
    },
    /// RocksDB or the file system failed.
    #[error("the state folder {}: {operation} failed: {why}", path.display())]
    Failed {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// The error.
        why: String,
    },
}

/// Shared by the stores of a process: one cache, to which write buffers are charged, so that their memory has one limit.
pub struct StoreBudget {
    cache: Cache,
    buffers: WriteBufferManager,
    /// Open databases. A partition may come back, or go to another worker, while its former owner still holds it: they then share the
    /// database.
    open: Mutex<BTreeMap<PathBuf, Weak<Inner>>>,
    /// Table files that each store keeps open.
    tables: i32,
}

impl StoreBudget {
    /// At most about `bytes` for blocks, indexes, filters and write buffers; at most half of it for write buffers.
    pub fn new(bytes: usize) -> Self {
        let cache = Cache::new_lru_cache(bytes);
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(bytes / 2, false, cache.clone());
        Self { cache, buffers, open: Mutex::default(), tables: TABLES }
    }

    /// The same, with this many open table files per store.
    #[must_use]
    pub fn with_tables(self, tables: u64) -> Self {
        Self { tables: i32::try_from(tables).unwrap_or(i32::MAX), ..self }
    }

    /// Bytes in use.
    pub fn used_bytes(&self) -> usize {
        self.cache.get_usage()
    }
}

/// The stored form of a position.
impl Position {
    fn encode(self) -> [u8; 17] {
        let mut bytes = [POSITION_VERSION; 17];
        let parts = self.changelog_next.to_be_bytes().into_iter().chain(self.as_of_ms.to_be_bytes());
        bytes.iter_mut().skip(1).zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (next, as_of) = rest.split_first_chunk::<8>()?;
        let as_of: [u8; 8] = as_of.try_into().ok()?;
        (*version == POSITION_VERSION)
            .then_some(Self { changelog_next: u64::from_be_bytes(*next), as_of_ms: u64::from_be_bytes(as_of) })
    }
}

struct Inner {
    db: DB,
    path: PathBuf,
    writer: Mutex<Writer>,
}

struct Writer {
    /// The number of the latest opening: only that one may write.
    claim: u64,
    flushed: Instant,
    /// Whether restored files are excluded from compaction for now.
    loaded: bool,
}

/// A handle to the committed state of one partition. Clones share it; only the latest [`RocksStore::open`] may write.
#[derive(Clone)]
pub struct RocksStore {
    inner: Arc<Inner>,
    claim: u64,
}

impl RocksStore {
    /// Opens the state in the folder `path`, or creates it. A folder that is damaged, or has a format that this version does not know, is
    /// renamed, and a new one begun: the changelog has all of the data.
    ///
    /// # Errors
    /// When another process holds the folder, or the file system fails.
    pub fn open(path: &Path, budget: &StoreBudget) -> Result<Self, StoreError> {
        let mut open = lock(&budget.open);
        let inner = match open.get(path).and_then(Weak::upgrade) {
            Some(inner) => inner,
            None => {
                let inner = Arc::new(Inner::open(path, budget)?);
                open.retain(|_, store| store.strong_count() > 0);
                open.insert(path.to_owned(), Arc::downgrade(&inner));
                inner
            }
        };
        let claim = {
            let mut writer = lock(&inner.writer);
            writer.claim += 1;
            writer.claim
        };
        let store = Self { inner, claim };
        store.position()?;
        Ok(store)
    }

    /// Opens the state in a folder for reading, as last flushed to disk. Another process may be writing to it.
    ///
    /// # Errors
    /// When there is none, when another version wrote it, or when it cannot be read.
    pub fn open_read_only(path: &Path, budget: &StoreBudget) -> Result<Self, StoreError> {
        let mut options = database_options(budget);
        // All files are opened once: the writer may delete a file, but it stays readable here.
        options.set_max_open_files(-1);
        let db = open_beside_writer(|| DB::open_for_read_only(&options, path, false));
        let db = db.map_err(|error| open_failed(path, "opening for reading", &error))?;
        // An opening number that is never the latest, so that nobody can write.
        let writer = Mutex::new(Writer { claim: 1, flushed: Instant::now(), loaded: false });
        let store = Self { inner: Arc::new(Inner { db, path: path.to_owned(), writer }), claim: 0 };
        store.position()?;
        Ok(store)
    }

    /// The position of the state; `None` if it is empty.
    ///
    /// # Errors
    /// When it cannot be read or another version wrote it.
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        match self.value(POSITION_KEY)? {
            None => Ok(None),
            Some(bytes) => match Position::decode(&bytes) {
                Some(position) => Ok(Some(position)),
                None => Err(StoreError::Format { path: self.inner.path.clone() }),
            },
        }
    }

    /// The value under a whole key.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.db.get(key).map_err(|error| self.inner.failed("reading", error))
    }

    /// Writes changes and the position after them, atomically. Survives the process, but not a crash of the machine: see the module.
    ///
    /// # Errors
    /// When the partition was opened again since, or the write fails.
    pub fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        position: Position,
    ) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        batch.put(POSITION_KEY, position.encode());
        let mut options = WriteOptions::default();
        options.disable_wal(true);

        let mut writer = self.writer()?;
        self.inner.db.write_opt(batch, &options).map_err(|error| self.inner.failed("writing", error))?;
        if writer.flushed.elapsed() > FLUSH_AFTER {
            writer.flushed = Instant::now();
            self.set_loaded(&mut writer, false)?;
            let mut flush = FlushOptions::default();
            flush.set_wait(false);
            self.inner.db.flush_opt(&flush).map_err(|error| self.inner.failed("flushing", error))?;
        }
        Ok(())
    }

    /// Flushes: what was written so far survives a crash.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.db.flush().map_err(|error| self.inner.failed("flushing", error))
    }

    /// The input offsets that the state includes; `None` if it is empty.
    ///
    /// # Errors
    /// When they cannot be read, or another version wrote them.
    pub fn inputs(&self) -> Result<Option<Inputs>, StoreError> {
        let Some(bytes) = self.value(INPUTS_KEY)? else { return Ok(None) };
        Inputs::decode(&bytes).map(Some).ok_or_else(|| StoreError::Format { path: self.inner.path.clone() })
    }

    /// Reads every value, with the checksum of every block; calls `read` with the bytes of each. Returns the number of values.
    ///
    /// # Errors
    /// When something cannot be read. The folder is marked then, and the next [`Self::open`] renames it.
    pub fn verify(&self, read: &mut dyn FnMut(u64)) -> Result<u64, StoreError> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        options.fill_cache(false);
        let mut rows = self.inner.db.raw_iterator_opt(options);
        rows.seek_to_first();
        let mut count = 0;
        while let Some((key, value)) = rows.item() {
            count += 1;
            read((key.len() + value.len()) as u64);
            rows.next();
        }
        rows.status().map_err(|error| self.inner.failed("reading", error))?;
        Ok(count)
    }

    /// Copies the current state to the folder `to`, which must not exist; with hard links if possible.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn checkpoint(&self, to: &Path) -> Result<(), StoreError> {
        let failed = |error| self.inner.failed("copying", error);
        self.flush()?;
        Checkpoint::new(&self.inner.db).map_err(failed)?.create_checkpoint(to).map_err(failed)
    }

    /// Approximate bytes on disk and in write buffers.
    pub fn size_bytes(&self) -> u64 {
        let property = |name| self.inner.db.property_int_value(name).ok().flatten().unwrap_or(0);
        property("rocksdb.total-sst-files-size") + property("rocksdb.cur-size-all-mem-tables")
    }

    /// Whether RocksDB slows or has stopped writes, because flushes and compactions do not keep up.
    pub fn is_stalled(&self) -> bool {
        STALLS.into_iter().any(|name| self.inner.db.property_int_value(name).ok().flatten().is_some_and(|value| value > 0))
    }

    /// Deletes everything, so that it is restored completely.
    ///
    /// # Errors
    /// When the partition was opened again since, or the write fails.
    pub fn clear(&self) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        batch.delete_range(&[0x00][..], &[0xff][..]);
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let _writer = self.writer()?;
        self.inner.db.write_opt(batch, &options).map_err(|error| self.inner.failed("clearing", error))
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let writer = lock(&self.inner.writer);
        if writer.claim == self.claim { Ok(writer) } else { Err(StoreError::Superseded { path: self.inner.path.clone() }) }
    }
}

impl Inner {
    fn failed(&self, operation: &'static str, error: rocksdb::Error) -> StoreError {
        if is_full(&error) {
            return StoreError::Full { path: self.path.clone(), operation };
        }
        StoreError::Failed { path: self.path.clone(), operation, why: tell(&self.path, &error) }
    }

    fn unreadable(&self, error: &rocksdb::Error) -> StateError {
        StateError::Read(tell(&self.path, error))
    }
}

/// A panic while the lock was held cannot leave inconsistent data here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
