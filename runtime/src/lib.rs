//! Shared by the three stages: the log, the state, the exactly-once loop, metrics and configuration.

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
