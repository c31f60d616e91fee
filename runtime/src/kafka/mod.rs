//! The log on Kafka: [`KafkaSession`].
//!
//! A session has a consumer in its stage's group, a transactional producer, and, for a stage with state, one RocksDB store for each
//! partition it owns. Everything happens on the thread that calls it. Where to look:
//!
//! | what | where |
//! |---|---|
//! | settings, and which of the client's settings are refused | `options` |
//! | polling and rebalances | `session`, `message`, `rebalance`, `session/membership` |
//! | one transaction a batch | `commit` |
//! | reading the changelog | `restore` |
//! | lag of the inputs, and open transactions that block them | `session/lag` |
//! | decisions without a client, and the order of steps | [`crate::exactly_once`] |
//! | whether the brokers can be reached, and why a connection cannot be made | `reach`, `connection_errors`, `certificate` |
//! | callbacks of the clients, and their log | `context`, `client_log` |
//! | discovery of processes, and of the partitions they hold | `presence` |
//! | stopped partitions | `session/stopped` |
//! | which errors lead to a recovery, and which stop the worker | `failure`, `recover` |
//!
//! Its principles:
//!
//! - **Who may commit.** Static membership and a transactional id per worker. Every transaction carries the consumer group's metadata
//!   (KIP-447), so the group refuses the offsets of a former owner. A restarted worker fences its former producer.
//! - **State is never ahead.** The store is written after the commit. Each transaction ends a partition's changes in the changelog with the
//!   input offsets they stand for. So a state is known to be current exactly when its offsets are the group's committed ones.
//! - **Nothing builds on an unknown outcome.** After any error in a transaction its producer is dropped. The next one has the same
//!   transactional id: the broker settles the former transaction before it answers. Then the committed offsets are read again. The same
//!   happens after a successful commit during which a connection was lost: the client has sent its pending requests again, and a late copy
//!   would count as a part of the next transaction if the epoch were the same.

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

/// Timeout of questions to brokers about topics and offsets.
const ASK: Duration = Duration::from_secs(5);
