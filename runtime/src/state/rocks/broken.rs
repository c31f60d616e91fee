//! Folders that RocksDB cannot read.
//!
//! A damaged store is never repaired and never used: it is set aside, and the state is restored from the changelog. Damage that is found
//! only when a block is read stops the worker and marks the folder, so that the next start does not use it again.

use std::fs;
use std::path::Path;

use super::StoreError;
use crate::descriptors;
use crate::rocks_failure::{is_damage, is_full, is_locked};

/// Name of the file that marks a folder as damaged.
const MARK: &str = "CORRUPT";

/// Whether a folder is marked as damaged.
pub(super) fn is_marked(path: &Path) -> bool {
    path.join(MARK).exists()
}

/// Marks a folder as damaged if the error says so; returns the error's text.
pub(super) fn tell(path: &Path, error: &rocksdb::Error) -> String {
    if descriptors::says_none_left(error.as_ref()) {
        return format!("{error}{}", descriptors::ADVICE);
    }
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
    if is_locked(error) {
        StoreError::Locked { path: path.to_owned() }
    } else {
        StoreError::Failed { path: path.to_owned(), operation, why: error.to_string() }
    }
}

/// Renames a folder that cannot be used, for inspection. A former one is removed.
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
