//! The accepted position of a stopped partition: a small file beside the log. Another process can write it while a service has the log
//! open, and it survives both.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::EmbeddedError;
use crate::topic::Topic;

const FOLDER: &str = "accepted";

/// Stores in the embedded log's folder that an operator accepts the refusal of records below offset `until` of a partition.
///
/// # Errors
/// When the file cannot be written.
pub fn accept(log: &Path, topic: Topic, partition: u32, until: u64) -> Result<(), EmbeddedError> {
    let file = file(log, topic, partition);
    write(&file, until).map_err(|error| super::store_error("accepting refusals beside", log, error))
}

/// The offset below which refused records of a partition are accepted.
pub(super) fn accepted(log: &Path, topic: Topic, partition: u32) -> Option<u64> {
    fs::read_to_string(file(log, topic, partition)).ok()?.trim().parse().ok()
}

fn file(log: &Path, topic: Topic, partition: u32) -> PathBuf {
    log.join(FOLDER).join(format!("{}-{partition}", topic.name()))
}

/// Replaces the file atomically: readers see the old or the new content.
fn write(file: &Path, until: u64) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let whole = file.with_extension("new");
    let mut new = File::create(&whole)?;
    writeln!(new, "{until}")?;
    new.sync_all()?;
    fs::rename(whole, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_acceptance_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(accepted(folder.path(), Topic::Offline, 0), None);
        accept(folder.path(), Topic::Offline, 0, 17).unwrap();
        accept(folder.path(), Topic::Offline, 0, 1_500).unwrap();
        assert_eq!(accepted(folder.path(), Topic::Offline, 0), Some(1_500));
        assert_eq!(accepted(folder.path(), Topic::Offline, 1), None);
    }
}
