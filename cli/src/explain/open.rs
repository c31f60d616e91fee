//! The state of a service, opened for reading while the service may be running.

use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::state::{Committed, stores_read_only};

use crate::settings::Settings;
use crate::state::stores;

/// Opens what the settings name: the embedded log, or the stores of this process's partitions on Kafka, which show what last reached
/// the disk.
///
/// # Errors
/// When there is none or it cannot be read.
pub fn open(settings: &Settings) -> anyhow::Result<Committed> {
    let folder = settings.state.folder_of_process();
    let nothing = || anyhow::anyhow!("there is no state in {}; set state.path to the folder of the service", folder.display());
    if settings.kafka.is_embedded() {
        let path = settings.state.folder_of_log();
        return if path.is_dir() { Ok(EmbeddedLog::open_read_only(&path)?.states()) } else { Err(nothing()) };
    }
    match stores(settings).iter().map(|store| store.partition.saturating_add(1)).max() {
        None => Err(nothing()),
        // A folder of a higher number says that the topics were made with more partitions than the settings have now.
        Some(found) => Ok(stores_read_only(&folder, found.max(settings.topics.partitions))),
    }
}
