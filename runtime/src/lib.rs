//! What the three stages share: the log, the state, the exactly-once loop, metrics and configuration.

pub mod config;
pub mod kafka_admin;
pub mod log;
pub mod metric;
pub mod metrics;
pub mod stage;
pub mod state;
pub mod topic;
pub mod topics_plan;
pub mod worker;
