//! The pipeline put together: [all settings](settings), the [three stages](stages) that they configure, [the pipeline in memory](replay),
//! [explanations](explain), and [the paths that models learn from](paths). The command line and the simulator are built on this crate. It
//! uses neither Kafka nor RocksDB.

pub mod catalogue;
pub mod credit_table;
pub mod explain;
pub mod generations;
pub mod paths;
pub mod replay;
pub mod settings;
pub mod stages;
pub mod time;
pub mod units;
mod whole;
