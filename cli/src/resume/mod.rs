//! Sends files so that each record arrives once, even if the process is killed at any moment and the same command is given again.
//!
//! The progress ([`Position`]) changes together with the records, all or nothing: in one write batch of the embedded log, in one
//! transaction on Kafka. A small file ([`Unfinished`]), in the state folder or beside the input, marks a run as unfinished. It is created
//! before the first record is sent. After the command has printed its result, it is changed or removed, so that a file that is sent again
//! on purpose is sent completely.
//!
//! Input that can be read only once, such as a pipe, cannot be resumed: it is sent as it comes.

mod embedded;
mod kafka;
mod plain;
mod work;

use serde::{Deserialize, Serialize};
use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

use crate::sink::SinkError;

pub use embedded::EmbeddedCheckpoints;
pub use kafka::KafkaCheckpoints;
pub use plain::Plain;
pub use work::{NotedIn, Unfinished, Work, exit_confirmed, fingerprint};

/// The position that an interrupted run had reached. Everything before it is stored, and nothing after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The run it belongs to. The position of an earlier run that has finished is ignored.
    pub run: String,
    /// The number of the file being sent, from 0; those before it are finished.
    pub file: usize,
    /// Rows of that file that are finished: sent or refused.
    pub rows: u64,
    /// Of these, rows sent.
    pub sent: u64,
    /// Of these, rows refused.
    pub refused: u64,
    /// Whether all files are finished.
    pub ended: bool,
}

/// A target for records that also stores a checkpoint: the progress of the run.
///
/// ```
/// use tributary_cli::resume::CheckpointSink;
/// use tributary_cli::sink::SinkError;
/// use tributary_runtime::topic::Topic;
///
/// /// Keeps records and the checkpoint in memory.
/// #[derive(Default)]
/// struct Memory { waiting: usize, stored: usize, checkpoint: Option<Vec<u8>> }
///
/// impl CheckpointSink for Memory {
///     fn last(&mut self) -> Result<Option<Vec<u8>>, SinkError> { Ok(self.checkpoint.clone()) }
///     fn send(&mut self, _: Topic, _: &[u8], _: i64) -> Result<(), SinkError> { self.waiting += 1; Ok(()) }
///     fn is_due(&self) -> bool { self.waiting >= 1_000 }
///     fn commit(&mut self, checkpoint: &[u8]) -> Result<(), SinkError> {
///         self.stored += std::mem::take(&mut self.waiting);
///         self.checkpoint = Some(checkpoint.to_vec());
///         Ok(())
///     }
/// }
///
/// let mut sink = Memory::default();
/// sink.send(Topic::Offline, b"a row", 0)?;
/// sink.commit(b"row 1")?;
/// assert_eq!((sink.stored, sink.last()?.as_deref()), (1, Some(&b"row 1"[..])));
/// # Ok::<(), SinkError>(())
/// ```
pub trait CheckpointSink {
    /// The checkpoint that was stored last; `None` if there is none, or if none can be stored.
    ///
    /// # Errors
    /// When it cannot be read.
    fn last(&mut self) -> Result<Option<Vec<u8>>, SinkError>;

    /// Adds a record. It need not be stored before the next [`Self::commit`].
    ///
    /// # Errors
    /// When the record is refused.
    fn send(&mut self, topic: Topic, value: &[u8], timestamp_ms: i64) -> Result<(), SinkError>;

    /// Whether enough records wait that [`Self::commit`] is due.
    fn is_due(&self) -> bool;

    /// Stores the records since the last commit, and the checkpoint, atomically.
    ///
    /// # Errors
    /// When that fails, or its outcome is unknown.
    fn commit(&mut self, checkpoint: &[u8]) -> Result<(), SinkError>;
}

/// A run of a command that sends files.
pub struct Sending {
    sink: Box<dyn CheckpointSink>,
    unfinished: Option<Unfinished>,
    position: Position,
    earlier: Position,
    /// The outcome of a commit is unknown, so nothing may follow.
    broken: bool,
}

impl Sending {
    /// Begins, or continues an interrupted run. Without `work`, nothing can be continued, and records are sent without checkpoints.
    ///
    /// # Errors
    /// When the log cannot be opened or read.
    pub fn begin(settings: &Settings, work: Option<&Work>) -> Result<Self, SinkError> {
        let Some(work) = work else { return Self::of(Box::new(Plain::open(settings)?), None) };
        let sink: Box<dyn CheckpointSink> = if settings.kafka.is_embedded() {
            Box::new(EmbeddedCheckpoints::open(settings, work)?)
        } else {
            Box::new(KafkaCheckpoints::open(settings, work)?)
        };
        let place = match settings.kafka.is_embedded() {
            true => NotedIn::State(settings.state.folder_of_process()),
            false => NotedIn::Beside,
        };
        Self::of(sink, Some(Unfinished::find_or_make(work, &place)))
    }

    /// The same, with this sink.
    ///
    /// # Errors
    /// When its checkpoint cannot be read.
    pub fn of(mut sink: Box<dyn CheckpointSink>, unfinished: Option<Unfinished>) -> Result<Self, SinkError> {
        let run = unfinished.as_ref().map(|unfinished| unfinished.run.clone()).unwrap_or_default();
        let last = if unfinished.is_some() { sink.last()? } else { None };
        let found = last.and_then(|bytes| serde_json::from_slice::<Position>(&bytes).ok());
        let earlier = found.filter(|found| found.run == run).unwrap_or(Position { run, ..Position::default() });
        Ok(Self { sink, unfinished, position: earlier.clone(), earlier, broken: false })
    }

    /// Where the run began: everything before that is already finished.
    pub fn earlier(&self) -> &Position {
        &self.earlier
    }

    /// The number of finished rows of a file.
    pub fn done_of(&self, file: usize) -> u64 {
        if self.earlier.ended || file < self.earlier.file {
            return u64::MAX;
        }
        if file == self.earlier.file { self.earlier.rows } else { 0 }
    }

    /// Sends a record. Call [`Self::passed`] when its row is finished.
    ///
    /// # Errors
    /// When it is refused, or an earlier one was not stored.
    pub fn send(&mut self, topic: Topic, value: &[u8], timestamp_ms: i64) -> Result<(), SinkError> {
        let sent = self.sink.send(topic, value, timestamp_ms);
        self.broken |= sent.is_err();
        sent
    }

    /// Reports the progress in a file; records are stored from time to time.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn passed(&mut self, file: usize, rows: u64, sent: u64, refused: u64) -> Result<(), SinkError> {
        (self.position.file, self.position.rows, self.position.sent, self.position.refused) = (file, rows, sent, refused);
        if self.sink.is_due() { self.store() } else { Ok(()) }
    }

    /// Stores the waiting records and the position.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn store(&mut self) -> Result<(), SinkError> {
        if self.broken {
            return Ok(());
        }
        let checkpoint = serde_json::to_vec(&self.position).map_err(|error| SinkError::Embedded(error.to_string()));
        let stored = checkpoint.and_then(|checkpoint| self.sink.commit(&checkpoint));
        self.broken |= stored.is_err();
        stored
    }

    /// Stores the rest, marks the run as finished, and closes the log. Print the result before [confirming](Unfinished::confirm) it.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn complete(mut self) -> Result<Option<Unfinished>, SinkError> {
        self.position.ended = true;
        self.store()?;
        Ok(self.unfinished)
    }

    /// Runs `work`. If it fails, what was sent before is stored nevertheless, so that the same command continues from there.
    ///
    /// # Errors
    /// Errors of `work`.
    pub fn attempt(&mut self, work: impl FnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let done = work(self);
        if done.is_err()
            && let Err(error) = self.store()
        {
            tracing::warn!("what was read before could not be stored either: {error}");
        }
        done
    }
}
