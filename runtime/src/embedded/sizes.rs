//! Disk and memory usage of the embedded log.

use super::inner::Inner;
use super::{FAMILIES, STATE};
use crate::metrics::Sizes;
use crate::state::STALLS;

impl Inner {
    /// All sizes that are published.
    pub(super) fn sizes(&self) -> Sizes {
        let stalled = |family: &&&'static str| STALLS.into_iter().any(|name| self.property(family, name) > 0);
        Sizes {
            state_bytes: self.state_bytes(),
            memory_bytes: self.memory_bytes(),
            stalled: FAMILIES.iter().filter(stalled).count(),
        }
    }

    /// Bytes of state on disk and in write buffers.
    fn state_bytes(&self) -> u64 {
        self.property(STATE, "rocksdb.total-sst-files-size") + self.property(STATE, "rocksdb.cur-size-all-mem-tables")
    }

    /// Bytes of blocks, indexes, filters and write buffers in memory.
    fn memory_bytes(&self) -> usize {
        let buffers: u64 = FAMILIES.iter().map(|name| self.property(name, "rocksdb.cur-size-all-mem-tables")).sum();
        self.cache.get_usage() + usize::try_from(buffers).unwrap_or(usize::MAX)
    }

    fn property(&self, family: &'static str, name: &str) -> u64 {
        let of = |family| self.db.property_int_value_cf(family, name).ok().flatten();
        self.family(family).ok().and_then(of).unwrap_or(0)
    }
}
