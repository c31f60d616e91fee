//! The pipeline put together: [all settings](settings), the [three stages](stages) that they configure, [the pipeline in memory](replay),
//! [explanations](explain), and [the paths that models learn from](paths). The command line and the simulator are built on this crate. It
//! uses neither Kafka nor RocksDB.
//!
//! Events in, credit out:
//!
//! ```
//! use tributary_pipeline::{replay::Replay, settings::Settings};
//! use tributary_runtime::topic::Topic;
//!
//! let mut replay = Replay::new(&Settings::default(), 4).expect("the defaults are valid");
//! for record in [
//!     r#"{"timestamp": "2024-03-01T10:00:00Z", "email": "zhang@b-corp.example", "channel": "offline_event"}"#,
//!     r#"{"timestamp": "2024-03-09T10:00:00Z", "email": "zhang@b-corp.example", "kind": "milestone",
//!         "milestone": "closed_won", "object_id": "006X", "value": "100.00", "currency": "CNY"}"#,
//! ] {
//!     replay.append(Topic::Offline, 0, record.as_bytes());
//! }
//! let results = replay.finish().expect("nothing can fail in memory");
//! let linear: i64 = results.table().rows().filter(|row| row.model == "linear").map(|row| row.value_minor).sum();
//! assert_eq!(linear, 10_000);
//! ```

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
