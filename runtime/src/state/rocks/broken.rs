//! Folders that RocksDB cannot make sense of.
//!
//! What is broken is never repaired and never read on: it is set aside, and the state is restored from the changelog. Damage that shows
//! only when a block is read stops the worker; the folder is marked then, so that the next start does not stumble over it again.

use std::fs;
use std::path::Path;

use rocksdb::ErrorKind;

use super::StoreError;

/// Marks a folder as broken.
const MARK: &str = "CORRUPT";

/// Whether a failure says that the files themselves are at fault: damaged, or some of them gone.
pub(super) fn is_damage(error: &rocksdb::Error) -> bool {
    // RocksDB has no kind of its own for a file that is gone.
    error.kind() == ErrorKind::Corruption || (error.kind() == ErrorKind::IOError && error.as_ref().contains("No such file"))
}

/// Whether a failure says that the disk is full. Afterwards RocksDB refuses to write, and looks for room every few seconds.
pub(super) fn is_full(error: &rocksdb::Error) -> bool {
    error.kind() == ErrorKind::IOError && says_full(error.as_ref())
}

/// Whether the text of a failure of RocksDB says that the disk is full.
pub(crate) fn says_full(text: &str) -> bool {
    // The binding does not tell the sub-code; the texts are those of `strerror`.
    text.contains("No space left on device") || text.contains("Disk quota exceeded")
}

/// Whether a folder was marked as broken.
pub(super) fn is_marked(path: &Path) -> bool {
    path.join(MARK).exists()
}

/// Marks a folder as broken where the failure says so; what to tell of the failure.
pub(super) fn tell(path: &Path, error: &rocksdb::Error) -> String {
    if !is_damage(error) {
        return error.to_string();
    }
    match fs::write(path.join(MARK), error.as_ref()) {
        Ok(()) => format!("{error}; the next start sets {} aside and restores all of it from the changelog", path.display()),
        Err(_) => format!("{error}; delete {}, and it is restored from the changelog", path.display()),
    }
}

pub(super) fn open_failed(path: &Path, operation: &'static str, error: &rocksdb::Error) -> StoreError {
    if is_full(error) {
        return StoreError::Full { path: path.to_owned(), operation };
    }
    let why = error.to_string();
    // RocksDB has no kind for it; the text is that of its `LockFile`.
    if error.kind() == ErrorKind::IOError && why.contains("lock") {
        StoreError::Locked { path: path.to_owned() }
    } else {
        StoreError::Failed { path: path.to_owned(), operation, why }
    }
}

/// Moves a folder that cannot be used out of the way, next to itself, for whoever wants to look at it. An older one is removed.
pub(super) fn set_aside(path: &Path, why: &str) -> Result<(), StoreError> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".corrupt");
    tracing::error!(folder = %path.display(), why, "the state folder cannot be used: set aside, restoring all of it from the changelog");
    let failed = |error: std::io::Error| StoreError::Failed {
        path: path.to_owned(),
        operation: "setting the folder aside",
        why: error.to_string(),
    };
    if Path::new(&aside).exists() {
        fs::remove_dir_all(&aside).map_err(failed)?;
    }
    fs::rename(path, &aside).map_err(failed)?;
    fs::create_dir_all(path).map_err(failed)
}
