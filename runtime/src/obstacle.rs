//! Reasons why a worker cannot work: what `/readyz` reports while it is not ready.

use std::fmt;
use std::time::Instant;

use crate::topic::Topic;

/// What keeps a worker from processing: see the module. A worker can have several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// It has not completed a turn of its loop yet.
    Starting,
    /// No broker answers.
    BrokersAway {
        /// When one last answered; before that, the start.
        since: Instant,
    },
    /// The group has not assigned partitions yet.
    Joining,
    /// The group has assigned it no partition, although there are enough for all members.
    NoPartitions,
    /// Partitions are being restored.
    Restoring {
        /// How many.
        partitions: usize,
    },
    /// The last transaction failed, for this reason; the worker recovers.
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
    /// A partition waits because its store cannot be opened. The others continue.
    Unopened {
        /// The partition.
        partition: u32,
        /// Why, and what to do.
        why: String,
    },
    /// The log that the collector writes to does not answer.
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
