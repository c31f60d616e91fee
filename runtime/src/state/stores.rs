//! The stores that Kafka's workers keep in a folder, opened for reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Base, Committed, RocksStore, StateError, StoreBudget};

/// Memory for reading, bytes.
const READ_CACHE_BYTES: usize = 32 << 20;

/// The states below `folder` (`{folder}/{stage}/{partition}`), as they last reached the disk, of stages with at least this many
/// partitions; another process may be writing to them.
pub fn stores_read_only(folder: &Path, partitions: u32) -> Committed {
    let folder = folder.to_owned();
    let budget = Arc::new(StoreBudget::new(READ_CACHE_BYTES));
    let open = move |stage: &'static str, at: u32| -> Result<Box<dyn Base + Send>, StateError> {
        let path = store_folder(&folder, stage, at);
        if !path.is_dir() {
            let why = format!(
                "partition {at} of {stage} is not in {}; ask on the machine that holds it, or set state.path and topics.partitions",
                folder.display()
            );
            return Err(StateError::Read(why));
        }
        let store = RocksStore::open_read_only(&path, &budget).map_err(|error| StateError::Read(error.to_string()))?;
        Ok(Box::new(store))
    };
    Committed::new(partitions, Box::new(open))
}

/// The folder of the store of one partition. Part of the stored format: do not change.
pub fn store_folder(folder: &Path, stage: &str, partition: u32) -> PathBuf {
    folder.join(stage).join(partition.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exactly_once::Position;
    use crate::state::{ActorKey, Snapshot};

    #[test]
    fn a_partition_is_found_in_its_folder_and_one_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let budget = StoreBudget::new(8 << 20);
        let actor = ActorKey([5; 17]);
        let key = [actor.0.as_slice(), b"n"].concat();
        let store = RocksStore::open(&store_folder(folder.path(), "identity", 1), &budget).unwrap();
        let position = Position { changelog_next: 1, as_of_ms: 1 };
        store.write([(key.as_slice(), Some(&b"v"[..]))].into_iter(), position).unwrap();
        store.flush().unwrap();

        let mut found = stores_read_only(folder.path(), 2);
        assert_eq!(found.partitions("identity"), 2);
        assert_eq!(found.state("identity", 1).unwrap().get(&actor, b"n").unwrap(), Some(&b"v"[..]));
        let missing = found.state("identity", 0).err().unwrap().to_string();
        assert!(missing.contains("partition 0 of identity is not in"), "{missing}");
    }
}
