//! The pipeline put together: [all settings](settings), the [three stages](stages) they make, [the pipeline in memory](replay), and
//! [why it is so](explain), and [what models learn from](paths). What shows it (the command line, the simulator) is built on this; it knows neither Kafka nor RocksDB.

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
