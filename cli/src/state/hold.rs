//! The lock on a state folder. RocksDB locks each store while it is open. A restore replaces folders, and must know that nobody opens one
//! meanwhile. Processes that work on a state share the lock; a restore holds it exclusively.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, fcntl_lock};

/// The file that is locked. The file stays; the lock ends with the process that holds it.
const NAME: &str = "lock";
/// RocksDB's lock file in the folder of a store.
const LOCK_OF_STORE: &str = "LOCK";

/// Why a lock cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// A process uses the state.
    #[error("the state in {} is in use by another process; stop it first", .0.display())]
    InUse(PathBuf),
    /// A restore is running.
    #[error("the state in {} is being restored by another process (`tributary state restore`); wait for its end", .0.display())]
    Restoring(PathBuf),
    /// The file system failed.
    #[error("the state in {} cannot be locked: {source}", .path.display())]
    Io {
        /// The folder of the state, or of the store.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Shared locks of this process, by folder, held until it ends.
static SHARED: Mutex<Vec<(PathBuf, File)>> = Mutex::new(Vec::new());

/// Takes the shared lock of a state folder until the process ends.
///
/// # Errors
/// When a restore holds it, or it cannot be locked.
pub fn share(state: &Path) -> Result<(), HoldError> {
    let failed = |source| HoldError::Io { path: state.to_owned(), source };
    let folder = state.canonicalize().map_err(failed)?;
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if shared.iter().any(|(held, _)| *held == folder) {
        return Ok(());
    }
    let file = open(&folder.join(NAME)).map_err(failed)?;
    match file.try_lock_shared() {
        Ok(()) => shared.push((folder, file)),
        Err(TryLockError::WouldBlock) => return Err(HoldError::Restoring(state.to_owned())),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    Ok(())
}

/// The exclusive lock of a state folder, and of stores in it. Released when dropped.
#[derive(Debug)]
pub struct Hold {
    _file: File,
    stores: Vec<File>,
}

impl Hold {
    /// Takes the exclusive lock.
    ///
    /// # Errors
    /// When another process shares it, or it cannot be locked.
    pub fn take(state: &Path) -> Result<Self, HoldError> {
        let failed = |source| HoldError::Io { path: state.to_owned(), source };
        let file = open(&state.join(NAME)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file, stores: Vec::new() }),
            Err(TryLockError::WouldBlock) => Err(HoldError::InUse(state.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Also takes RocksDB's lock of the store in a folder. The lock stays on the file if the folder is renamed.
    ///
    /// # Errors
    /// When a process has the store open, or it cannot be locked.
    pub fn add(&mut self, store: &Path) -> Result<(), HoldError> {
        let failed = |source| HoldError::Io { path: store.to_owned(), source };
        let file = open(&store.join(LOCK_OF_STORE)).map_err(failed)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => self.stores.push(file),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => return Err(HoldError::InUse(store.to_owned())),
            Err(error) => return Err(failed(error.into())),
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_excludes_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let hold = Hold::take(folder.path()).unwrap();
        assert!(matches!(Hold::take(folder.path()), Err(HoldError::InUse(_))));
        assert!(matches!(share(folder.path()), Err(HoldError::Restoring(_))));
        drop(hold);
        share(folder.path()).unwrap();
        share(folder.path()).unwrap();
        assert!(matches!(Hold::take(folder.path()), Err(HoldError::InUse(_))));
        assert!(matches!(share(&folder.path().join("none")), Err(HoldError::Io { .. })));
    }
}
