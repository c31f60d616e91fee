//! The records of a topic become its file.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::Rows;

use crate::file::RowsFile;
use crate::fold::Fold;
use crate::{ExportError, columns};

/// Most memory for rows that are folded, bytes.
const FOLD_BYTES_MAX: usize = 128 << 20;
/// Separates the parts of a key.
const SEPARATOR: u8 = 0x1f;

/// Which rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The current rows: the latest of each key, without retracted and erased ones.
    Latest,
    /// Every row that the topic still has.
    All,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The topic's role.
    pub topic: &'static str,
    /// The file.
    pub file: PathBuf,
    /// Records read.
    pub records: u64,
    /// Rows in the file.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// The export of a topic.
pub struct Table {
    topic: Topic,
    rows: &'static Rows,
    file: RowsFile,
    /// `None` if all rows are written.
    fold: Option<Fold>,
    records: u64,
}

impl Table {
    /// Creates the file of a topic in a folder.
    ///
    /// # Errors
    /// When the topic has no rows, or the file cannot be made.
    pub fn begin(folder: &Path, topic: Topic, which: Which) -> Result<Self, ExportError> {
        Self::bounded(folder, topic, which, FOLD_BYTES_MAX)
    }

    fn bounded(folder: &Path, topic: Topic, which: Which, fold_bytes_max: usize) -> Result<Self, ExportError> {
        let rows = topic.rows().ok_or(ExportError::NoRows(topic.name()))?;
        let said = if which == Which::All { "all" } else { "latest" };
        let about =
            [("tributary.topic", topic.name()), ("tributary.rows", said), ("tributary.version", env!("CARGO_PKG_VERSION"))];
        let file = RowsFile::create(folder, topic.name(), rows.fields(), &about)?;
        // Dead letters are not folded: two may have the same key.
        let folds = which == Which::Latest && topic != Topic::DeadLetters;
        let fold = folds.then(|| Fold::new(folder.to_owned(), fold_bytes_max));
        Ok(Self { topic, rows, file, fold, records: 0 })
    }

    /// Handles a record of the topic, in order; one without a value deletes the row under its key.
    ///
    /// # Errors
    /// When it is not a row of the topic, or cannot be stored or written.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ExportError> {
        self.records += 1;
        let Some(value) = value else {
            let Some(fold) = &mut self.fold else { return Ok(()) };
            return fold.take(key.to_vec(), None).map_err(|error| aside(fold, error));
        };
        let text = self.rows.to_json(value)?;
        let row = object(self.topic, &text)?;
        let Some(fold) = &mut self.fold else { return self.file.add(self.topic.name(), &row) };
        // Checked here, so that an error names the record; at the end it would be too late.
        let topic = self.topic.name();
        columns::check(self.rows.fields(), &row).map_err(|source| ExportError::Cell { topic, source })?;
        let taken_back = self.topic == Topic::Credits && row.get("weight_nano") == Some(&Value::from(0));
        let counts = !taken_back && !self.rows.is_last(value);
        fold.take(table_key(self.topic, key, &row), counts.then_some(text)).map_err(|error| aside(fold, error))
    }

    /// Writes the remaining rows and finishes the file; `row` is called with the rows that are written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self, row: &mut dyn FnMut(u64)) -> Result<Written, ExportError> {
        let Self { topic, mut file, fold, records, .. } = self;
        if let Some(fold) = fold {
            let folder = fold.folder().to_owned();
            let mut add = |text: &[u8]| {
                row(1);
                file.add(topic.name(), &object(topic, text)?).map_err(Failed::Export)
            };
            fold.each(&mut add).map_err(|failed| match failed {
                Failed::Export(error) => error,
                Failed::Aside(source) => ExportError::file(&folder, "a temporary file here cannot be read")(source),
            })?;
        }
        let (file, rows, bytes) = file.finish()?;
        Ok(Written { topic: topic.name(), file, records, rows, bytes })
    }
}

/// Why folded rows cannot be written.
enum Failed {
    Aside(std::io::Error),
    Export(ExportError),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Aside(error)
    }
}

impl From<ExportError> for Failed {
    fn from(error: ExportError) -> Self {
        Self::Export(error)
    }
}

fn object(topic: Topic, text: &[u8]) -> Result<Map<String, Value>, ExportError> {
    serde_json::from_slice(text).map_err(|error| ExportError::Json { topic: topic.name(), why: error.to_string() })
}

fn aside(fold: &Fold, error: std::io::Error) -> ExportError {
    ExportError::file(fold.folder(), "a temporary file cannot be written here")(error)
}

/// The key of a row for folding. Of `credits` a record's key is the milestone, so model and touch are added.
fn table_key(topic: Topic, key: &[u8], row: &Map<String, Value>) -> Vec<u8> {
    if topic != Topic::Credits {
        return key.to_vec();
    }
    let parts = ["milestone_id", "model", "touch_id"].map(|name| row.get(name).and_then(Value::as_str).unwrap_or_default());
    parts.map(str::as_bytes).join(&SEPARATOR)
}
