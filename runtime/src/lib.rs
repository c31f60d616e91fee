//! What the three stages share: the log, the state, the exactly-once loop, metrics and configuration.

pub mod config;
pub mod metric;
pub mod stage;
pub mod state;
pub mod topic;
