//! `tributary collect`: events over HTTP, onto the raw topics.

use std::sync::atomic::Ordering;

use clap::Args;
use tributary_runtime::http;
use tributary_runtime::page::Page;
use tributary_runtime::service::Service;

use super::run::{LOOK, end, watch_signals};
use crate::args::Global;
use crate::engine::Target;
use crate::outcome::Usage;
use crate::pipeline::metrics;
use crate::settings::Settings;
use crate::{engine, logging};

const AFTER_HELP: &str = "\
Endpoints, on collector.listen:
  POST /v1/{track,identify,page,screen,group,alias,batch,import}   messages of the Segment specification; write key as basic auth
  POST /utm, GET /utm.gif                                          landing hits: native touch records, or a pixel
  POST /webhooks/NAME                                              pushes of [collector.webhooks.NAME], once their signature is checked
A request is answered once the log has it; 429 and 503 come with Retry-After. SIGINT and SIGTERM finish what has begun. The embedded
log belongs to one process: there, use `tributary run --collect`.

Example:
  tributary collect --set kafka.brokers=localhost:9092 --set 'collector.write_keys.web=${env:WEB_WRITE_KEY}'";

/// The arguments of `collect`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CollectArgs {}

/// Runs `collect`.
///
/// # Errors
/// When there is no Kafka, the address cannot be listened on, or a client refuses its configuration.
pub fn run(_: &CollectArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    if settings.kafka.is_embedded() {
        let why = "kafka.brokers is empty, and the embedded log belongs to one process: use `tributary run --collect`";
        return Err(Usage(why.to_owned()).into());
    }
    let page = Page::install(&metrics(), settings.state.folder_of_process())?;
    let mut service = Service::default();
    let watched = engine::watch_brokers(&mut service, &settings, page.gauges())?;
    start(&mut service, &settings, Target::Kafka(&watched))?;
    let address = http::serve(settings.http.listen, page, service.health())?;
    tracing::info!(http = %address, version = env!("CARGO_PKG_VERSION"), "started");
    let stop = service.stop_flag();
    watch_signals(stop.clone())?;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    end(service, global)
}

/// Starts the collector beside what else the service runs.
///
/// # Errors
/// See [`run`].
pub(super) fn start(service: &mut Service, settings: &Settings, target: Target<'_>) -> anyhow::Result<()> {
    if settings.collector.write_keys.is_empty() && settings.collector.webhooks.is_empty() {
        let why = "nobody could send: name a write key in [collector.write_keys] or a webhook in [collector.webhooks]";
        return Err(Usage(why.to_owned()).into());
    }
    let address = engine::start_collector(service, settings, target)?;
    tracing::info!(%address, "the collector listens");
    Ok(())
}
