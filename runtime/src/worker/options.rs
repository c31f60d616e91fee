//! Options of a worker, and the reasons why it may stop.

use std::collections::BTreeSet;

use crate::dead_letter_limit::{DeadLetterLimits, LiveLimits};
use crate::generation::RefusedGeneration;
use crate::log::{BatchLimits, LogError};
use crate::state::StateError;
use crate::topic::Topic;

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// When a batch ends.
    pub limits: BatchLimits,
    /// Bytes of outputs and changes that a batch may cause, about: batches have fewer records where records cause much. [`usize::MAX`]
    /// is no bound.
    pub transaction_bytes: usize,
    /// Bytes of state that the worker may keep in memory between batches, over all its partitions.
    pub cache_bytes: usize,
    /// Output topics whose records are written as JSON instead of Protobuf.
    pub json: BTreeSet<Topic>,
    /// How much of a partition of an input may be refused before it stops. Read before each batch.
    pub refusals: LiveLimits,
    /// Input topics of which any share may be refused: anybody may send to them.
    pub unlimited: Vec<Topic>,
    /// A worker whose newest record was received so many milliseconds ago is behind: see [`Stage::more_waits`](crate::stage::Stage::more_waits).
    /// `None`: only one that has filled its batch is.
    pub behind_ms: Option<i64>,
    /// Whether the log has lines about what is refused: see [`dead_letter_lines`](crate::dead_letter_lines).
    pub logs_refusals: bool,
}

impl WorkerOptions {
    /// All state stays in memory, and whatever is refused stops nothing: for records that are a file or a history of a test.
    pub fn in_memory(limits: BatchLimits) -> Self {
        Self {
            limits,
            transaction_bytes: usize::MAX,
            cache_bytes: usize::MAX,
            json: BTreeSet::new(),
            refusals: LiveLimits::new(DeadLetterLimits::NONE),
            unlimited: Vec::new(),
            behind_ms: None,
            logs_refusals: false,
        }
    }
}

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log.
    #[error("stage {stage}: {source}")]
    Log {
        /// The stage.
        stage: &'static str,
        /// What the log said.
        source: LogError,
    },
    /// The state.
    #[error("stage {stage}, partition {partition}: {source}")]
    State {
        /// The stage.
        stage: &'static str,
        /// The partition whose state it is.
        partition: u32,
        /// What the state said.
        source: StateError,
    },
    /// These settings must not go on.
    #[error(transparent)]
    Settings(#[from] RefusedGeneration),
    /// A worker's thread ended without a result.
    #[error("{worker} has panicked; this is a defect")]
    Panicked {
        /// The thread's name.
        worker: String,
    },
    /// The log handed out a record of a partition that it did not assign.
    #[error("stage {stage}: a record of partition {partition}, which is not assigned; this is a defect")]
    Unassigned {
        /// The stage.
        stage: &'static str,
        /// The record's partition.
        partition: u32,
    },
}
