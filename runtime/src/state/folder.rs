//! The folder of the stores of Kafka workers, and a check that it can be used: made before a process takes partitions that others could
//! have.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The folder of the store of one partition. Part of the stored format: do not change.
pub fn store_folder(folder: &Path, stage: &str, partition: u32) -> PathBuf {
    folder.join(stage).join(partition.to_string())
}

/// Bytes of the test file: enough to detect a full disk.
const PROBE_BYTES: usize = 1 << 20;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state folder {} cannot be {what}: {source}; set state.path to a folder that this user may write, on a disk with room",
    .folder.display()
)]
pub struct UnusableFolder {
    /// The folder.
    pub folder: PathBuf,
    what: &'static str,
    source: io::Error,
}

/// Creates the folder of a process's state if it does not exist, and tests that it and the folders of its stores can be written to.
///
/// # Errors
/// The first folder that cannot be written.
pub fn prepare_folder(folder: &Path) -> Result<(), UnusableFolder> {
    let unusable = |folder: &Path, what| {
        let folder = folder.to_owned();
        move |source| UnusableFolder { folder, what, source }
    };
    fs::create_dir_all(folder).map_err(unusable(folder, "made"))?;
    probe(folder, PROBE_BYTES).map_err(unusable(folder, "written"))?;
    // The folders of stages, and in them those of partitions, may have been created by another user.
    for stage in folders_in(folder) {
        for inner in folders_in(&stage).into_iter().chain([stage]) {
            probe(&inner, 1).map_err(unusable(&inner, "written"))?;
        }
    }
    Ok(())
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    found.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Writes a file, which is removed in any case.
fn probe(folder: &Path, bytes: usize) -> io::Result<()> {
    let path = folder.join(format!(".tributary-probe-{}", std::process::id()));
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; bytes])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        prepare_folder(&state).unwrap();
        fs::create_dir_all(state.join("identity/0")).unwrap();
        prepare_folder(&state).unwrap();
        assert_eq!(fs::read_dir(state.join("identity/0")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "the stage's folder");
    }

    #[test]
    fn a_folder_below_a_file_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let said = prepare_folder(&file.join("state")).unwrap_err().to_string();
        assert!(said.contains(&file.join("state").display().to_string()) && said.contains("set state.path"), "{said}");
    }
}
