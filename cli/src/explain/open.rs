//! The state of a service, opened for reading while the service may be running.

use std::fs;
use std::path::Path;

use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::state::{Committed, stores_read_only};

use crate::pipeline::StageName;
use crate::settings::Settings;

/// Opens what the settings name: the embedded log, or the stores of this process's partitions on Kafka, which show what last reached
/// the disk.
///
/// # Errors
/// When there is none or it cannot be read.
pub fn open(settings: &Settings) -> anyhow::Result<Committed> {
    let folder = settings.state.folder_of_process();
    let nothing = || anyhow::anyhow!("there is no state in {}; set state.path to the folder of the service", folder.display());
    if settings.kafka.is_embedded() {
        let path = folder.join("log");
        return if path.is_dir() { Ok(EmbeddedLog::open_read_only(&path)?.states()) } else { Err(nothing()) };
    }
    let found = [StageName::Identity, StageName::Attributor].map(|stage| partitions_in(&folder.join(stage.log().stage)));
    match found.into_iter().max() {
        None | Some(0) => Err(nothing()),
        // A folder of a higher number says that the topics were made with more partitions than the settings have now.
        Some(found) => Ok(stores_read_only(&folder, found.max(settings.topics.partitions))),
    }
}

/// One more than the highest partition whose store is in a folder.
fn partitions_in(folder: &Path) -> u32 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.map(|number| number.saturating_add(1)).max().unwrap_or(0)
}
