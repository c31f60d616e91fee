//! How the memory that a process may take is shared out.
//!
//! ```
//! use tributary_runtime::config::memory::Shares;
//!
//! let shares = Shares::of(1024, 3, 2);
//! assert_eq!((shares.stores >> 20, shares.values >> 20, shares.transaction >> 20), (232, 116, 9));
//! ```

/// Parts of a worker's share: what waits to be read, one transaction, twice that on its way to the brokers, and what the stage and the
/// clients need besides, such as what is being inflated or compressed.
const PARTS: usize = 16;

/// What a process takes however little it does: code, the clients' threads and buffers, RocksDB's compactions. Measured.
const FIXED_MB: u32 = 96;

/// What each may take, in bytes. See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// RocksDB: blocks, indexes, filters and write buffers of all stores.
    pub stores: usize,
    /// The values that a worker of a stage with state holds between batches.
    pub values: usize,
    /// What a transaction of a worker may hold, about.
    pub transaction: usize,
}

impl Shares {
    /// The most MiB of `memory_mb` that bodies and records may take which a collector holds: half of what is left after the fixed part.
    pub fn collector_mb_max(memory_mb: u32) -> u32 {
        memory_mb.saturating_sub(FIXED_MB) / 2
    }

    /// Of `memory_mb` MiB for a process with so many workers, of which `keeping` keep state: after a fixed part, a quarter is for RocksDB, a quarter for
    /// values, half for what is on its way.
    pub fn of(memory_mb: u32, workers: usize, keeping: usize) -> Self {
        let bytes = memory_mb.saturating_sub(FIXED_MB) as usize * 1024 * 1024;
        Self { stores: bytes / 4, values: bytes / 4 / keeping.max(1), transaction: bytes / 2 / workers.max(1) / PARTS }
    }
}
