//! A file is there whole or not at all: it is written under another name, which it loses when it is finished.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use serde_json::{Map, Value};
use tributary_proto::dictionary::Field;

use crate::ExportError;
use crate::columns::Columns;
use crate::schema;

/// Appended to the name of a file that is not finished.
const DRAFT: &str = ".part";
/// Most rows of a row group: about as many as readers give to one thread.
const GROUP_ROWS_MAX: u64 = 100_000;
/// Most memory for a row group before it is written, bytes.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// A Parquet file that is being written.
pub struct RowsFile {
    writer: SerializedFileWriter<File>,
    columns: Columns,
    rows: u64,
    draft: Draft,
}

/// A file under its temporary name. Removed unless it is finished.
struct Draft {
    path: PathBuf,
    at: PathBuf,
    /// Whether this process has created it.
    ours: bool,
}

impl Draft {
    fn of(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.parquet"));
        Self { at: folder.join(format!("{name}.parquet{DRAFT}")), path, ours: false }
    }

    /// Creates it, or truncates what a killed run has left; fails if another process is writing it.
    fn open(&mut self) -> Result<File, ExportError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.at);
        let file = file.map_err(ExportError::file(&self.at, "cannot be made"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ExportError::Busy(self.path.clone())),
            Err(TryLockError::Error(source)) => return Err(ExportError::file(&self.at, "cannot be locked")(source)),
        }
        // Another process may have finished it between the two calls: then the file opened here is the finished one, not the draft.
        let opened = file.metadata().map_err(ExportError::file(&self.at, "cannot be looked at"))?.ino();
        let there = fs::metadata(&self.at).map(|there| there.ino()).ok();
        if there != Some(opened) {
            return Err(ExportError::Busy(self.path.clone()));
        }
        self.ours = true;
        file.set_len(0).map_err(ExportError::file(&self.at, "cannot be emptied"))?;
        Ok(file)
    }

    /// Renames it to its final name.
    fn finish(mut self) -> Result<PathBuf, ExportError> {
        fs::rename(&self.at, &self.path).map_err(ExportError::file(&self.path, "cannot be renamed"))?;
        self.ours = false;
        Ok(self.path.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.ours {
            // If it cannot be removed, the next run overwrites it.
            let _ = fs::remove_file(&self.at);
        }
    }
}

impl RowsFile {
    /// Creates the file `NAME.parquet` in a folder; `about` is written to its metadata.
    ///
    /// # Errors
    /// When it cannot be made, or another process is writing it.
    pub fn create(folder: &Path, name: &str, fields: &'static [Field], about: &[(&str, &str)]) -> Result<Self, ExportError> {
        let mut draft = Draft::of(folder, name);
        let file = draft.open()?;
        let about = about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(about.collect()))
            .build();
        let writer = schema::of("row", fields).and_then(|schema| SerializedFileWriter::new(file, schema, Arc::new(properties)));
        let writer = writer.map_err(ExportError::parquet(&draft.path))?;
        Ok(Self { writer, columns: Columns::new(fields), rows: 0, draft })
    }

    /// Adds a row in the JSON form of the outputs.
    ///
    /// # Errors
    /// When the row does not match the schema, or the file cannot be written.
    pub fn add(&mut self, topic: &'static str, row: &Map<String, Value>) -> Result<(), ExportError> {
        self.columns.take(row).map_err(|source| ExportError::Cell { topic, source })?;
        self.rows += 1;
        if self.columns.rows() >= GROUP_ROWS_MAX || self.columns.bytes() >= GROUP_BYTES_MAX {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), ExportError> {
        let written = self.writer.next_row_group().and_then(|group| self.columns.write(group));
        written.map_err(ExportError::parquet(&self.draft.path))
    }

    /// Finishes the file: flushed to disk before it gets its final name. Returns its path, rows and bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<(PathBuf, u64, u64), ExportError> {
        if self.columns.rows() > 0 {
            self.write()?;
        }
        let Self { writer, draft, rows, .. } = self;
        let file = writer.into_inner().map_err(ExportError::parquet(&draft.path))?;
        file.sync_all().map_err(ExportError::file(&draft.at, "cannot be flushed to disk"))?;
        let bytes = file.metadata().map_err(ExportError::file(&draft.at, "cannot be looked at"))?.len();
        Ok((draft.finish()?, rows, bytes))
    }
}
