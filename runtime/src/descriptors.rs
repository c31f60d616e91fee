//! File descriptors: how many this process may have, which parts need them, and how many are left for outside connections.
//!
//! A socket is a file. If outside connections took the last descriptor, RocksDB could not open its next file and would refuse all further
//! writes. So the descriptors that the process needs itself are reserved first.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Most descriptors asked for: no process of ours needs more, and some kernels allow a billion.
const RAISED_MAX: u64 = 1 << 20;
/// Most and fewest table files that a store keeps open.
const TABLES_MAX: u64 = 256;
const TABLES_MIN: u64 = 24;
/// Other open files of a store: its log, its manifest, output of compactions.
const STORE_BESIDE: u64 = 16;
/// Descriptors per connection of a Kafka client, with those that wake its threads. Measured: 12 to 20 per client.
const KAFKA_CONNECTION: u64 = 4;
/// Standard streams, pollers, timers, signals, certificates, files opened briefly.
const RESERVE: u64 = 64;

/// What to do when a store cannot open more files.
pub const ADVICE: &str = "; raise the limit of open files (`ulimit -n`, LimitNOFILE; `tributary check` tells who needs them) and start again: \
                          what was answered is stored";

/// Whether an error of RocksDB means that no more files can be opened.
pub(crate) fn says_none_left(text: &str) -> bool {
    // The texts of `strerror`; that for the system-wide limit begins in the same way.
    text.contains("Too many open files")
}

/// Raises the soft limit of open files to the hard one. If that is refused, it stays.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(RAISED_MAX).min(RAISED_MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

/// How many open files this process may have.
pub fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(RAISED_MAX)
}

/// The numbers of things that need open files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// RocksDB stores.
    pub stores: u64,
    /// Kafka clients.
    pub clients: u64,
    /// Brokers, approximately.
    pub brokers: u64,
    /// Connections to the listeners for metrics, probes and admin requests, plus the listeners.
    pub listeners: u64,
}

/// How the limit of open files of a process is divided.
///
/// ```
/// use tributary_runtime::descriptors::{Descriptors, Wants};
///
/// let shared = Descriptors::of(1_024, Wants { stores: 1, listeners: 66, ..Wants::default() });
/// assert_eq!((shared.tables, shared.stores, shared.need(), shared.left()), (256, 272, 402, 622));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// The limit.
    pub allowed: u64,
    /// Table files that each store may keep open.
    pub tables: u64,
    /// For all stores together.
    pub stores: u64,
    /// For Kafka.
    pub kafka: u64,
    /// For the listeners of metrics, probes and admin requests.
    pub listeners: u64,
    /// For everything else.
    pub reserve: u64,
}

impl Descriptors {
    /// Divides the limit. The stores get a third of it at most.
    pub fn of(allowed: u64, wants: Wants) -> Self {
        let tables = (allowed / 3 / wants.stores.max(1)).saturating_sub(STORE_BESIDE).clamp(TABLES_MIN, TABLES_MAX);
        Self {
            allowed,
            tables,
            stores: wants.stores * (tables + STORE_BESIDE),
            kafka: wants.clients * (wants.brokers + 1) * KAFKA_CONNECTION,
            listeners: wants.listeners,
            reserve: RESERVE,
        }
    }

    /// How many the process itself needs.
    pub fn need(&self) -> u64 {
        self.stores + self.kafka + self.listeners + self.reserve
    }

    /// What is left for connections from outside.
    pub fn left(&self) -> u64 {
        self.allowed.saturating_sub(self.need())
    }
}

/// Table files that the only store of a process keeps open: a setting of RocksDB.
pub fn tables_of_one_store() -> i32 {
    let shared = Descriptors::of(allowed(), Wants { stores: 1, ..Wants::default() });
    i32::try_from(shared.tables).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_stores_share_a_third_of_what_there_is() {
        let of = |allowed, stores| Descriptors::of(allowed, Wants { stores, ..Wants::default() });
        assert_eq!(of(1_024, 8).tables, 26);
        assert_eq!(of(20_000, 8).tables, TABLES_MAX);
        assert_eq!(of(1_024, 100).tables, TABLES_MIN);
        assert_eq!(of(1_024, 100).left(), 0);
    }

    #[test]
    fn the_soft_limit_is_raised_and_stays_within_the_hard_one() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, Some(limit.maximum.unwrap_or(RAISED_MAX).min(RAISED_MAX)).max(limit.current));
        assert_eq!(Some(allowed()), limit.current);
    }
}
