//! Same events, same answer: the real stages under every fault that a seed can think of, judged by a naive computation.
//!
//! ```
//! use tributary_simulator::run::{Case, run};
//!
//! let report = run(&Case::of(7), false);
//! assert_eq!(report.failure, None);
//! assert_eq!(run(&Case::of(7), false).struck, report.struck, "a seed says everything");
//! ```
//!
//! A seed draws a [`history`] with its settings, a cluster with 1 to 8 partitions a stage, one to three processes a stage, and
//! how often which [fault](faults) strikes. The [world] then lets one thing happen at a time: a process does a turn of the real
//! [`Worker`](tributary_runtime::worker::Worker) over a [session] on the simulated [cluster], a record arrives, a mark is written,
//! something goes wrong. When all has drained, the [audit] compares everything with everything, and with the [oracle]; what was committed on the
//! way it goes through transaction by transaction.

pub mod audit;
pub mod campaign;
pub mod check;
pub mod cluster;
pub mod draw;
pub mod erasures;
pub mod faults;
pub mod history;
pub mod hostile;
pub mod oracle;
pub mod outputs;
pub mod paths;
pub mod pipeline;
pub mod planted;
pub mod rows;
pub mod run;
pub mod session;
pub mod shrink;
pub mod store;
pub mod sums;
pub mod surroundings;
pub mod world;
