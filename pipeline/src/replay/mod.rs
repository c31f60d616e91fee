//! The whole pipeline in memory: the same stages over a log in memory, for back-fills, what-ifs and tests.
//!
//! ```
//! use tributary_pipeline::{replay::Replay, settings::Settings};
//! use tributary_runtime::topic::Topic;
//!
//! let mut replay = Replay::new(&Settings::default(), 4).expect("the defaults are valid");
//! replay.append(Topic::Offline, 0, br#"{"timestamp": "2022-04-13T14:00:00+08:00", "phone": "+8613800001111"}"#);
//! let results = replay.finish().expect("nothing can fail in memory");
//! assert_eq!(results.profiles.len(), 1);
//! ```

mod intake;
mod results;

use tributary_proto::CreditUpdate;
use tributary_runtime::config::Problems;
use tributary_runtime::log::{BatchLimits, MemoryLog, MemorySession};
use tributary_runtime::state::{Snapshot, State, StateError};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerError, WorkerOptions};

use crate::credit_table::CreditTable;
use crate::settings::Settings;
use crate::stages::{Pipeline, StageName};
use intake::{Hear, Intake};

pub use results::{Results, WriteError};

/// Raw records that are taken in before the stages run over them: bounds the memory, and how often a milestone is computed again.
const CHUNK_RECORDS: usize = 10_000;

/// A pipeline in memory. Feed it with [`Self::append`], then [`Self::finish`].
pub struct Replay {
    log: MemoryLog,
    workers: Vec<Worker<MemorySession>>,
    /// Raw records have no key: they go to the partitions in turn.
    next_partition: u32,
    partitions: u32,
    waiting: usize,
    raw_records: u64,
    /// Until the first outputs.
    on_update: Option<Hear>,
    intake: Option<Intake>,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A stage.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// An output that is not what its topic holds.
    #[error("a record of {topic} cannot be decoded: {why}; this is a defect")]
    Output {
        /// The topic's role.
        topic: &'static str,
        /// What the decoder said.
        why: String,
    },
    /// The system refused a thread.
    #[error("a thread was refused: {0}")]
    Thread(std::io::Error),
}

impl Replay {
    /// A pipeline with these settings and this many partitions of every topic.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn new(settings: &Settings, partitions: u32) -> Result<Self, Problems> {
        let limits = BatchLimits { records_max: usize::MAX, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
        Self::with_limits(settings, partitions, limits)
    }

    /// The same with other batches.
    ///
    /// # Errors
    /// Everything that is wrong with the settings.
    pub fn with_limits(settings: &Settings, partitions: u32, limits: BatchLimits) -> Result<Self, Problems> {
        let pipeline = Pipeline::compile(settings)?;
        let log = MemoryLog::new(partitions);
        let options = WorkerOptions::in_memory(limits);
        let worker =
            |stage: StageName| Worker::new(log.session(stage.log()), stage.log(), pipeline.build(stage), options.clone());
        let workers = StageName::ALL.map(worker).into();
        Ok(Self { log, workers, next_partition: 0, partitions, waiting: 0, raw_records: 0, on_update: None, intake: None })
    }

    /// Has every credit update passed to `hear`, in order. Say it before the first [`Self::run`].
    pub fn on_update(&mut self, hear: impl FnMut(&CreditUpdate) + Send + 'static) {
        self.on_update = Some(Box::new(hear));
    }

    /// Appends a raw record. `received_ms` is when it was received, for the check of times in the future; 0 where that is not known.
    pub fn append(&mut self, topic: Topic, received_ms: i64, value: &[u8]) {
        self.log.append_raw(topic, self.next_partition, received_ms, value.to_vec());
        self.next_partition = (self.next_partition + 1) % self.partitions.max(1);
        self.waiting += 1;
        self.raw_records += 1;
    }

    /// Whether [`Self::run`] is due.
    pub fn is_full(&self) -> bool {
        self.waiting >= CHUNK_RECORDS
    }

    /// Runs the stages over what was appended, until no message is left.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn run(&mut self) -> Result<(), ReplayError> {
        self.waiting = 0;
        loop {
            let mut records = 0;
            for worker in &mut self.workers {
                while let step @ 1.. = worker.step()? {
                    records += step;
                }
            }
            self.collect()?;
            if records == 0 {
                return Ok(());
            }
        }
    }

    /// The states of the stages, to be read after [`Self::run`].
    pub fn snapshot(&mut self) -> &mut dyn Snapshot {
        self
    }

    /// Runs to the end and gives the results.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn finish(mut self) -> Result<Results, ReplayError> {
        self.results()
    }

    /// Runs to the end and gives the results, once; the states are still there to be read.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn results(&mut self) -> Result<Results, ReplayError> {
        self.run()?;
        let mut results = self.intake.take().map_or_else(|| Ok(Results::default()), Intake::finish)?;
        results.raw_records = self.raw_records;
        Ok(results)
    }

    /// Takes the outputs out of the log.
    fn collect(&mut self) -> Result<(), ReplayError> {
        if self.intake.is_none() {
            let hear = self.on_update.take().unwrap_or_else(|| Box::new(|_| {}));
            self.intake = Some(Intake::start(hear)?);
        }
        if let Some(intake) = &self.intake {
            intake.collect(&self.log);
        }
        Ok(())
    }
}

impl Snapshot for Replay {
    fn partitions(&self, _: &str) -> u32 {
        self.partitions
    }

    fn state(&mut self, stage: &'static str, partition: u32) -> Result<&mut dyn State, StateError> {
        let missing = || StateError::Read(format!("partition {partition} of {stage} has not run"));
        let stages = StageName::ALL.into_iter().zip(&mut self.workers);
        let worker = stages.filter(|(name, _)| name.log().stage == stage).map(|(_, worker)| worker).next();
        worker.and_then(|worker| worker.state(partition)).ok_or_else(missing)
    }
}

impl Results {
    /// The credit table.
    pub fn table(&self) -> &CreditTable {
        &self.credits
    }
}
