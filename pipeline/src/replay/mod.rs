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
mod stations;
mod threads;

use std::mem;

use tributary_proto::CreditUpdate;
use tributary_runtime::config::Problems;
use tributary_runtime::log::{BatchLimits, Routed};
use tributary_runtime::state::{Snapshot, State, StateError};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::WorkerError;

use crate::credit_table::CreditTable;
use crate::settings::Settings;
use crate::stages::Pipeline;
use intake::{Intake, Listener, Listening, OutputSender};
use stations::{Chunk, Line, Station};

pub use results::{Results, WriteError};

/// Raw records that are taken in before the stages run over them: bounds the memory, and how often a milestone is computed again.
const CHUNK_RECORDS: usize = 10_000;

/// A pipeline in memory. Feed it with [`Self::append`], then [`Self::finish`].
pub struct Replay {
    /// The stages; empty while they are on their threads.
    stations: Vec<Station>,
    line: Option<Line>,
    has_threads: bool,
    /// Raw records that no stage has seen.
    chunk: Chunk,
    /// Raw records have no key: they go to the partitions in turn.
    next_partition: u32,
    partitions: u32,
    raw_records: u64,
    /// Until the first outputs.
    on_update: Option<Listener>,
    intake: Option<Intake>,
    listening: Listening,
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
        Ok(Self {
            stations: Station::all(&Pipeline::compile(settings)?, partitions, limits),
            line: None,
            has_threads: false,
            chunk: Vec::new(),
            next_partition: 0,
            partitions,
            raw_records: 0,
            on_update: None,
            intake: None,
            listening: Listening::default(),
        })
    }

    /// The same, with each stage on a thread of its own. The results are the same.
    #[must_use]
    pub fn in_threads(self) -> Self {
        Self { has_threads: true, ..self }
    }

    /// Has every credit update passed to `listener`, in order, on a thread of its own. Call it before the first [`Self::run`].
    pub fn on_update(&mut self, listener: impl FnMut(&CreditUpdate) + Send + 'static) {
        self.on_update = Some(Box::new(listener));
    }

    /// Appends a raw record. `received_ms` is when it was received, for the check of times in the future; 0 where that is not known.
    pub fn append(&mut self, topic: Topic, received_ms: i64, value: &[u8]) {
        self.chunk.push(Routed::raw(topic, self.next_partition, received_ms, value.to_vec()));
        self.next_partition = (self.next_partition + 1) % self.partitions.max(1);
        self.raw_records += 1;
    }

    /// Has the stages work on what was appended, if that is enough for them. Call it after every record, or after several. Where they have
    /// threads, it does not wait until they are done.
    ///
    /// # Errors
    /// When a stage has failed.
    pub fn advance(&mut self) -> Result<(), ReplayError> {
        if self.chunk.len() < CHUNK_RECORDS {
            return Ok(());
        }
        if self.has_threads && self.line.is_none() {
            let outputs = self.outputs()?;
            self.line = Some(Line::start(mem::take(&mut self.stations), &outputs)?);
        }
        self.work()
    }

    /// Runs the stages over what was appended, until no message is left.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn run(&mut self) -> Result<(), ReplayError> {
        self.work()?;
        self.wait()
    }

    fn work(&mut self) -> Result<(), ReplayError> {
        let raw = mem::take(&mut self.chunk);
        if let Some(line) = &self.line {
            return if line.send(raw) { Ok(()) } else { self.wait() };
        }
        let outputs = self.outputs()?;
        self.stations.iter_mut().try_fold(raw, |chunk, station| station.work(chunk, &outputs)).map(drop)
    }

    /// Waits for the threads, if they have work.
    fn wait(&mut self) -> Result<(), ReplayError> {
        if let Some(line) = self.line.take() {
            self.stations = line.end()?;
        }
        Ok(())
    }

    /// The states of the stages, to be read after [`Self::run`].
    pub fn snapshot(&mut self) -> &mut dyn Snapshot {
        self
    }

    /// Runs to the end and gives the results, after every update was passed on.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn finish(mut self) -> Result<Results, ReplayError> {
        let results = self.results()?;
        self.wait_for_updates()?;
        Ok(results)
    }

    /// Runs to the end and gives the results, once; the states are still there to be read. Updates may still be passed on.
    ///
    /// # Errors
    /// When a stage fails.
    pub fn results(&mut self) -> Result<Results, ReplayError> {
        self.run()?;
        let Some(intake) = self.intake.take() else { return Ok(Results::default()) };
        let (results, listening) = intake.finish()?;
        self.listening = listening;
        Ok(Results { raw_records: self.raw_records, ..results })
    }

    /// Waits until every update was passed on, after [`Self::results`].
    ///
    /// # Errors
    /// When one cannot be decoded.
    pub fn wait_for_updates(&mut self) -> Result<(), ReplayError> {
        mem::take(&mut self.listening).end()
    }

    /// Where the outputs go.
    fn outputs(&mut self) -> Result<OutputSender, ReplayError> {
        let intake = match self.intake.take() {
            Some(intake) => intake,
            None => Intake::start(self.on_update.take())?,
        };
        Ok(self.intake.insert(intake).sender())
    }
}

impl Snapshot for Replay {
    fn partitions(&self, _: &str) -> u32 {
        self.partitions
    }

    fn state(&mut self, stage: &'static str, partition: u32) -> Result<&mut dyn State, StateError> {
        let missing = || StateError::Read(format!("partition {partition} of {stage} has not run"));
        let station = self.stations.iter_mut().find(|station| station.stage() == stage);
        station.and_then(|station| station.state(partition)).ok_or_else(missing)
    }
}

impl Results {
    /// The credit table.
    pub fn table(&self) -> &CreditTable {
        &self.credits
    }
}
