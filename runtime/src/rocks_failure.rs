//! Classifies failures of RocksDB. The binding gives a kind and a text; where the kind is ambiguous, the text decides.

use rocksdb::{Error, ErrorKind};

/// A file that the writer removes between its being listed and opened fails an opening for reading: the files are listed anew.
const READ_ONLY_ATTEMPTS: usize = 3;

/// Opens a store for reading that another process may be writing to.
pub(crate) fn open_beside_writer<T>(open: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let mut opened = open();
    for _ in 1..READ_ONLY_ATTEMPTS {
        if opened.is_err() {
            opened = open();
        }
    }
    opened
}

/// Whether the files themselves are at fault: damaged, or some of them gone.
pub(crate) fn is_damage(error: &Error) -> bool {
    // RocksDB has no kind of its own for a file that is gone.
    error.kind() == ErrorKind::Corruption || (error.kind() == ErrorKind::IOError && error.as_ref().contains("No such file"))
}

/// Whether the disk is full. Afterwards RocksDB refuses to write, and looks for room every few seconds.
pub(crate) fn is_full(error: &Error) -> bool {
    error.kind() == ErrorKind::IOError && says_full(error.as_ref())
}

/// Whether an error of RocksDB means that the disk is full.
pub(crate) fn says_full(text: &str) -> bool {
    // The binding does not tell the sub-code; the texts are those of `strerror`.
    text.contains("No space left on device") || text.contains("Disk quota exceeded")
}

/// Whether another process has the folder open for writing.
pub(crate) fn is_locked(error: &Error) -> bool {
    // The texts are those of `PosixFileSystem::LockFile`; a path that is quoted may have any word in it.
    let says = |text: &str| error.as_ref().starts_with(text);
    error.kind() == ErrorKind::IOError && (says("IO error: While lock file") || says("IO error: lock hold by"))
}
