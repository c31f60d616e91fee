//! Errors of the embedded log.

use std::path::{Path, PathBuf};

use tributary_proto::FORMAT_VERSION;

use super::high_water::Missing;
use crate::descriptors;
use crate::rocks_failure::{is_damage, is_locked, says_full};

/// Why the embedded log failed.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// RocksDB failed.
    #[error("{operation} the embedded log in {}: {why}", .path.display())]
    Store {
        /// What was tried.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// The error of RocksDB.
        why: String,
    },
    /// A file is damaged or missing.
    #[error(
        "{operation} the embedded log in {}: a file is damaged or missing: {why}. Nothing was changed. Restore a backup with `tributary state \
         restore --replace`, or see with `tributary state accept-loss` what can be read without it",
        .path.display()
    )]
    Damaged {
        /// What was tried.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// The error of RocksDB.
        why: String,
    },
    /// Committed data is missing.
    #[error(
        "the embedded log in {} has lost data: {missing}. Nothing was changed. Restore a backup with `tributary state restore \
         --replace`, or go on without it: `tributary state accept-loss`",
        .path.display()
    )]
    Behind {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        missing: Missing,
    },
    /// The high-water mark cannot be used.
    #[error(
        "the embedded log in {}: its high-water mark {why}, so it is unknown whether the log is complete. Nothing was changed. Restore \
         the file or a backup, or accept what is there as the whole log: `tributary state accept-loss --yes`",
        .path.display()
    )]
    HighWater {
        /// The folder.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A folder has files of a log, but no log.
    #[error(
        "the folder {} has files of an embedded log, but its file CURRENT is missing: no new log is begun there. Restore the file or a backup \
         (`tributary state restore --replace`), or choose an empty state.path",
        .path.display()
    )]
    Remains {
        /// The folder.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the embedded log in {} is in use by another process; stop that one, or choose another state.path", .path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It was created with another number of partitions.
    #[error(
        "the embedded log in {} has {found} partitions, not {wanted}: set topics.partitions = {found}, or replay into a new folder",
        .path.display()
    )]
    Partitions {
        /// The folder.
        path: PathBuf,
        /// Its number of partitions.
        found: u32,
        /// The configured number.
        wanted: u32,
    },
    /// It was written by another version.
    #[error("the embedded log in {} has format {found}; this version writes {FORMAT_VERSION}: replay into a new folder", .path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl EmbeddedError {
    /// Whether the disk is full: then a later attempt may succeed. After any other error, RocksDB refuses all further writes.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store { why, .. } if says_full(why))
    }
}

pub(super) fn store_error(operation: &'static str, path: &Path, why: impl ToString) -> EmbeddedError {
    let mut why = why.to_string();
    if descriptors::says_none_left(&why) {
        why += descriptors::ADVICE;
    }
    EmbeddedError::Store { operation, path: path.to_owned(), why }
}

/// The error for an operator, from RocksDB's.
pub(super) fn rocks_error(operation: &'static str, path: &Path, error: &rocksdb::Error) -> EmbeddedError {
    let (path, why) = (path.to_owned(), error.to_string());
    if is_locked(error) {
        EmbeddedError::InUse { path }
    } else if is_damage(error) {
        EmbeddedError::Damaged { operation, path, why }
    } else {
        store_error(operation, &path, why)
    }
}
