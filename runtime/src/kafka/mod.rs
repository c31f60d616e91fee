//! The log on Kafka: [`KafkaSession`].
//!
//! A session has a consumer of its stage's group, a transactional producer, and, for a stage with state, one RocksDB store for each
//! partition it owns. Everything happens on the thread that calls it. Where to look:
//!
//! | what | where |
//! |---|---|
//! | settings, and which of the client's settings are refused | `options` |
//! | polling, and what changes hands in a rebalance | `session`, `message`, `rebalance`, `session/share` |
//! | one transaction a batch | `commit` |
//! | reading the changelog | `restore` |
//! | how far behind the inputs are, and what holds them up | `session/lag` |
//! | what is decided without a client, and in which order things are done | [`crate::exactly_once`] |
//! | whether the brokers can be reached, and why a connection cannot be made | `reach`, `connection_errors`, `certificate` |
//! | what the clients call back, and what they write into their log | `context`, `client_log` |
//! | which processes there are, and who holds what | `presence` |
//! | partitions that stand still | `session/stopped` |
//! | which errors are gone back from, and which stop the worker | `failure`, `recover` |
//!
//! What holds it together:
//!
//! - **Who may commit.** Static membership and a transactional id per worker; every transaction carries the consumer group's metadata
//!   (KIP-447), so the group refuses the offsets of a former owner; a restarted worker fences what it left behind.
//! - **State is never ahead.** The store is written after the commit. Each transaction ends a partition's changes in the changelog with
//!   the input offsets they stand for, so a state can be told from one that is behind: it is current when its offsets are the
//!   group's committed ones, and nothing else counts.
//! - **No unknown outcome is built upon.** After any error in a transaction its producer is dropped. The next one has the same
//!   transactional id: the broker settles the former transaction before it answers. Then the committed offsets are read again.
//!   The same after a commit that succeeded while a connection was lost: the client has sent again what was under way on it, and a copy
//!   that comes late would be taken for a part of the next transaction, were the epoch the same.

mod certificate;
mod client_log;
mod commit;
mod connection_errors;
mod context;
mod failure;
mod message;
pub mod metrics;
mod options;
mod partitions;
mod presence;
mod reach;
mod rebalance;
mod recover;
mod restore;
mod session;

pub use connection_errors::{ConnectionErrors, explain};
pub use options::{KafkaOptions, RefusedSetting, accepted_group, group_name, refused_setting};
pub use partitions::spread_of;
pub use presence::{Owners, PresenceError, Process, announce, owners, processes};
pub use reach::{Lookout, Reach};
pub use session::KafkaSession;

use std::time::Duration;

/// Longest wait for an answer about topics and offsets.
const ASK: Duration = Duration::from_secs(5);
