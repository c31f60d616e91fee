//! Where the stores of Kafka's workers are.

use std::path::{Path, PathBuf};

/// The folder of the store of one partition. Part of the stored format: do not change.
pub fn store_folder(folder: &Path, stage: &str, partition: u32) -> PathBuf {
    folder.join(stage).join(partition.to_string())
}
