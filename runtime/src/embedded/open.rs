//! Opening an embedded log. A log that lost data is not opened, and nothing in its folder is changed: RocksDB, opened for writing, would
//! delete files that its remaining files do not name.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode, MergeOperands, Options, WriteBatch,
};
use tributary_proto::FORMAT_VERSION;

use super::error::{EmbeddedError, rocks_error, store_error};
use super::high_water::{self, HighWater, HighWaterFile, Missing};
use super::inner::{Inner, Positions, family};
use super::{EmbeddedLog, EmbeddedOptions, FAMILIES, META, STATE, keys};
use crate::descriptors::tables_of_one_store;
use crate::fresh::FreshGauges;
use crate::rocks_failure::open_beside_writer;

/// Memory of a log that is open for reading only, bytes.
const READ_MEMORY_BYTES: usize = 16 << 20;

/// Which damage of the write-ahead log is tolerated. A commit that was cut off always is: nobody got an answer for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bear {
    /// Only an incomplete last record.
    TornTail,
    /// Any damage: everything after it counts as lost.
    Loss,
}

impl EmbeddedLog {
    /// Opens the log in a folder, or creates one if there is none.
    ///
    /// # Errors
    /// When the folder cannot be used or is in use, contains a log with other options, or the log is damaged or incomplete.
    pub fn open(options: &EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let path = &options.path;
        fs::create_dir_all(path).map_err(|error| store_error("making", path, error))?;
        if Self::is_in(path) {
            look_before(path)?;
        } else if has_remains(path) {
            return Err(EmbeddedError::Remains { path: path.clone() });
        }
        let marked = read_mark(path)?;
        let inner = Inner::over(open_for_writing(options, Bear::TornTail)?, options);
        inner.check_shape(options.partitions)?;
        let stored = inner.stored_water()?;
        let water = inner.check_whole(marked, stored.clone())?;
        // The mark first: a mark at the beginning is consistent with an empty log.
        let file = HighWaterFile::create(path, &water).map_err(|error| store_error("marking", path, error))?;
        if stored.is_none() {
            inner.write_shape(&water)?;
        }
        Ok(Self::of(inner, water, Some(file)))
    }

    /// Opens the log in a folder for reading, in its current state. Another process may be writing to it.
    ///
    /// # Errors
    /// When there is none, it has another format, or it is damaged or incomplete.
    pub fn open_read_only(path: &Path) -> Result<Self, EmbeddedError> {
        if !Self::is_in(path) && has_remains(path) {
            return Err(EmbeddedError::Remains { path: path.to_owned() });
        }
        // Read before the log, because the log is never behind its mark.
        let marked = read_mark(path)?;
        let inner = Inner::for_reading(path, Bear::TornTail)?;
        inner.check_shape(inner.partitions)?;
        let stored = inner.stored_water()?;
        let water = inner.check_whole(marked, stored)?;
        Ok(Self::of(inner, water, None))
    }

    /// What the log in a folder has lost, as far as it can be read; `None` if nothing is missing. Changes nothing.
    ///
    /// # Errors
    /// When nothing can be read, or it has another format.
    pub fn losses(path: &Path) -> Result<Option<Missing>, EmbeddedError> {
        let inner = Inner::for_reading(path, Bear::Loss)?;
        inner.check_shape(inner.partitions)?;
        inner.losses()
    }

    /// Accepts the losses: from now on, what can be read of the log in a folder is all of it. Returns what was given up.
    ///
    /// # Errors
    /// When nothing can be read, it has another format, or another process has it open.
    pub fn accept_losses(path: &Path) -> Result<Option<Missing>, EmbeddedError> {
        let partitions = Inner::for_reading(path, Bear::Loss)?.partitions;
        let options = EmbeddedOptions::small(path, partitions);
        let inner = Inner::over(open_for_writing(&options, Bear::Loss)?, &options);
        inner.check_shape(partitions)?;
        let missing = inner.losses()?;
        inner.flush()?;
        let water = inner.stored_water()?.map_or_else(|| inner.find_water(), Ok)?;
        HighWaterFile::create(path, &water).map_err(|error| store_error("marking", path, error))?;
        Ok(missing)
    }

    fn of(inner: Inner, water: HighWater, mark: Option<HighWaterFile>) -> Self {
        *inner.lock() = Positions { water, mark, ..Positions::default() };
        Self { inner: Arc::new(inner), gauges: FreshGauges::default() }
    }
}

impl EmbeddedOptions {
    /// Options with little memory, for a log that is not processed.
    fn small(path: &Path, partitions: u32) -> Self {
        Self { path: path.to_owned(), partitions, memory_bytes: READ_MEMORY_BYTES, sync: false, json_dead_letters: false }
    }
}

impl Inner {
    fn over((db, cache): (DB, Cache), options: &EmbeddedOptions) -> Self {
        let EmbeddedOptions { path, partitions, sync, json_dead_letters, .. } = options.clone();
        let (positions, written) = (Mutex::default(), Condvar::new());
        Self { db, cache, path, partitions, sync, json_dead_letters, positions, written }
    }

    fn for_reading(path: &Path, bear: Bear) -> Result<Self, EmbeddedError> {
        let opened = open_for_reading(path, bear)?;
        let partitions = read_u32(&opened.0, path, keys::PARTITIONS)?.unwrap_or(0);
        Ok(Self::over(opened, &EmbeddedOptions::small(path, partitions)))
    }

    /// Checks the format version and the number of partitions. A log whose creation was cut off has neither yet.
    fn check_shape(&self, wanted: u32) -> Result<(), EmbeddedError> {
        let path = self.path.clone();
        match (read_u32(&self.db, &path, keys::FORMAT)?, read_u32(&self.db, &path, keys::PARTITIONS)?) {
            (None, _) => Ok(()),
            (Some(FORMAT_VERSION), Some(found)) if found == wanted => Ok(()),
            (Some(FORMAT_VERSION), found) => Err(EmbeddedError::Partitions { path, found: found.unwrap_or(0), wanted }),
            (Some(found), _) => Err(EmbeddedError::Format { path, found }),
        }
    }

    /// The high-water mark of the log, if it has reached the mark in the file.
    fn check_whole(&self, marked: Option<HighWater>, stored: Option<HighWater>) -> Result<HighWater, EmbeddedError> {
        let water = match (&marked, stored) {
            (None, Some(_)) => return Err(EmbeddedError::HighWater { path: self.path.clone(), why: "is gone".to_owned() }),
            (_, Some(stored)) => stored,
            (_, None) => self.find_water()?,
        };
        match marked.and_then(|marked| marked.missing_in(&water)) {
            Some(missing) => Err(EmbeddedError::Behind { path: self.path.clone(), missing }),
            None => Ok(water),
        }
    }

    fn losses(&self) -> Result<Option<Missing>, EmbeddedError> {
        let water = self.stored_water()?.map_or_else(|| self.find_water(), Ok)?;
        // If the mark itself is lost, the losses are unknown.
        Ok(high_water::read(&self.path).ok().flatten().and_then(|marked| marked.missing_in(&water)))
    }

    fn write_shape(&self, water: &HighWater) -> Result<(), EmbeddedError> {
        let meta = self.family(META)?;
        let mut batch = WriteBatch::default();
        batch.put_cf(meta, keys::PARTITIONS, self.partitions.to_be_bytes());
        batch.put_cf(meta, keys::FORMAT, FORMAT_VERSION.to_be_bytes());
        batch.put_cf(meta, keys::SEQUENCE, water.sequence.to_be_bytes());
        batch.put_cf(meta, keys::COUNT, water.sequence.to_be_bytes());
        for ((topic, at), end) in &water.ends {
            batch.put_cf(meta, keys::end(*topic, *at), keys::end_value(*end));
        }
        self.db.write(batch).map_err(|error| self.error("making", &error))
    }
}

/// Checks that a log is complete, before it is opened for writing.
fn look_before(path: &Path) -> Result<(), EmbeddedError> {
    match EmbeddedLog::open_read_only(path) {
        Ok(_) => Ok(()),
        // With a concurrent writer the files may look inconsistent for a moment. Then the error is that the log is in use.
        Err(_) if EmbeddedLog::is_held(path).unwrap_or(false) => Err(EmbeddedError::InUse { path: path.to_owned() }),
        // Its creation was cut off before all column families existed: nothing was ever written.
        Err(EmbeddedError::Store { why, .. }) if why.contains("Column family not found") && !has_remains(path) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a folder without a log contains files of one. A log whose creation was cut off leaves none of these.
fn has_remains(path: &Path) -> bool {
    let marked = !matches!(high_water::read(path), Ok(Some(HighWater { sequence: 0, .. }) | None));
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let tells = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let is = |end| Path::new(&name).extension().is_some_and(|extension| extension == end);
        is("sst") || (is("log") && entry.metadata().is_ok_and(|file| file.len() > 0))
    };
    marked || entries.into_iter().any(|entry| tells(&entry))
}

fn read_mark(path: &Path) -> Result<Option<HighWater>, EmbeddedError> {
    high_water::read(path).map_err(|error| EmbeddedError::HighWater { path: path.to_owned(), why: error.to_string() })
}

fn open_for_writing(options: &EmbeddedOptions, bear: Bear) -> Result<(DB, Cache), EmbeddedError> {
    let cache = Cache::new_lru_cache(options.memory_bytes / 2);
    let mut settings = recovery_options(bear);
    settings.create_if_missing(true);
    settings.create_missing_column_families(true);
    settings.set_db_write_buffer_size(options.memory_bytes / 2);
    settings.set_max_background_jobs(2);
    settings.set_keep_log_file_num(2);
    settings.set_max_open_files(tables_of_one_store());
    let opened = DB::open_cf_descriptors(&settings, &options.path, families(&cache));
    Ok((opened.map_err(|error| rocks_error("opening", &options.path, &error))?, cache))
}

fn open_for_reading(path: &Path, bear: Bear) -> Result<(DB, Cache), EmbeddedError> {
    let cache = Cache::new_lru_cache(READ_MEMORY_BYTES / 2);
    let settings = recovery_options(bear);
    let opened = open_beside_writer(|| DB::open_cf_descriptors_read_only(&settings, path, families(&cache), false));
    Ok((opened.map_err(|error| rocks_error("opening", path, &error))?, cache))
}

fn recovery_options(bear: Bear) -> Options {
    let mut settings = Options::default();
    settings.set_wal_recovery_mode(match bear {
        Bear::TornTail => DBRecoveryMode::TolerateCorruptedTailRecords,
        Bear::Loss => DBRecoveryMode::PointInTime,
    });
    settings.set_track_and_verify_wals_in_manifest(bear == Bear::TornTail);
    // So that column families never contain different transactions after a crash.
    settings.set_atomic_flush(true);
    settings
}

fn families(cache: &Cache) -> impl Iterator<Item = ColumnFamilyDescriptor> {
    FAMILIES.into_iter().map(|name| ColumnFamilyDescriptor::new(name, family_options(name, cache)))
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
    if name == META {
        options.set_merge_operator_associative("add", add);
    }
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}

/// A merge operator that adds numbers.
fn add(_: &[u8], before: Option<&[u8]>, more: &MergeOperands) -> Option<Vec<u8>> {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_be_bytes);
    let sum = more.iter().map(number).fold(before.map_or(0, number), u64::wrapping_add);
    Some(sum.to_be_bytes().to_vec())
}

fn read_u32(db: &DB, path: &Path, key: &[u8]) -> Result<Option<u32>, EmbeddedError> {
    let found = db.get_cf(family(db, path, META)?, key).map_err(|error| rocks_error("opening", path, &error))?;
    Ok(found.and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
