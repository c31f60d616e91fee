//! The state that a service keeps on this machine: inspect, verify, back up and restore.

mod backup;
mod embedded;
pub mod hold;
mod leftovers;
mod manifest;
mod swap;

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::exactly_once::Inputs;
use tributary_runtime::state::{RocksStore, StoreBudget, store_folder};

pub use backup::{PutBack, RestoreRefused, back_up, put_back};
pub use embedded::{make_ours, open_embedded};
pub use leftovers::{Interrupted, settle};
pub use manifest::{Backup, Damage};

/// Memory for reading, bytes.
const READ_CACHE_BYTES: usize = 32 << 20;
/// The stages with state.
pub const KEEPERS: [StageName; 2] = [StageName::Identity, StageName::Attributor];

/// A store on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlace {
    /// Its stage.
    pub stage: &'static str,
    /// Its partition.
    pub partition: u32,
    /// Its folder.
    pub path: PathBuf,
}

/// The stores of Kafka's workers, by stage and partition.
pub fn stores(settings: &Settings) -> Vec<StorePlace> {
    let folder = settings.state.folder_of_process();
    let mut found = Vec::new();
    for stage in KEEPERS.map(|stage| stage.log().stage) {
        let entries = fs::read_dir(folder.join(stage)).into_iter().flatten().flatten();
        let mut partitions: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        partitions.sort_unstable();
        found.extend(partitions.into_iter().map(|partition| {
            let path = store_folder(&folder, stage, partition);
            StorePlace { stage, partition, path }
        }));
    }
    found
}

/// A summary of a store. Offsets are those of the next records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreInfo {
    /// Its stage; `all` for the embedded log.
    pub stage: &'static str,
    /// Its partition; `None` for the embedded log, which has all partitions.
    pub partition: Option<u32>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Offset in the changelog; `None` for an empty store, and for the embedded log.
    pub changelog_next: Option<u64>,
    /// When the record before that was written, milliseconds since 1970-01-01 UTC.
    pub as_of_ms: Option<u64>,
    /// The input offsets that the state includes.
    pub inputs: String,
}

/// Summaries of the stores on this machine; a service may be running.
///
/// # Errors
/// When one cannot be read.
pub fn info(settings: &Settings) -> anyhow::Result<Vec<StoreInfo>> {
    if settings.kafka.is_embedded() {
        let log = EmbeddedLog::open_read_only(&settings.state.folder_of_log())?;
        let mut lags = Vec::new();
        for stage in StageName::ALL {
            lags.push(format!("{} {} behind", stage.log().stage, log.lag(&stage.log())?));
        }
        let (bytes, inputs) = (log.size_bytes(), lags.join(", "));
        return Ok(vec![StoreInfo { stage: "all", partition: None, bytes, changelog_next: None, as_of_ms: None, inputs }]);
    }
    let budget = StoreBudget::new(READ_CACHE_BYTES);
    let mut found = Vec::new();
    for place in stores(settings) {
        let store = RocksStore::open_read_only(&place.path, &budget)?;
        let position = store.position()?;
        found.push(StoreInfo {
            stage: place.stage,
            partition: Some(place.partition),
            bytes: store.size_bytes(),
            changelog_next: position.map(|position| position.changelog_next),
            as_of_ms: position.map(|position| position.as_of_ms),
            inputs: store.inputs()?.unwrap_or(Inputs::default()).to_string(),
        });
    }
    Ok(found)
}

/// The result of reading a whole store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Its stage; `all` for the embedded log.
    pub stage: &'static str,
    /// Its partition; `None` for the embedded log.
    pub partition: Option<u32>,
    /// Values read.
    pub values: u64,
    /// Bytes of keys and values, uncompressed.
    pub bytes: u64,
    /// The error, if any.
    pub fault: Option<String>,
}

impl Verified {
    /// Reads a store with `whole`, which reports the bytes of each value and returns the number of values.
    fn by(
        stage: &'static str,
        partition: Option<u32>,
        read: &mut dyn FnMut(u64),
        whole: impl FnOnce(&mut dyn FnMut(u64)) -> anyhow::Result<u64>,
    ) -> Self {
        let mut bytes = 0;
        let result = whole(&mut |more| {
            bytes += more;
            read(more);
        });
        let fault = result.as_ref().err().map(|error| format!("{error:#}"));
        Self { stage, partition, values: result.unwrap_or(0), bytes, fault }
    }
}

/// Reads every value of every store; calls `read` with the bytes of each.
pub fn verify(settings: &Settings, read: &mut dyn FnMut(u64)) -> Vec<Verified> {
    if settings.kafka.is_embedded() {
        let folder = settings.state.folder_of_log();
        return vec![Verified::by("all", None, read, |read| Ok(EmbeddedLog::open_read_only(&folder)?.verify(read)?))];
    }
    let budget = StoreBudget::new(READ_CACHE_BYTES);
    let mut found = Vec::new();
    for place in stores(settings) {
        let whole = |read: &mut dyn FnMut(u64)| Ok(RocksStore::open_read_only(&place.path, &budget)?.verify(read)?);
        found.push(Verified::by(place.stage, Some(place.partition), read, whole));
    }
    found
}
