//! What goes wrong with an export.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use tributary_runtime::topic::format::FormatError;

use crate::column::CellError;

/// Why rows cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be made, written or renamed.
    #[error("{}: {doing}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        doing: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The library cannot write the file.
    #[error("{}: cannot be written: {source}", .path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The error of the library.
        source: ParquetError,
    },
    /// Another export is writing the same file.
    #[error("{}: another export is writing it; wait for it, or choose another folder", .0.display())]
    Busy(PathBuf),
    /// The topic has no rows for export.
    #[error("{0} has no rows; outputs have")]
    NoRows(&'static str),
    /// A record is not a row of its topic.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A row is not a JSON object.
    #[error("a row of {topic} is no JSON object: {why}")]
    Json {
        /// The topic's role.
        topic: &'static str,
        /// The error of the JSON reader.
        why: String,
    },
    /// A field of a row does not match the data dictionary.
    #[error("a row of {topic}: {source}")]
    Cell {
        /// The topic's role.
        topic: &'static str,
        /// The field, and the reason.
        source: CellError,
    },
}

impl ExportError {
    /// Adds the file and what was tried to an error.
    pub(crate) fn file(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, doing, source }
    }

    /// Adds the file to an error of the library.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_owned();
        move |source| Self::Parquet { path, source }
    }
}
