//! Same events, same answer: runs the real stages under seeded faults, and compares the result with a naive computation.
//!
//! ```
//! use tributary_simulator::run::{Case, run};
//!
//! let report = run(&Case::of(7), false);
//! assert_eq!(report.failure, None);
//! assert_eq!(run(&Case::of(7), false).struck, report.struck, "a seed says everything");
//! ```
//!
//! A seed determines a [`history`] with its settings, a cluster with 1 to 8 partitions per stage, one to three processes per stage, and how
//! often each [fault](faults) is injected. The [world] then lets one thing happen at a time: a process does a turn of the real
//! [`Worker`](tributary_runtime::worker::Worker) over a [session] on the simulated [cluster], a record arrives, a marker is written, a
//! fault is injected. When everything has drained, the [audit] compares inputs, log, stores and the [oracle]; it also checks every
//! committed transaction on the way.

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
