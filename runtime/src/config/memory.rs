//! How the memory budget of a process is divided.
//!
//! ```
//! use tributary_runtime::config::memory::MemoryBudget;
//!
//! let shares = MemoryBudget::of(1024, 3, 2);
//! assert_eq!((shares.stores >> 20, shares.values >> 20, shares.transaction >> 20), (232, 145, 9));
//! ```

use std::fs;
use std::path::Path;

/// Parts of a worker's share: records waiting to be read; one transaction; twice that on its way to the brokers; and the needs of the stage
/// and the clients, such as compression.
const PARTS: usize = 14;

/// Memory of an idle process: code, the clients' threads and buffers, RocksDB's compactions. Measured.
const FIXED_MB: u32 = 96;

/// The memory of each part, in bytes. See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// RocksDB: blocks, indexes, filters and write buffers of all stores.
    pub stores: usize,
    /// The values that a worker of a stage with state keeps between batches.
    pub values: usize,
    /// A transaction of a worker, approximately.
    pub transaction: usize,
}

impl MemoryBudget {
    /// The most MiB of `memory_mb` for the bodies and records in a collector: half of what is left after the fixed part.
    pub fn collector_mb_max(memory_mb: u32) -> u32 {
        memory_mb.saturating_sub(FIXED_MB) / 2
    }

    /// Divides `memory_mb` MiB for a process with this many workers, of which `keeping` have state: after a fixed part, a quarter for
    /// RocksDB, five sixteenths for values, the rest for data in flight.
    pub fn of(memory_mb: u32, workers: usize, keeping: usize) -> Self {
        let bytes = memory_mb.saturating_sub(FIXED_MB) as usize * 1024 * 1024;
        Self {
            stores: bytes / 4,
            values: bytes / 16 * 5 / keeping.max(1),
            transaction: bytes / 16 * 7 / workers.max(1) / PARTS,
        }
    }
}

/// This percentage of the memory limit of the process's control group, or, if that has no limit, of the machine's memory; in MiB.
pub(super) fn percent_mb(percent: u32) -> Option<u32> {
    percent_of(Path::new("/"), percent)
}

/// The same, with the system's files below `root`.
fn percent_of(root: &Path, percent: u32) -> Option<u32> {
    let limit = limit_of_group(root).into_iter().chain(memory_of_machine(root)).min()?;
    u32::try_from(limit / 100 * u64::from(percent) / (1024 * 1024)).ok()
}

/// The smallest limit of the control groups of the process, bytes; of version 2, else of version 1.
fn limit_of_group(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limit = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (top, file) = match controllers {
            "" => (root.join("sys/fs/cgroup"), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // In a container the path is that on the host, or missing: then the mounted root counts.
        let group = Path::new(path.trim_start_matches('/'));
        let read = |group: &Path| fs::read_to_string(top.join(group).join(file)).ok()?.trim().parse::<u64>().ok();
        group.ancestors().filter_map(read).min()
    };
    groups.lines().filter_map(limit).min()
}

fn memory_of_machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 80 % with these files.
    fn eighty(files: &[(&str, &str)]) -> Option<u32> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        percent_of(root.path(), 80)
    }

    #[test]
    fn percent_are_of_the_least_limit() {
        let machine = ("proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");
        let (group, none) = (("proc/self/cgroup", "0::/a/b\n"), ("sys/fs/cgroup/a/memory.max", "max\n"));
        assert_eq!(eighty(&[]), None);
        assert_eq!(eighty(&[machine]), Some(6_553), "80 % of 8 GiB");
        assert_eq!(eighty(&[machine, group, none]), Some(6_553));
        let limit = ("sys/fs/cgroup/a/b/memory.max", "2147483648\n");
        assert_eq!(eighty(&[machine, group, none, limit]), Some(1_638));
        let above = ("sys/fs/cgroup/a/memory.max", "1073741824\n");
        assert_eq!(eighty(&[machine, group, above, limit]), Some(819), "a group above allows less");
        let container = ("sys/fs/cgroup/memory.max", "1073741824\n");
        assert_eq!(eighty(&[machine, ("proc/self/cgroup", "0::/\n"), container]), Some(819));
        let old = [
            ("proc/self/cgroup", "5:cpu:/x\n4:memory:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
        ];
        assert_eq!(eighty(&[machine, old[0], old[1]]), Some(819));
        let huge = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(eighty(&[machine, old[0], huge]), Some(6_553), "version 1 says `no limit` so");
    }
}
