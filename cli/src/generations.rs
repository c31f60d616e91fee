//! Reads the topic `plans`, writes it when settings are new, and watches it, so that a process stops when its settings are no longer the
//! newest. The rules are in [`tributary_runtime::generation`].

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use tributary_pipeline::generations::of_stage;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::{LiveGenerations, Pipeline, StageName};
use tributary_proto::{Generation, Message};
use tributary_runtime::embedded::{EmbeddedError, EmbeddedLog};
use tributary_runtime::gate::Gate;
use tributary_runtime::generation::{self, Choice, Generations, RefusedGeneration, Terms};
use tributary_runtime::kafka::{ConnectionErrors, Reach};
use tributary_runtime::log::LogError;
use tributary_runtime::service::Pulse;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::WorkerError;

use crate::outcome::Usage;
use crate::sink::{Deliveries, SinkError, producer_config};
use crate::source::{KafkaReader, METADATA_TIMEOUT, Next, SourceError, TopicReader, WAIT, ask, outsider};

/// How long the brokers may take to store a record.
const FLUSH: Duration = Duration::from_secs(10);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// Most records read from the embedded log at a time.
const BATCH: usize = 1_000;

/// Why the settings in force are unknown, or these settings must not come into force.
#[derive(Debug, thiserror::Error)]
pub enum GenerationsError {
    /// They are refused.
    #[error(transparent)]
    Refused(#[from] RefusedGeneration),
    /// The topic cannot be read.
    #[error(transparent)]
    Read(#[from] SourceError),
    /// The topic cannot be written to.
    #[error(transparent)]
    Write(#[from] SinkError),
    /// The embedded log failed.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// A record is malformed.
    #[error("topic plans: a record is no generation of settings: {0}; is something else writing there?")]
    Malformed(String),
}

impl GenerationsError {
    /// Whether trying again may help, because the brokers did not answer.
    fn may_pass(&self) -> bool {
        match self {
            Self::Read(error) => matches!(error, SourceError::Unreachable { .. } | SourceError::Read { .. }),
            Self::Write(error) => !matches!(error, SinkError::Configure(_)),
            Self::Refused(_) | Self::Embedded(_) | Self::Malformed(_) => false,
        }
    }

    fn stop(self) -> WorkerError {
        match self {
            Self::Refused(refused) => WorkerError::Settings(refused),
            error => WorkerError::Log { stage: "plans", source: LogError::stop("reading which settings are in force", error) },
        }
    }
}

/// The error of a process that cannot start: refused settings count as a configuration error.
pub fn refusal(error: GenerationsError) -> anyhow::Error {
    match error {
        GenerationsError::Refused(refused) => Usage(refused.to_string()).into(),
        error => error.into(),
    }
}

/// The generations of those stages that have some.
pub fn of_stages(settings: &Settings, pipeline: &Pipeline, stages: &[StageName]) -> Vec<(StageName, Generation)> {
    stages.iter().filter_map(|stage| Some((*stage, of_stage(*stage, settings, pipeline)?))).collect()
}

/// The store of generations: the topic `plans`.
///
/// ```
/// use tributary_cli::generations::{GenerationsError, Plans, settle};
/// use tributary_pipeline::stages::StageName;
/// use tributary_proto::Generation;
/// use tributary_runtime::generation::Generations;
///
/// /// No generation was ever written.
/// struct New;
///
/// impl Plans for New {
///     fn read(&self) -> Result<Generations, GenerationsError> { Ok(Generations::default()) }
///     fn write(&self, _: &Generation) -> Result<(), GenerationsError> { Ok(()) }
///     fn is_new(&self, _: StageName) -> Result<bool, GenerationsError> { Ok(true) }
/// }
///
/// assert!(settle(&New, &[], false)?.is_empty());
/// # Ok::<(), GenerationsError>(())
/// ```
pub trait Plans {
    /// All records.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self) -> Result<Generations, GenerationsError>;

    /// Writes a record durably.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, generation: &Generation) -> Result<(), GenerationsError>;

    /// Whether the inbox of a stage has never had a record.
    ///
    /// # Errors
    /// When that cannot be read.
    fn is_new(&self, stage: StageName) -> Result<bool, GenerationsError>;
}

/// Makes these settings the newest generation, or finds that they are; returns their numbers. If one stage's are refused, nothing is
/// written.
///
/// # Errors
/// Why they are refused, or when the log cannot be used.
pub fn settle(
    plans: &dyn Plans,
    own: &[(StageName, Generation)],
    accepted: bool,
) -> Result<Vec<(StageName, u64)>, GenerationsError> {
    loop {
        let known = plans.read()?;
        let (mut settled, mut next) = (Vec::new(), Vec::new());
        for (stage, own) in own {
            match known.choose(own, Terms { new: plans.is_new(*stage)?, accepted })? {
                Choice::Newest(generation) => settled.push((*stage, generation)),
                Choice::Write(generation) => next.push(generation),
            }
        }
        if next.is_empty() {
            return Ok(settled);
        }
        for generation in next {
            plans.write(&generation)?;
            let Generation { stage, generation, .. } = generation;
            tracing::info!(stage, generation, "settings are active");
        }
    }
}

/// Passes the generations' numbers to the stages.
pub fn tell(generations: &LiveGenerations, settled: &[(StageName, u64)]) {
    settled.iter().for_each(|(stage, generation)| generations.set(*stage, *generation));
}

fn note(known: &mut Generations, value: Option<&[u8]>) -> Result<(), GenerationsError> {
    value.map_or(Ok(()), |bytes| known.note(bytes)).map_err(|error| GenerationsError::Malformed(error.to_string()))
}

/// The inputs of a stage that its state is computed from.
fn inboxes(stage: StageName) -> &'static [Topic] {
    stage.log().inputs
}

impl Plans for EmbeddedLog {
    fn read(&self) -> Result<Generations, GenerationsError> {
        let mut known = Generations::default();
        for at in 0..self.partitions() {
            let mut next = 0;
            loop {
                let records = Self::read(self, Topic::Plans, at, next, BATCH)?;
                let Some((last, ..)) = records.last() else { break };
                next = last + 1;
                records.iter().try_for_each(|(_, _, output)| note(&mut known, output.value.as_deref()))?;
            }
        }
        Ok(known)
    }

    fn write(&self, of: &Generation) -> Result<(), GenerationsError> {
        let output = Output { topic: Topic::Plans, key: generation::key(of), value: Some(of.encode_to_vec()) };
        Ok(self.append([(output, of.time_ms)], 0)?)
    }

    fn is_new(&self, stage: StageName) -> Result<bool, GenerationsError> {
        Ok(inboxes(stage).iter().all(|topic| (0..self.partitions()).all(|at| self.end(*topic, at) == 0)))
    }
}

/// The topic on Kafka. Only its first partition is used, because the order matters.
pub struct KafkaPlans<'s> {
    settings: &'s Settings,
    asker: BaseConsumer<ConnectionErrors>,
    producer: ThreadedProducer<Deliveries>,
}

impl<'s> KafkaPlans<'s> {
    /// With clients of its own.
    ///
    /// # Errors
    /// When a client refuses its configuration.
    pub fn open(settings: &'s Settings) -> Result<Self, GenerationsError> {
        let config = producer_config(settings);
        let producer = config.create_with_context(Deliveries::of(&config)).map_err(SinkError::Configure)?;
        Ok(Self { settings, asker: outsider(settings, "read_committed", "error")?, producer })
    }
}

impl Plans for KafkaPlans<'_> {
    fn read(&self) -> Result<Generations, GenerationsError> {
        let mut reader = KafkaReader::open(self.settings, Topic::Plans, true)?.to_where_it_ends_now()?;
        let mut known = Generations::default();
        loop {
            match reader.next(WAIT)? {
                Next::Record(found) => note(&mut known, found.value.as_deref())?,
                Next::Idle => {}
                Next::End => return Ok(known),
            }
        }
    }

    fn write(&self, of: &Generation) -> Result<(), GenerationsError> {
        let topic = self.settings.topics.name(Topic::Plans);
        let (key, value) = (generation::key(of), of.encode_to_vec());
        let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0).key(&key).payload(&value).timestamp(of.time_ms);
        let refused = |source| SinkError::Refused { topic: topic.clone(), source };
        self.producer.send(record).map_err(|(error, _)| refused(error))?;
        let flushed = self.producer.flush(FLUSH);
        self.producer.context().check()?;
        Ok(flushed.map_err(refused)?)
    }

    fn is_new(&self, stage: StageName) -> Result<bool, GenerationsError> {
        for topic in inboxes(stage) {
            let name = self.settings.topics.name(*topic);
            let partitions = ask(&self.asker, &name)?;
            for partition in partitions.topics().iter().flat_map(|found| found.partitions()) {
                let read = |source| SourceError::Read { topic: name.clone(), source };
                let (_, end) = self.asker.fetch_watermarks(&name, partition.id(), METADATA_TIMEOUT).map_err(read)?;
                if end > 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The generations in the log that the settings choose.
///
/// # Errors
/// When it cannot be read.
pub fn known(settings: &Settings) -> Result<Generations, GenerationsError> {
    if settings.kafka.is_embedded() {
        let path = settings.state.folder_of_log();
        return match EmbeddedLog::is_in(&path) {
            true => Plans::read(&EmbeddedLog::open_read_only(&path)?),
            false => Ok(Generations::default()),
        };
    }
    KafkaPlans::open(settings)?.read()
}

/// Watches the settings of a process on Kafka.
pub struct Guard {
    /// The settings.
    pub settings: Settings,
    /// The generations of its stages.
    pub own: Vec<(StageName, Generation)>,
    /// Where its stages find their generation's number.
    pub generations: LiveGenerations,
}

impl Guard {
    /// Opens the gate for the workers once these settings are the newest, and watches the topic until the process stops.
    ///
    /// # Errors
    /// When they are refused, or replaced by newer ones.
    pub fn run(self, reach: &Reach, gate: &Gate, pulse: &Pulse) -> Result<(), WorkerError> {
        let Some(settled) = self.patiently(reach, pulse, || settle(&KafkaPlans::open(&self.settings)?, &self.own, false))?
        else {
            return Ok(());
        };
        tell(&self.generations, &settled);
        let opened = self.patiently(reach, pulse, || Ok(KafkaReader::open(&self.settings, Topic::Plans, true)?))?;
        let Some(reader) = opened else { return Ok(()) };
        gate.ready();
        pulse.report(Vec::new());
        self.watch(reader, pulse).map_err(GenerationsError::stop)
    }

    /// Retries until it succeeds; `None` if the process stops before that.
    fn patiently<T>(
        &self,
        reach: &Reach,
        pulse: &Pulse,
        mut work: impl FnMut() -> Result<T, GenerationsError>,
    ) -> Result<Option<T>, WorkerError> {
        while reach.wait(pulse) {
            match work() {
                Err(error) if error.may_pass() => tracing::info!(%error, "the current generation of settings is not known yet"),
                done => return done.map(Some).map_err(GenerationsError::stop),
            }
            pulse.turn(0);
            pulse.rest(PAUSE);
        }
        Ok(None)
    }

    fn watch(&self, mut reader: KafkaReader, pulse: &Pulse) -> Result<(), GenerationsError> {
        let mut known = Generations::default();
        while !pulse.stopping() {
            pulse.turn(0);
            match reader.next(WAIT) {
                Ok(Next::Record(found)) => note(&mut known, found.value.as_deref())?,
                Ok(Next::Idle) => {}
                // Checked only at the end of the topic: before that, the newest generation is unknown.
                Ok(Next::End) => self.own.iter().try_for_each(|(_, own)| known.holds(own))?,
                Err(error) => {
                    tracing::debug!(%error, "plans");
                    pulse.rest(PAUSE);
                }
            }
        }
        Ok(())
    }
}

/// Makes the settings of all stages the newest, whatever was in force before.
///
/// # Errors
/// When the log cannot be used.
pub fn accept(settings: &Settings, pipeline: &Pipeline) -> anyhow::Result<Vec<(StageName, u64)>> {
    let own = of_stages(settings, pipeline, &StageName::ALL);
    if settings.kafka.is_embedded() {
        let log = crate::state::open_embedded(settings)?;
        let settled = settle(&log, &own, true)?;
        log.close()?;
        return Ok(settled);
    }
    Ok(settle(&KafkaPlans::open(settings)?, &own, true)?)
}
