//! The exactly-once loop: poll a batch, run the stage over it, then commit all of its results or none.
//!
//! One [`Worker`] owns one [`Session`] and, for every partition of the session, a stage with the overlay of its state. It runs on its own
//! thread ([`Worker::run`]), or step by step when a caller controls the timing ([`Worker::step`]).

mod batch;
mod dead_letter;
mod direct;
mod options;
mod remodelling;
mod stopping;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dead_letter_limit::{DeadLetterCount, DeadLetterLimits};
use crate::dead_letter_lines::DeadLetterLines;
use crate::exactly_once::Inputs;
use crate::log::{Assignment, Batch, BatchLimits, LogError, Session, StageLog};
use crate::metrics;
use crate::obstacle::Obstacle;
use crate::pace::Pace;
use crate::service::Pulse;
use crate::stage::{Context, Outbox, PartitionSlice, Stage};
use crate::state::{Base, Overlay, State};
use crate::stopped::Stops;
use crate::topic::Topic;
use crate::trace::{Tracer, Traces};

pub use options::{WorkerError, WorkerOptions};

use direct::Direct;
use remodelling::Remodelling;

/// Makes the stage of a partition.
pub type BuildStage = Box<dyn Fn(PartitionSlice) -> Box<dyn Stage> + Send>;

/// What a partition has in memory.
struct Slot {
    stage: Box<dyn Stage>,
    state: Overlay<Box<dyn Base + Send>>,
    /// When the newest event since the last end of a batch was received, milliseconds; `None` where there was none.
    newest_ms: Option<i64>,
    /// What was refused, by input topic.
    refusals: Vec<(Topic, DeadLetterCount)>,
    /// Whether the batch has changed its state.
    touched: bool,
    /// Whether no message that it has sent to another partition is unread in the log.
    settled: bool,
    /// The offset of the next record of the stage's inbox.
    next: u64,
}

impl Slot {
    fn refusals(&mut self, topic: Topic) -> Option<&mut DeadLetterCount> {
        self.refusals.iter_mut().find(|(known, _)| *known == topic).map(|(_, refusals)| refusals)
    }
}

/// See the module.
pub struct Worker<S> {
    session: S,
    log: StageLog,
    build: BuildStage,
    options: WorkerOptions,
    slots: BTreeMap<u32, Slot>,
    batch: Batch,
    pace: Pace,
    outbox: Outbox,
    partition_counts: BTreeMap<Topic, u32>,
    /// Why a step failed that was not recovered from yet.
    recovering: Option<String>,
    /// When that was last logged.
    told: Option<Instant>,
    /// The limits of the current batch.
    limits: DeadLetterLimits,
    stops: Stops,
    dead_letter_lines: DeadLetterLines,
    remodelling: Remodelling,
    traces: Traces,
    direct: Direct,
    /// See [`Stage::more_waits`].
    more_waits: bool,
}

/// What came of a turn of the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A batch of this many records was committed.
    Worked(usize),
    /// A batch was not committed: the next turn tries to recover.
    Aborted,
    /// Too much of a partition was refused: it stands still from now on, and the next turn goes back to what was committed of the others.
    Stopped,
    /// Not recovered yet: the next turn tries again.
    NotRecovered,
    /// All is as after the last commit.
    Recovered,
}

/// Longest wait between attempts to recover.
const RECOVERY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often it is logged that it has not recovered yet.
const TELL_AGAIN: Duration = Duration::from_secs(30);

impl<S: Session> Worker<S> {
    /// A worker for a stage.
    pub fn new(session: S, log: StageLog, build: BuildStage, options: WorkerOptions) -> Self {
        Self {
            direct: Direct::of(&log),
            more_waits: false,
            pace: Pace::new(options.transaction_bytes),
            outbox: Outbox::with_json(options.json.clone()),
            session,
            log,
            build,
            options,
            slots: BTreeMap::new(),
            batch: Batch::default(),
            partition_counts: BTreeMap::new(),
            recovering: None,
            told: None,
            limits: DeadLetterLimits::NONE,
            stops: Stops::default(),
            dead_letter_lines: DeadLetterLines::default(),
            remodelling: Remodelling::default(),
            traces: Traces::default(),
        }
    }

    /// The same, with its records traced.
    #[must_use]
    pub fn traced_by(self, tracer: Box<dyn Tracer>) -> Self {
        Self { traces: Traces::by(tracer), ..self }
    }

    /// Works until it is asked to stop, recovering from whatever can be recovered from; then leaves the log with nothing open.
    ///
    /// # Errors
    /// What cannot be recovered from.
    pub fn run(&mut self, pulse: &Pulse) -> Result<(), WorkerError> {
        let mut pause = Duration::ZERO;
        metrics::remodelling(self.log.stage, 0.0);
        while !pulse.stopping() {
            let turn = self.turn()?;
            pulse.report(self.obstacles());
            self.remodelling.note(self.log.stage, self.slots.iter().map(|(at, slot)| (*at, slot.stage.remodelled())));
            pulse.mention(|| self.remodelling.lines(), self.remodelling.is_empty());
            match turn {
                Turn::Worked(records) => {
                    pulse.turn(records);
                    pause = Duration::ZERO;
                }
                Turn::Aborted => {
                    metrics::count_recovery(self.log.stage);
                    pulse.rest(pause);
                    pause = (pause * 2).clamp(Duration::from_millis(50), RECOVERY_PAUSE_MAX);
                }
                Turn::NotRecovered => {
                    pulse.turn(0);
                    pulse.rest(RECOVERY_PAUSE_MAX);
                }
                Turn::Recovered | Turn::Stopped => pulse.turn(0),
            }
        }
        self.close()
    }

    /// What keeps it from its work.
    fn obstacles(&self) -> Vec<Obstacle> {
        let mut found = self.session.obstacles();
        found.extend(self.recovering.iter().cloned().map(Obstacle::Recovering));
        let places = self.stops.places().into_iter().filter(|(topic, partition)| self.session.is_stopped(*topic, *partition));
        found.extend(places.filter_map(|place| self.stops.obstacle(place)));
        found
    }

    /// One turn of the loop: a step, or one attempt to recover from a step that failed.
    ///
    /// # Errors
    /// What cannot be recovered from.
    pub fn turn(&mut self) -> Result<Turn, WorkerError> {
        let recovering = self.recovering.is_some();
        let done = if recovering {
            self.session.recover().map(|()| Turn::Recovered).map_err(|source| self.log_error(source))
        } else {
            self.step().map(|records| if self.recovering.is_some() { Turn::Stopped } else { Turn::Worked(records) })
        };
        match done {
            Err(WorkerError::Log { source: error @ LogError::Recover { .. }, .. }) => {
                self.tell(&error, recovering);
                self.recovering = Some(error.to_string());
                Ok(if recovering { Turn::NotRecovered } else { Turn::Aborted })
            }
            Ok(turn) => {
                if turn != Turn::Stopped {
                    self.recovering = None;
                }
                Ok(turn)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells that a step failed, and from time to time that it was not recovered from yet.
    fn tell(&mut self, error: &LogError, again: bool) {
        let stage = self.log.stage;
        if !again {
            tracing::warn!(stage, %error, "transaction aborted");
        } else if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            tracing::warn!(stage, %error, "not recovered yet");
        } else {
            return;
        }
        self.told = Some(Instant::now());
    }

    /// Leaves the log with nothing open.
    ///
    /// # Errors
    /// The errors of the log.
    pub fn close(&mut self) -> Result<(), WorkerError> {
        self.dead_letter_lines.rest().iter().for_each(|line| line.log(self.log.stage));
        self.session.close().map_err(|source| self.log_error(source))
    }

    /// Polls and commits one batch; returns the number of records in it, 0 where it was not committed because a partition was stopped.
    ///
    /// # Errors
    /// After an error the batch is forgotten; after [`LogError::Recover`] the session must recover before the next step.
    pub fn step(&mut self) -> Result<usize, WorkerError> {
        self.batch.clear();
        self.review_stopped().map_err(|source| self.log_error(source))?;
        let limits = BatchLimits { records_max: self.pace.records(self.options.limits.records_max), ..self.options.limits };
        let polled = self.session.poll(&mut self.batch, &limits);
        let polled = polled.map_err(|source| self.log_error(source)).and_then(|changes| self.apply(changes));
        self.more_waits = self.batch.len() >= limits.records_max || self.batch.bytes() >= limits.bytes_max || self.is_behind();
        let polled = polled.and_then(|()| self.drain(&limits));
        if polled.is_ok() {
            metrics::polled(self.log.stage, now_ms());
        }
        let done = match polled {
            Ok(()) if self.batch.is_empty() && self.outbox.outputs.is_empty() => {
                self.dead_letter_lines.due(Instant::now()).iter().for_each(|line| line.log(self.log.stage));
                Ok(0)
            }
            Ok(()) => self.work(),
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.discard();
        }
        done
    }

    /// Whether the newest record of the batch was received long ago.
    fn is_behind(&self) -> bool {
        let newest_ms = || self.batch.records().map(|record| record.timestamp_ms).max();
        self.options.behind_ms.is_some_and(|behind_ms| newest_ms().is_some_and(|newest_ms| now_ms() - newest_ms > behind_ms))
    }

    /// The state of a partition that the worker owns, for reading between two steps.
    pub fn state(&mut self, partition: u32) -> Option<&mut dyn State> {
        self.slots.get_mut(&partition).map(|slot| &mut slot.state as &mut dyn State)
    }

    fn apply(&mut self, changes: Vec<Assignment>) -> Result<(), WorkerError> {
        let changed = !changes.is_empty();
        if changed {
            metrics::count_rebalance(self.log.stage);
        }
        for change in changes {
            match change {
                Assignment::Revoked { partition } => {
                    self.slots.remove(&partition);
                }
                Assignment::Assigned { partition, base, inputs } => self.assign(partition, base, &inputs)?,
            }
        }
        metrics::partitions_owned(self.log.stage, self.slots.len());
        if changed { self.review_direct().map_err(|source| self.log_error(source)) } else { Ok(()) }
    }

    fn assign(&mut self, partition: u32, base: Box<dyn Base + Send>, inputs: &Inputs) -> Result<(), WorkerError> {
        let partitions = match self.log.inputs.first() {
            Some(inbox) => self.session.partitions(*inbox).map_err(|source| self.log_error(source))?,
            None => 0,
        };
        let mut stage = (self.build)(PartitionSlice { partition, partitions });
        let mut state = Overlay::new(base);
        // No record has caused it.
        self.outbox.caused_at(now_ms());
        let begun = stage.begin(&mut Context { state: &mut state, outbox: &mut self.outbox });
        begun.map_err(|source| WorkerError::State { stage: self.log.stage, partition, source })?;
        let limited = self.log.inputs.iter().filter(|topic| !self.options.unlimited.contains(topic));
        let refusals = limited.map(|topic| (*topic, DeadLetterCount::default())).collect();
        let (settled, next) = (inputs.is_settled(), self.direct.next_of(inputs));
        self.slots.insert(partition, Slot { stage, state, newest_ms: None, refusals, touched: false, settled, next });
        Ok(())
    }

    fn log_error(&self, source: LogError) -> WorkerError {
        WorkerError::Log { stage: self.log.stage, source }
    }
}

/// For metrics only: no decision reads it.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
