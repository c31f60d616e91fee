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

/// What stands behind the name of a file that is not finished.
const DRAFT: &str = ".part";
/// A row group ends with so many rows, about as many as readers hand to one thread.
const GROUP_ROWS_MAX: u64 = 100_000;
/// Or when so much memory is held.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// A Parquet file that is being written.
pub struct RowsFile {
    writer: SerializedFileWriter<File>,
    columns: Columns,
    rows: u64,
    draft: Draft,
}

/// A file under its other name, which is removed unless it was finished.
struct Draft {
    path: PathBuf,
    at: PathBuf,
    /// Whether it is there, and this process's.
    ours: bool,
}

impl Draft {
    fn of(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.parquet"));
        Self { at: folder.join(format!("{name}.parquet{DRAFT}")), path, ours: false }
    }

    /// Opens it, empty. What a run that was killed has left is written over, but not what another is writing.
    fn open(&mut self) -> Result<File, ExportError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.at);
        let file = file.map_err(ExportError::file(&self.at, "cannot be made"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ExportError::Busy(self.path.clone())),
            Err(TryLockError::Error(source)) => return Err(ExportError::file(&self.at, "cannot be locked")(source)),
        }
        // Another may have finished it between the two: then this is not the draft any more, but the file.
        let opened = file.metadata().map_err(ExportError::file(&self.at, "cannot be looked at"))?.ino();
        let there = fs::metadata(&self.at).map(|there| there.ino()).ok();
        if there != Some(opened) {
            return Err(ExportError::Busy(self.path.clone()));
        }
        self.ours = true;
        file.set_len(0).map_err(ExportError::file(&self.at, "cannot be emptied"))?;
        Ok(file)
    }

    /// Gives it its name.
    fn finish(mut self) -> Result<PathBuf, ExportError> {
        fs::rename(&self.at, &self.path).map_err(ExportError::file(&self.path, "cannot be given its name"))?;
        self.ours = false;
        Ok(self.path.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.ours {
            // It is in nobody's way if it stays: the next run writes over it.
            let _ = fs::remove_file(&self.at);
        }
    }
}

impl RowsFile {
    /// Begins the file `NAME.parquet` in a folder; `about` is written into its metadata, as a description.
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

    /// Adds a row, in the form of the outputs' JSON.
    ///
    /// # Errors
    /// When it is not such a row, or the file cannot be written.
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

    /// Finishes the file: it is on the disk before it has its name. Returns the file, its rows and its bytes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<(PathBuf, u64, u64), ExportError> {
        if self.columns.rows() > 0 {
            self.write()?;
        }
        let Self { writer, draft, rows, .. } = self;
        let file = writer.into_inner().map_err(ExportError::parquet(&draft.path))?;
        file.sync_all().map_err(ExportError::file(&draft.at, "cannot be brought to the disk"))?;
        let bytes = file.metadata().map_err(ExportError::file(&draft.at, "cannot be looked at"))?.len();
        Ok((draft.finish()?, rows, bytes))
    }
}
