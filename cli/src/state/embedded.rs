//! The embedded log of this machine.

use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::embedded::{EmbeddedError, EmbeddedLog, EmbeddedOptions};
use tributary_runtime::topic::Topic;

use super::{hold, settle};
use crate::{modes, shares};

/// Opens the embedded log in the settings.
///
/// # Errors
/// When it cannot be opened.
pub fn open_embedded(settings: &Settings) -> Result<EmbeddedLog, EmbeddedError> {
    make_ours(settings).map_err(|why| EmbeddedError::Store {
        operation: "opening",
        path: settings.state.folder_of_log(),
        why: why.to_string(),
    })?;
    EmbeddedLog::open(&EmbeddedOptions {
        path: settings.state.folder_of_log(),
        partitions: settings.topics.partitions,
        // There are no Kafka clients, so the log gets their memory.
        memory_bytes: 2 * shares::memory(settings, &StageName::ALL).stores,
        sync: settings.state.sync,
        json_dead_letters: settings.worker.formats.is_json(Topic::DeadLetters),
    })
}

/// Makes the state folder private, finishes an interrupted restore, and prevents restores until the process ends.
pub fn make_ours(settings: &Settings) -> anyhow::Result<()> {
    let state = settings.state.folder_of_process();
    modes::tighten(&state)?;
    settle(&state)?;
    Ok(hold::share(&state)?)
}
