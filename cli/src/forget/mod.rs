//! Deletion of erased people's data: in the embedded log, which does it by itself, and a search of an operator's topics.

mod held;
mod named;
mod text;

use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::config::settings::TopicsSettings;
use tributary_runtime::embedded::{EmbeddedLog, Forgotten, Retention, Upkeep};
use tributary_runtime::service::Service;

pub use held::{Held, Place, search};
pub use named::Named;

const DAY_MS: i64 = 86_400_000;

/// The upkeep of an embedded log, by the settings.
pub fn upkeep(log: &EmbeddedLog, settings: &Settings, pipeline: &Pipeline) -> Upkeep {
    log.upkeep(retention(&settings.topics), Box::new(Named::new(pipeline.clone())))
}

/// Starts it beside the workers of a service.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(service: &mut Service, log: &EmbeddedLog, settings: &Settings, pipeline: &Pipeline) -> std::io::Result<()> {
    let mut upkeep = upkeep(log, settings, pipeline);
    service.watch("upkeep".to_owned(), move |pulse| upkeep.run(pulse))
}

/// Does what is due when the workers of a service have ended. If it fails, the next start continues.
pub fn at_stop(log: &EmbeddedLog, settings: &Settings, pipeline: &Pipeline) {
    match upkeep(log, settings, pipeline).leave() {
        Ok((Forgotten { identifiers, records }, all)) => {
            if identifiers > 0 {
                tracing::info!(identifiers, records, "deleted the raw data of erasures: records that named them were dropped");
            }
            if !all {
                tracing::info!(
                    "the raw data of the latest erasures is still to be deleted: the next run does it, or `tributary state forget`"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "the upkeep of the embedded log failed; the next run continues it"),
    }
}

fn retention(topics: &TopicsSettings) -> Retention {
    let days = |days: u32| (days > 0).then(|| i64::from(days) * DAY_MS);
    Retention {
        raw_ms: days(topics.raw_retention_days),
        dead_letters_ms: days(topics.dead_letters_retention_days),
        tombstones_ms: i64::from(topics.tombstone_retention_days) * DAY_MS,
    }
}
