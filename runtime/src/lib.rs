//! Shared by the three stages: the log, the state, the exactly-once loop, metrics and configuration.
//!
//! A [stage](stage::Stage) is a state machine. A [worker](worker::Worker) reads records from a [log], runs the stage over them, and commits
//! offsets, state and outputs together:
//!
//! ```
//! use tributary_runtime::log::{BatchLimits, MemoryLog, StageLog};
//! use tributary_runtime::stage::{Context, Record, Stage, StageError};
//! use tributary_runtime::state::StateError;
//! use tributary_runtime::topic::Topic;
//! use tributary_runtime::worker::{Worker, WorkerError, WorkerOptions};
//!
//! /// Passes every record on to the inbox of identity.
//! struct Pass;
//!
//! impl Stage for Pass {
//!     fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
//!         context.outbox.unpublish(Topic::IdentityInbox, record.value);
//!         Ok(())
//!     }
//!
//!     fn end_batch(&mut self, _: &mut Context<'_>) -> Result<(), StateError> {
//!         Ok(())
//!     }
//!
//!     fn discard_batch(&mut self) {}
//! }
//!
//! let log = MemoryLog::new(1);
//! log.append(Topic::Offline, 0, Vec::new(), b"a record".to_vec());
//! let stage = StageLog { stage: "ingest", inputs: &Topic::RAW, changelog: None };
//! let limits = BatchLimits { records_max: 100, bytes_max: 1 << 20, wait_ms: 0, gather_ms: 0 };
//! let mut worker = Worker::new(log.session(stage), stage, Box::new(|_| Box::new(Pass)), WorkerOptions::in_memory(limits));
//! assert_eq!(worker.step()?, 1);
//! assert_eq!(log.backlog(Topic::IdentityInbox), 1);
//! # Ok::<(), WorkerError>(())
//! ```

#[cfg(feature = "native")]
pub mod admin;
pub mod config;
pub mod dead_letter_limit;
pub mod dead_letter_lines;
#[cfg(feature = "native")]
pub mod descriptors;
#[cfg(feature = "native")]
pub mod embedded;
pub mod exactly_once;
pub mod fresh;
pub mod gate;
pub mod generation;
#[cfg(feature = "native")]
pub mod http;
#[cfg(feature = "native")]
pub mod kafka;
#[cfg(feature = "native")]
pub mod kafka_admin;
pub mod log;
pub mod mailbox;
pub mod metric;
pub mod metrics;
pub mod obstacle;
mod pace;
#[cfg(feature = "native")]
pub mod page;
pub mod reason;
pub mod remodel;
#[cfg(feature = "native")]
mod rocks_failure;
pub mod service;
pub mod stage;
pub mod state;
mod stopped;
pub mod throttle;
pub mod topic;
pub mod topics_plan;
pub mod trace;
pub mod worker;
