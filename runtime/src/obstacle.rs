//! Reasons why a worker cannot work: what `/readyz` reports while it is not ready.

use std::fmt;
use std::time::Instant;

use crate::topic::Topic;

/// See the module. Several may hold at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It has not come round its loop yet.
    Starting,
    /// No broker answers.
    BrokersAway {
        /// The last time that one did, or the start.
        since: Instant,
    },
    /// The group has not assigned partitions yet.
    Joining,
    /// The group has given it no partition, though it has enough for all its members.
    NoPartitions,
    /// Partitions wait for their state.
    Restoring {
        /// How many.
        partitions: usize,
    },
    /// The last transaction failed, for this reason; it is being gone back from.
    Recovering(String),
    /// A partition is stopped until an operator acts. The others continue.
    Stopped {
        /// The topic's role.
        topic: Topic,
        /// The partition.
        partition: u32,
        /// Why, and what to do.
        why: String,
    },
    /// A partition waits because its store cannot be opened. The others go on.
    Unopened {
        /// The partition.
        partition: u32,
        /// Why, and what to do.
        why: String,
    },
    /// The log that the collector writes does not answer.
    LogAway,
    /// It is shutting down.
    Leaving,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::BrokersAway { since } => write!(f, "no broker has answered for {} s", since.elapsed().as_secs()),
            Self::Joining => f.write_str("waiting for its partition assignment"),
            Self::NoPartitions => f.write_str("has no partition, though there are enough for all members of its group"),
            Self::Restoring { partitions } => write!(f, "restoring the state of {partitions} partitions"),
            Self::Recovering(why) => write!(f, "recovering to the committed offsets: {why}"),
            Self::Stopped { topic, partition, why } => write!(f, "partition {}/{partition} is stopped: {why}", topic.name()),
            Self::Unopened { partition, why } => write!(f, "the state of partition {partition} cannot be opened: {why}"),
            Self::LogAway => f.write_str("the log does not answer: requests are answered 503"),
            Self::Leaving => f.write_str("leaving"),
        }
    }
}
