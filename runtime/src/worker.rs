//! The exactly-once loop: poll a batch, run the stage over it, commit what came of it, or none of it.
//!
//! One [`Worker`] owns one [`Session`] and, for every partition the session owns, a stage with the overlay of its state. It runs on a
//! thread of its own ([`Worker::run`]), or step by step where somebody else decides when ([`Worker::step`]).

mod options;
mod stopping;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tributary_proto::{DeadLetter, partition};

use crate::log::{Assignment, Batch, BatchLimits, LogError, Routed, Session, StageLog, Transaction};
use crate::metrics;
use crate::obstacle::Obstacle;
use crate::pace::Pace;
use crate::refusal_lines::{RefusalLines, Refused};
use crate::refusals::{Excess, RefusalLimits, Refusals};
use crate::service::Pulse;
use crate::stage::{Context, Outbox, Record, Rejection, Share, Stage, StageError};
use crate::state::{Base, Overlay, State};
use crate::stopped::{Place, Stop, Stops};
use crate::topic::Topic;

pub use options::{WorkerError, WorkerOptions};

/// Makes the stage of a partition.
pub type BuildStage = Box<dyn Fn(Share) -> Box<dyn Stage> + Send>;

/// What a partition has in memory.
struct Slot {
    stage: Box<dyn Stage>,
    state: Overlay<Box<dyn Base + Send>>,
    /// When the newest event of the batch was received, milliseconds; `None` while the batch has no record of this partition.
    newest_ms: Option<i64>,
    /// What was refused, by input topic.
    refusals: Vec<(Topic, Refusals)>,
}

impl Slot {
    fn refusals(&mut self, topic: Topic) -> Option<&mut Refusals> {
        self.refusals.iter_mut().find(|(known, _)| *known == topic).map(|(_, refusals)| refusals)
    }
}

/// What is to be done with a batch.
enum Outcome {
    Commit(Transaction),
    /// Too much of this partition was refused.
    Stop(Place, Stop),
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
    /// When that was last told.
    told: Option<Instant>,
    /// The limits of the current batch.
    limits: RefusalLimits,
    stops: Stops,
    refusal_lines: RefusalLines,
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

/// How often it is told that it was not recovered yet.
const TELL_AGAIN: Duration = Duration::from_secs(30);

impl<S: Session> Worker<S> {
    /// A worker for a stage.
    pub fn new(session: S, log: StageLog, build: BuildStage, options: WorkerOptions) -> Self {
        Self {
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
            limits: RefusalLimits::NONE,
            stops: Stops::default(),
            refusal_lines: RefusalLines::default(),
        }
    }

    /// Works until it is asked to stop, recovering from whatever can be recovered from; then leaves the log with nothing open.
    ///
    /// # Errors
    /// What cannot be recovered from.
    pub fn run(&mut self, pulse: &Pulse) -> Result<(), WorkerError> {
        let mut pause = Duration::ZERO;
        while !pulse.stopping() {
            let turn = self.turn()?;
            pulse.report(self.obstacles());
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
    /// What the log says.
    pub fn close(&mut self) -> Result<(), WorkerError> {
        self.refusal_lines.rest().iter().for_each(|line| line.log(self.log.stage));
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
        let polled = self.session.poll(&mut self.batch, &limits).and_then(|changes| self.apply(changes));
        if polled.is_ok() {
            metrics::polled(self.log.stage, now_ms());
        }
        let done = match polled {
            Ok(()) if self.batch.is_empty() => {
                self.refusal_lines.due(Instant::now()).iter().for_each(|line| line.log(self.log.stage));
                Ok(0)
            }
            Ok(()) => self.work(),
            Err(source) => Err(self.log_error(source)),
        };
        if done.is_err() {
            self.discard();
        }
        done
    }

    /// The state of a partition that the worker owns, for reading between two steps.
    pub fn state(&mut self, partition: u32) -> Option<&mut dyn State> {
        self.slots.get_mut(&partition).map(|slot| &mut slot.state as &mut dyn State)
    }

    fn apply(&mut self, changes: Vec<Assignment>) -> Result<(), LogError> {
        for change in changes {
            match change {
                Assignment::Revoked { partition } => {
                    self.slots.remove(&partition);
                }
                Assignment::Assigned { partition, base } => self.assign(partition, base)?,
            }
        }
        metrics::partitions_owned(self.log.stage, self.slots.len());
        Ok(())
    }

    fn assign(&mut self, partition: u32, base: Box<dyn Base + Send>) -> Result<(), LogError> {
        let partitions = match self.log.inputs.first() {
            Some(inbox) => self.session.partitions(*inbox)?,
            None => 0,
        };
        let stage = (self.build)(Share { partition, partitions });
        let limited = self.log.inputs.iter().filter(|topic| !self.options.unlimited.contains(topic));
        let refusals = limited.map(|topic| (*topic, Refusals::default())).collect();
        self.slots.insert(partition, Slot { stage, state: Overlay::new(base), newest_ms: None, refusals });
        Ok(())
    }

    /// Runs the stage over the batch and commits.
    fn work(&mut self) -> Result<usize, WorkerError> {
        let batch = std::mem::take(&mut self.batch);
        let outcome = self.transact(&batch);
        let records = batch.len();
        self.batch = batch;
        let transaction = match outcome? {
            Outcome::Commit(transaction) => transaction,
            Outcome::Stop(place, stop) => {
                self.stop_partition(place, stop)?;
                return Ok(0);
            }
        };
        self.pace.note(records, transaction.bytes());
        let refused = Refused::of(&transaction.dead_letters);
        let published = metrics::BatchSummary::of(self.log.stage, &self.batch, &transaction);
        let begun = Instant::now();
        self.session.commit(transaction).map_err(|source| self.log_error(source))?;
        published.publish(&self.outbox.observations, begun.elapsed(), now_ms());
        self.outbox.observations.clear();
        if self.options.logs_refusals {
            self.refusal_lines.note(refused, Instant::now()).iter().for_each(|line| line.log(self.log.stage));
        }
        let budget = if self.session.keeps_state() { self.options.cache_bytes / self.slots.len().max(1) } else { usize::MAX };
        for slot in self.slots.values_mut() {
            if slot.newest_ms.take().is_some() {
                slot.state.settle(budget);
            }
        }
        Ok(records)
    }

    fn transact(&mut self, batch: &Batch) -> Result<Outcome, WorkerError> {
        let mut transaction = Transaction::default();
        let mut offsets: BTreeMap<(Topic, u32), u64> = BTreeMap::new();
        for record in batch.records() {
            offsets.insert((record.topic, record.partition), record.offset + 1);
            if let Some(excess) = self.handle(&record, &mut transaction)? {
                let place = (record.topic, record.partition);
                return Ok(Outcome::Stop(place, self.stop(&record, excess, batch, &transaction)));
            }
        }
        self.end_batch(&mut transaction)?;
        transaction.erasures = std::mem::take(&mut self.outbox.erasures);
        self.route(&mut transaction)?;
        transaction.offsets = offsets.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect();
        Ok(Outcome::Commit(transaction))
    }

    /// Runs the stage over a record; says when it was one refusal too many.
    fn handle(&mut self, record: &Record<'_>, transaction: &mut Transaction) -> Result<Option<Excess>, WorkerError> {
        let (stage, partition) = (self.log.stage, record.partition);
        let Some(slot) = self.slots.get_mut(&partition) else { return Err(WorkerError::Unassigned { stage, partition }) };
        slot.newest_ms = slot.newest_ms.max(Some(record.timestamp_ms));
        self.outbox.caused_at(record.timestamp_ms);
        let mut context = Context { state: &mut slot.state, outbox: &mut self.outbox };
        let whole = match slot.stage.handle(record, &mut context) {
            Ok(()) => None,
            Err(StageError::Rejected(rejection)) => Some(rejection),
            Err(StageError::State(source)) => return Err(WorkerError::State { stage, partition, source }),
        };
        let (rejections, refused) = self.outbox.take_rejections(whole);
        for rejection in rejections {
            transaction.dead_letters.push(dead_letter(stage, record, rejection));
        }
        let counts = refused && !self.stops.is_accepted((record.topic, partition), record.offset);
        Ok(slot.refusals(record.topic).and_then(|refusals| refusals.note(counts, &self.limits)))
    }

    fn end_batch(&mut self, transaction: &mut Transaction) -> Result<(), WorkerError> {
        let stage = self.log.stage;
        let owned: Vec<(u32, i64)> = self.slots.iter().filter_map(|(at, slot)| Some((*at, slot.newest_ms?))).collect();
        for (partition, newest_ms) in owned {
            let Some(slot) = self.slots.get_mut(&partition) else { continue };
            self.outbox.caused_at(newest_ms);
            let mut context = Context { state: &mut slot.state, outbox: &mut self.outbox };
            slot.stage.end_batch(&mut context).map_err(|source| WorkerError::State { stage, partition, source })?;
            if self.session.keeps_state() {
                transaction.state.push((partition, slot.state.writes()));
            }
        }
        Ok(())
    }

    /// Moves what the stage wrote into the transaction, with its partition.
    fn route(&mut self, transaction: &mut Transaction) -> Result<(), WorkerError> {
        transaction.outputs.reserve_exact(self.outbox.outputs.len());
        for (output, timestamp_ms) in self.outbox.take_outputs() {
            let count = match self.partition_counts.get(&output.topic) {
                Some(count) => *count,
                None => {
                    let asked = self.session.partitions(output.topic);
                    let count = asked.map_err(|source| WorkerError::Log { stage: self.log.stage, source })?;
                    self.partition_counts.insert(output.topic, count);
                    count
                }
            };
            let partition = partition::of(&output.key, count);
            transaction.outputs.push(Routed { output, partition, timestamp_ms });
        }
        Ok(())
    }

    /// Forgets a batch that was not committed.
    fn discard(&mut self) {
        self.batch.clear();
        self.outbox = Outbox::with_json(self.options.json.clone());
        for slot in self.slots.values_mut() {
            slot.stage.discard_batch();
            slot.state.discard();
            slot.newest_ms = None;
            slot.refusals.iter_mut().for_each(|(_, refusals)| *refusals = Refusals::default());
        }
    }

    fn log_error(&self, source: LogError) -> WorkerError {
        WorkerError::Log { stage: self.log.stage, source }
    }
}

fn dead_letter(stage: &str, record: &Record<'_>, rejection: Rejection) -> DeadLetter {
    DeadLetter {
        reason: rejection.reason.code().to_owned(),
        detail: rejection.detail,
        field: rejection.field,
        stage: stage.to_owned(),
        topic: record.topic.name().to_owned(),
        partition: i32::try_from(record.partition).unwrap_or(i32::MAX),
        offset: i64::try_from(record.offset).unwrap_or(i64::MAX),
        index: rejection.index,
        key: record.key.to_vec(),
        payload: record.value.to_vec(),
        timestamp: record.timestamp_ms,
    }
}

/// For metrics only: no decision reads it.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
