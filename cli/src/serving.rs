//! Common parts of a serving process: health, the collector, and shutdown.

use std::time::Duration;

use tributary_collect::Rate;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::http;
use tributary_runtime::service::Service;
use tributary_runtime::state::StateError;
use tributary_runtime::worker::WorkerError;

use crate::engine::{self, Target};
use crate::global::Global;
use crate::outcome::Usage;
use crate::table;

/// How often the workers are checked.
pub const LOOK: Duration = Duration::from_millis(50);

/// Serves health checks on their own address, if one is configured.
pub fn serve_probes(settings: &Settings, service: &Service) -> anyhow::Result<()> {
    if let Some(address) = settings.http.probes {
        let address = http::serve_probes(address, service.health(), &settings.service_name())?;
        tracing::info!(%address, "serves health only");
    }
    Ok(())
}

/// Stops the service, and prints the work of each worker if requested.
pub fn end(service: Service, global: &Global) -> anyhow::Result<()> {
    let health = service.health();
    service.stop().map_err(|error| match error {
        // A usage error, because a restart with the same configuration would stop again.
        WorkerError::Settings(_) | WorkerError::State { source: StateError::Newer(_), .. } => Usage(error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    tracing::info!("stopped; no transaction is open");
    if global.json {
        table::print_json(&health.work())?;
    }
    Ok(())
}

/// Starts the collector beside the stages of the service. Returns the rate limit.
///
/// # Errors
/// When nobody could send, the address cannot be listened on, or a client refuses its configuration.
pub fn start_collector(
    service: &mut Service,
    settings: &Settings,
    stages: &[StageName],
    target: Target<'_>,
) -> anyhow::Result<Rate> {
    if !settings.collects() {
        let why = "nobody could send: name a write key in [collector.write_keys] or a webhook in [collector.webhooks]";
        return Err(Usage(why.to_owned()).into());
    }
    let (address, rate) = engine::start_collector(service, settings, stages, target)?;
    tracing::info!(%address, "the collector listens");
    Ok(rate)
}
