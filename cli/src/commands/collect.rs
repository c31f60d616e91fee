//! `tributary collect`: events over HTTP, onto the raw topics.

use std::sync::atomic::Ordering;

use clap::Args;
use tributary_collect::Rate;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::http;
use tributary_runtime::page::Page;
use tributary_runtime::service::Service;

use super::run::{LOOK, end, serve_probes};
use crate::args::Global;
use crate::engine::Target;
use crate::outcome::Usage;
use crate::reload::{Live, Reload};
use crate::signals::Signals;
use crate::{engine, logging};

const AFTER_HELP: &str = "\
Endpoints, on collector.listen:
  POST /v1/{track,identify,page,screen,group,alias,batch,import}   messages of the Segment specification; write key as basic auth
  POST /utm, GET /utm.gif                                          landing hits: native touch records, or a pixel
  POST /webhooks/NAME                                              pushes of [collector.webhooks.NAME], once their signature is checked
A request is answered once the log has it; 429 and 503 come with Retry-After. SIGINT and SIGTERM finish what has begun; SIGHUP reads
the configuration again, as with `tributary run`. The embedded log belongs to one process: there, use `tributary run --collect`.

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
    let mut service = Service::default();
    let signals = Signals::watch(service.stop_flag())?;
    let loaded = global.loaded()?;
    let reload = Reload::new(global.clone(), &loaded);
    let settings = &loaded.settings;
    logging::start(&settings.log);
    if settings.kafka.is_embedded() {
        let why = "kafka.brokers is empty, and the embedded log belongs to one process: use `tributary run --collect`";
        return Err(Usage(why.to_owned()).into());
    }
    let page = Page::install(&engine::metrics(), settings.state.folder_of_process())?;
    let watched = engine::watch_brokers(&mut service, settings, page.gauges())?;
    let rate = Some(start(&mut service, settings, &[], Target::Kafka(&watched))?);
    let address = http::serve(settings.http.listen, page, service.health(), &settings.service_name())?;
    serve_probes(settings, &service)?;
    tracing::info!(http = %address, version = env!("CARGO_PKG_VERSION"), "started");
    let mut reload = reload.of(Live { rate, limits: None });
    signals.on_hangup(move || reload.again());
    let stop = service.stop_flag();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    end(service, global)
}

/// Starts the collector beside the stages that the service runs. Returns how much each sender may send.
///
/// # Errors
/// See [`run`].
pub(super) fn start(
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
