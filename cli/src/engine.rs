//! Runs workers of the stages on the log that the settings choose.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tributary_collect::log::{KafkaLog, Log};
use tributary_collect::signature::Problem;
use tributary_collect::{Collector, Rate, ServeError, Server};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::{Pipeline, StageName, worker_options};
use tributary_runtime::admin::{ListenError, Listener};
use tributary_runtime::config::memory::MemoryBudget;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::fresh::FreshGauges;
use tributary_runtime::gate::Gate;
use tributary_runtime::kafka::{self, KafkaOptions, KafkaSession, Lookout, Reach};
use tributary_runtime::log::LogError;
use tributary_runtime::service::Service;
use tributary_runtime::state::{StoreBudget, prepare_folder};
use tributary_runtime::topic::{Topic, TopicNames};
use tributary_runtime::worker::{Worker, WorkerError};

use crate::descriptors;
use crate::forget;
use crate::generations::{self, Guard};
use crate::outcome::Usage;
use crate::traces::Export;
use crate::{registry, shares, state};

/// Starts the workers of the stages on an embedded log, and its upkeep.
///
/// # Errors
/// When the settings are refused, or a thread cannot be started.
pub fn start_embedded(
    service: &mut Service,
    log: &EmbeddedLog,
    settings: &Settings,
    pipeline: &Pipeline,
    stages: &[StageName],
) -> anyhow::Result<()> {
    let settled = generations::settle(log, &generations::of_stages(settings, pipeline, stages), false);
    generations::tell(pipeline.generations(), &settled.map_err(generations::refusal)?);
    let shares = shares::memory(settings, stages);
    for stage in stages {
        let workers = shares::threads(settings, *stage);
        for number in 0..workers {
            let session = log.session(stage.log(), number, workers);
            let options = worker_options(settings, &shares, pipeline.limits());
            let mut worker = Worker::new(session, stage.log(), pipeline.build(*stage), options);
            service.start(format!("{}-{number}", stage.log().stage), move |pulse| worker.run(pulse))?;
        }
    }
    Ok(forget::start(service, log, settings, pipeline)?)
}

/// Binds the admin listener, where a process on Kafka answers questions about its state.
///
/// # Errors
/// When the address cannot be listened on.
pub fn bind_admin(settings: &Settings) -> Result<Listener, ListenError> {
    Listener::bind(&settings.admin, &settings.kafka.group_prefix, &settings.kafka.instance_name())
}

/// The result of watching the brokers.
pub struct Watched {
    /// Whether they can be reached.
    pub reach: Arc<Reach>,
    /// The gauges for the lag of inputs.
    pub gauges: FreshGauges,
}

/// Starts watching the brokers in the settings. Once per process, before anything uses them.
///
/// # Errors
/// When the client refuses its configuration, or a thread cannot be started.
pub fn watch_brokers(service: &mut Service, settings: &Settings, gauges: FreshGauges) -> anyhow::Result<Watched> {
    let topic = settings.topics.name(Topic::Sdk);
    let lookout = Lookout::new(&settings.kafka.properties(), &topic, gauges.clone())
        .context("the Kafka client that watches the brokers cannot be configured; see [kafka] in the configuration")?;
    let reach = lookout.reach();
    service.watch("brokers".to_owned(), move |pulse| lookout.run(pulse))?;
    Ok(Watched { reach, gauges })
}

/// Starts the workers of the stages on Kafka, and the admin server on `admin`. The workers wait at the gate before they join their groups.
///
/// # Errors
/// When the state folder cannot be used, or a thread cannot be started. Errors of Kafka end the worker.
pub fn start_kafka(
    service: &mut Service,
    settings: &Settings,
    pipeline: &Pipeline,
    stages: &[StageName],
    (watched, gate): (&Watched, &Gate),
    admin: Listener,
) -> anyhow::Result<()> {
    if stages.iter().any(|stage| stage.log().changelog.is_some()) {
        prepare_folder(&settings.state.folder_of_process())?;
        state::make_ours(settings)?;
    }
    let shares = shares::memory(settings, stages);
    let files = descriptors::share(settings, stages);
    if files.need() > files.allowed {
        tracing::warn!(
            needed = files.need(),
            allowed = files.allowed,
            "there may be too few open files: `tributary check` tells who needs them"
        );
    }
    let budget = Arc::new(StoreBudget::new(shares.stores).with_tables(files.tables));
    let framing = Arc::new(registry::framing(settings)?);
    kafka::announce(&kafka_options(settings, &shares, budget.clone(), 0), admin.advertised(), service.stop_flag())?;
    let (own, generations) = (generations::of_stages(settings, pipeline, stages), pipeline.generations().clone());
    if !own.is_empty() {
        gate.expect();
        let guard = Guard { settings: settings.clone(), own, generations };
        let (reach, gate) = (watched.reach.clone(), gate.clone());
        service.guard("plans".to_owned(), move |pulse| guard.run(&reach, &gate, pulse))?;
    }
    let export = Export::of(settings)?.map(Arc::new);
    for stage in stages {
        for number in 0..shares::threads(settings, *stage) {
            let mut kafka = kafka_options(settings, &shares, budget.clone(), number);
            kafka.holdings = admin.holdings();
            kafka.framing = framing.clone();
            (kafka.reach, kafka.gauges) = (watched.reach.clone(), watched.gauges.clone());
            kafka.traced = export.is_some();
            let traced = export.clone().map(|export| (export.tracer(stage.log().stage, kafka.topics.clone()), export));
            let options = worker_options(settings, &shares, pipeline.limits());
            let (log, build, gate) = (stage.log(), pipeline.build(*stage), gate.clone());
            gate.expect();
            service.start(format!("{}-{number}", log.stage), move |pulse| {
                let opened = KafkaSession::open_patiently(&kafka, log, pulse);
                let Some(session) = opened.map_err(|source| WorkerError::Log { stage: log.stage, source })? else {
                    return Ok(());
                };
                gate.ready();
                if !gate.pass(pulse) {
                    return Ok(());
                }
                let mut worker = Worker::new(session, log, build, options);
                match traced {
                    // The last worker that ends exports the last spans.
                    Some((tracer, _export)) => worker.traced_by(tracer).run(pulse),
                    None => worker.run(pulse),
                }
            })?;
        }
    }
    admin.serve(Default::default(), &settings.service_name())?;
    Ok(())
}

/// The log that the collector writes to.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// The embedded log of this process.
    Embedded(&'a EmbeddedLog),
    /// Kafka's raw topics, with the watched brokers.
    Kafka(&'a Watched),
}

/// The collector's name among the workers.
const COLLECTOR: &str = "collector";

/// Starts the collector beside the workers of these stages. Returns the listening address, and the rate limit.
///
/// # Errors
/// When a client refuses its configuration, the address cannot be listened on, or a thread cannot be started.
pub fn start_collector(
    service: &mut Service,
    settings: &Settings,
    stages: &[StageName],
    target: Target<'_>,
) -> anyhow::Result<(SocketAddr, Rate)> {
    let collector = &settings.collector;
    let log = match target {
        Target::Embedded(log) => Log::embedded(log.clone(), collector)?,
        Target::Kafka(watched) => {
            let kafka = KafkaLog::open(&settings.kafka, &settings.topics, collector, watched.reach.clone())?;
            Log::kafka(kafka, collector)
        }
    };
    let unusable = |problem: Problem| Usage(format!("collector.webhooks: {}: {}", problem.field, problem.message));
    let taker = Collector::new(collector, log).map_err(unusable)?;
    let rate = taker.rate().clone();
    let connections = descriptors::connections(settings, &descriptors::share(settings, stages))?;
    if connections < u64::from(collector.connections_max) {
        tracing::warn!(connections, "fewer connections than collector.connections_max: the limit of open files allows no more");
    }
    let server = Server::bind(collector, taker)?.named(&settings.service_name()).at_most(connections);
    let address = server.address;
    tributary_collect::metrics::begin_at_zero();
    service.start(COLLECTOR.to_owned(), move |pulse| {
        let failed = |error: ServeError| WorkerError::Log { stage: COLLECTOR, source: LogError::stop("storing", error) };
        server.run(pulse).map_err(failed)
    })?;
    Ok((address, rate))
}

fn kafka_options(settings: &Settings, shares: &MemoryBudget, budget: Arc<StoreBudget>, worker: u32) -> KafkaOptions {
    let state = settings.state.folder_of_process();
    let mut options = KafkaOptions::new(settings.kafka.brokers.clone(), state, budget);
    options.group_prefix = settings.kafka.group_prefix.clone();
    options.instance = settings.kafka.instance_name();
    options.worker = worker;
    options.queue_bytes = shares.transaction;
    options.client = settings.kafka.connection();
    let mut names = TopicNames::default();
    Topic::ALL.into_iter().for_each(|topic| names.set(topic, settings.topics.name(topic)));
    options.topics = Arc::new(names);
    options.dead_letter_bytes_max = settings.topics.dead_letter_bytes_max();
    options.json_dead_letters = settings.worker.formats.is_json(Topic::DeadLetters);
    options.tombstone_retention_ms = u64::from(settings.topics.tombstone_retention_days) * 86_400_000;
    options
}
