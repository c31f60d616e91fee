//! `tributary run`: runs the stages until it is stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use tributary_pipeline::catalogue;
use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_runtime::gate::Gate;
use tributary_runtime::http;
use tributary_runtime::page::Page;
use tributary_runtime::service::{Health, Service};

use crate::backlog::{self, Left, Places};
use crate::engine::Target;
use crate::global::Global;
use crate::manager::Manager;
use crate::outcome::Usage;
use crate::reload::{Live, Reload};
use crate::serving::{LOOK, end, serve_probes, start_collector};
use crate::signals::Signals;
use crate::{engine, forget, logging, requests, state};

const AFTER_HELP: &str = "\
Runs on Kafka if kafka.brokers is set, otherwise on the embedded log in state.path. SIGINT and SIGTERM finish the open transaction and
exit. SIGHUP reloads the configuration, applies log.level, worker.dead_letters, collector.rate and rate_kb, and logs which other keys need
a restart. Metrics and health are on http.listen (/metrics, /livez, /readyz), health alone on http.probes; on Kafka `explain`,
`profile` and `audit` are answered on admin.listen. --json prints each worker's number of records at the end.

Example, all stages in one process, then one stage of three, then the embedded log with the collector:
  tributary run --set kafka.brokers=localhost:9092
  tributary run --set kafka.brokers=localhost:9092 --stages identity --set http.listen=127.0.0.1:9465
  tributary run --collect --set 'collector.write_keys.web=${env:WEB_WRITE_KEY}'";

/// The arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunArgs {
    /// The stages to run
    #[arg(long, value_delimiter = ',', value_parser = stage_names(), default_values = StageName::ALL.map(StageName::name))]
    stages: Vec<StageName>,
    /// Also collect events over HTTP, on collector.listen (see `tributary collect --help`)
    #[arg(long)]
    collect: bool,
    /// Exit when no stage of this process has had a record for this long and no record is unread, including records of other processes and
    /// behind open transactions. Records of stopped partitions stay unread: exit code 1
    #[arg(long, value_name = "SECONDS")]
    until_idle: Option<f64>,
}

/// Parses the name of a stage.
fn stage_names() -> impl TypedValueParser<Value = StageName> {
    let names = StageName::ALL.map(|stage| PossibleValue::new(stage.name()).help(stage.help()));
    PossibleValuesParser::new(names)
        .try_map(|name| StageName::ALL.into_iter().find(|stage| stage.name() == name).ok_or("no such stage"))
}

/// Runs `run`.
///
/// # Errors
/// When a stage fails.
pub fn run(args: &RunArgs, global: &Global) -> anyhow::Result<()> {
    let mut service = Service::default();
    let signals = Signals::watch(service.stop_flag())?;
    let loaded = global.loaded()?;
    let reload = Reload::new(global.clone(), &loaded);
    let settings = &loaded.settings;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(settings).map_err(Usage::from)?;
    let page = Page::install(catalogue::metrics(), settings.state.folder_of_process())?;
    let mut stages = args.stages.clone();
    stages.sort_unstable();
    stages.dedup();

    let of_log: &[_] = if settings.kafka.is_embedded() { &[] } else { &tributary_runtime::metrics::kafka::ALL };
    stages.iter().for_each(|stage| stage.counted().begin_at_zero(of_log));

    let gate = Gate::default();
    let mut live = Live { rate: None, limits: Some(pipeline.limits().clone()) };
    let log = if settings.kafka.is_embedded() {
        let log = state::open_embedded(settings)?.telling(page.gauges());
        engine::start_embedded(&mut service, &log, settings, &pipeline, &stages)?;
        if args.collect {
            live.rate = Some(start_collector(&mut service, settings, &stages, Target::Embedded(&log))?);
        }
        Some(log)
    } else {
        let admin = engine::bind_admin(settings)?;
        tracing::info!(address = admin.advertised(), "answers explain, profile and audit");
        let watched = engine::watch_brokers(&mut service, settings, page.gauges())?;
        engine::start_kafka(&mut service, settings, &pipeline, &stages, (&watched, &gate), admin)?;
        if args.collect {
            live.rate = Some(start_collector(&mut service, settings, &stages, Target::Kafka(&watched))?);
        }
        None
    };
    if stages.contains(&StageName::Identity) {
        requests::start(&mut service, settings, &pipeline, log.as_ref())?;
    }
    let address = http::serve(settings.http.listen, page, service.health(), &settings.service_name())?;
    serve_probes(settings, &service)?;
    // Everything that can fail at the start has succeeded: workers may take partitions now.
    gate.ready();
    let names: Vec<&str> = stages.iter().map(|stage| stage.log().stage).collect();
    tracing::info!(stages = names.join(","), http = %address, version = env!("CARGO_PKG_VERSION"), "started");
    let mut manager = Manager::of_process();
    manager.ready();
    let mut reload = reload.of(live);
    signals.on_hangup(move || reload.again());
    let left = |stopped: &Places| match &log {
        Some(log) => backlog::left_embedded(log, &stages, stopped),
        None => backlog::left_kafka(settings, &stages, stopped),
    };
    let until_idle = args.until_idle.map(Duration::from_secs_f64);
    let stopped = wait(&service.health(), &service.stop_flag(), &mut manager, until_idle, &left);
    manager.stopping();
    end(service, global)?;
    if let Some(log) = &log {
        forget::at_stop(log, settings, &pipeline);
        log.close()?;
    }
    say_left(&stopped)
}

/// An error if partitions are stopped.
fn say_left(stopped: &Places) -> anyhow::Result<()> {
    if stopped.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = stopped.iter().map(|(topic, partition)| format!("{}/{partition}", topic.name())).collect();
    bail!("unread: the records of {}, which stopped because too many were refused; all others were read", names.join(", "))
}

/// Waits for a signal, the end of a worker, or idleness with nothing left except stopped partitions: returns those.
fn wait(
    health: &Health,
    stop: &AtomicBool,
    manager: &mut Manager,
    until_idle: Option<Duration>,
    left: &dyn Fn(&Places) -> anyhow::Result<Option<Left>>,
) -> Places {
    let mut asked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if let Some(limit) = until_idle
            && let Some(stopped) = health.stopped_alone()
            && health.idle().min(asked.elapsed()) >= limit
        {
            match left(&stopped) {
                Ok(None) => return stopped,
                Ok(Some(left)) => tracing::info!(%left, "idle, but records are left to process"),
                Err(error) => tracing::info!(%error, "idle, but it is unknown whether records are left"),
            }
            asked = Instant::now();
        }
        manager.look(health);
        std::thread::sleep(LOOK);
    }
    Places::new()
}
