//! `tributary collect`: events over HTTP, onto the raw topics.

use std::sync::atomic::Ordering;

use clap::Args;
use tributary_pipeline::catalogue;
use tributary_runtime::http;
use tributary_runtime::page::Page;
use tributary_runtime::service::Service;

use crate::engine::Target;
use crate::global::Global;
use crate::manager::Manager;
use crate::outcome::Usage;
use crate::reload::{Live, Reload};
use crate::serving::{LOOK, end, serve_probes, start_collector};
use crate::signals::Signals;
use crate::{engine, logging};

const AFTER_HELP: &str = "\
Endpoints, on collector.listen:
  POST /v1/{track,identify,page,screen,group,alias,batch,import}   messages of the Segment specification; write key as basic auth
  POST /utm, GET /utm.gif                                          landing hits: native touch records, or a pixel
  POST /webhooks/NAME                                              pushes of [collector.webhooks.NAME], if their signature is valid
A request is answered after the log has stored it; 429 and 503 come with Retry-After. SIGINT and SIGTERM finish open requests; SIGHUP reloads
the configuration, as with `tributary run`. The embedded log belongs to one process: there, use `tributary run --collect`.

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
    let page = Page::install(catalogue::metrics(), settings.state.folder_of_process())?;
    let watched = engine::watch_brokers(&mut service, settings, page.gauges())?;
    let rate = Some(start_collector(&mut service, settings, &[], Target::Kafka(&watched))?);
    let address = http::serve(settings.http.listen, page, service.health(), &settings.service_name())?;
    serve_probes(settings, &service)?;
    tracing::info!(http = %address, version = env!("CARGO_PKG_VERSION"), "started");
    let mut manager = Manager::of_process();
    manager.ready();
    let mut reload = reload.of(Live { rate, limits: None });
    signals.on_hangup(move || reload.again());
    let (stop, health) = (service.stop_flag(), service.health());
    while !stop.load(Ordering::Relaxed) {
        manager.look(&health);
        std::thread::sleep(LOOK);
    }
    manager.stopping();
    end(service, global)
}
