//! Classifies failures of RocksDB. The binding gives a kind and a text; where the kind is ambiguous, the text decides.

use rocksdb::{Error, ErrorKind};

/// If the writer removes a file between its listing and its opening, opening for reading fails; this is the number of attempts.
const READ_ONLY_ATTEMPTS: usize = 3;

/// Opens a store for reading while another process may be writing to it.
pub(crate) fn open_beside_writer<T>(open: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let mut opened = open();
    for _ in 1..READ_ONLY_ATTEMPTS {
        if opened.is_err() {
            opened = open();
        }
    }
    opened
}

/// Whether files are damaged or missing.
pub(crate) fn is_damage(error: &Error) -> bool {
    // RocksDB has no error kind for a missing file.
    error.kind() == ErrorKind::Corruption || (error.kind() == ErrorKind::IOError && error.as_ref().contains("No such file"))
}

/// Whether the disk is full. RocksDB then refuses writes, and checks for space every few seconds.
pub(crate) fn is_full(error: &Error) -> bool {
    error.kind() == ErrorKind::IOError && says_full(error.as_ref())
}

/// Whether an error of RocksDB means that the disk is full.
pub(crate) fn says_full(text: &str) -> bool {
    // The binding does not expose the sub-code; these are the texts of `strerror`.
    text.contains("No space left on device") || text.contains("Disk quota exceeded")
}

/// Whether another process has the folder open for writing.
pub(crate) fn is_locked(error: &Error) -> bool {
    // The texts of `PosixFileSystem::LockFile`; only the beginning is compared, because a quoted path may contain any word.
    let says = |text: &str| error.as_ref().starts_with(text);
    error.kind() == ErrorKind::IOError && (says("IO error: While lock file") || says("IO error: lock hold by"))
}
