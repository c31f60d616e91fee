//! CSV files as native JSON records: UTF-8 (with or without byte order mark) or GBK, one record a row.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};
use encoding_rs::{GB18030, UTF_8};
use serde_json::{Map, Value};
use tributary_proto::kind;

/// The largest file that is read, in bytes: it is held in memory, for its encoding is only known at its end.
pub const FILE_BYTES_MAX: u64 = 1 << 30;
/// Columns beside identifiers and traits that a native record has.
const FIELDS: [&str; 21] = [
    "kind",
    "event_id",
    "timestamp",
    "account",
    "channel",
    "source",
    "medium",
    "campaign",
    "content",
    "term",
    "touch_type",
    "url",
    "referrer",
    "milestone",
    "object_id",
    "occurred_at",
    "value",
    "currency",
    "withdrawn",
    "consent",
    "traits",
];

/// A file that is not CSV at all.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is larger than [`FILE_BYTES_MAX`].
    #[error("{}: is larger than {FILE_BYTES_MAX} bytes; split it", .0.display())]
    TooLarge(PathBuf),
    /// It is neither UTF-8 nor GBK.
    #[error("{}: is neither UTF-8 nor GBK", .0.display())]
    Encoding(PathBuf),
    /// Its header cannot be used.
    #[error("{}:1: {problem}", .path.display())]
    Header {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// What is wrong with a row; never holds the cell's content.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RowProblem {
    /// The line in the file, from 1.
    pub line: u64,
    /// The column; empty where the row as a whole is at fault.
    pub column: String,
    /// What is wrong.
    pub reason: String,
}

/// A row: the native record, or what is wrong.
pub type Row = Result<Vec<u8>, RowProblem>;

/// The rows of a CSV file.
pub struct Rows {
    text: Box<[u8]>,
    header: Vec<String>,
}

impl Rows {
    /// Opens a CSV file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, or its encoding or header not be used.
    pub fn open(path: &Path) -> Result<Self, RowsError> {
        let read = |source| RowsError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
            return Err(RowsError::TooLarge(path.to_owned()));
        }
        let bytes = fs::read(path).map_err(read)?;
        let text = decode(&bytes).ok_or_else(|| RowsError::Encoding(path.to_owned()))?;
        Self::of_text(path, text)
    }

    /// Reads the header of a CSV text. The path is for what is said of it.
    ///
    /// # Errors
    /// When the header cannot be used.
    pub fn of_text(path: &Path, text: String) -> Result<Self, RowsError> {
        let header_error = |problem: String| RowsError::Header { path: path.to_owned(), problem };
        let mut reader = reader(text.as_bytes());
        let header = reader.headers().map_err(|error| header_error(error.to_string()))?;
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = header.iter().find(|name| !name.is_empty() && !seen.insert(name.as_str())) {
            return Err(header_error(format!("the column {twice} is named twice")));
        }
        if !header.iter().any(|name| name == "timestamp") {
            return Err(header_error("there is no column `timestamp`".to_owned()));
        }
        Ok(Self { text: text.into_bytes().into(), header })
    }

    /// The columns that a native record does not have: they travel along and are ignored.
    pub fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        let known = |name: &str| name.is_empty() || name.starts_with("traits.") || FIELDS.contains(&name) || is_list(name);
        self.header.iter().map(String::as_str).filter(move |name| !known(name))
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Row> {
        let mut reader = reader(&self.text);
        let mut row = StringRecord::new();
        std::iter::from_fn(move || {
            loop {
                match reader.read_record(&mut row) {
                    Ok(false) => return None,
                    Ok(true) if row.iter().all(|cell| cell.trim().is_empty()) => {}
                    Ok(true) => return Some(self.record(&row)),
                    Err(error) => {
                        let line = error.position().map_or(0, csv::Position::line);
                        return Some(Err(problem(line, "", "the row is not CSV")));
                    }
                }
            }
        })
    }

    fn record(&self, row: &StringRecord) -> Row {
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() != self.header.len() {
            let reason = format!("the row has {} cells, the header {}", row.len(), self.header.len());
            return Err(problem(line, "", &reason));
        }
        let mut record = Map::new();
        let mut traits = Map::new();
        for (name, cell) in self.header.iter().zip(row).map(|(name, cell)| (name, cell.trim())) {
            if name.is_empty() || cell.is_empty() {
                continue;
            }
            match name.strip_prefix("traits.") {
                Some(name) => traits.insert(name.to_owned(), Value::from(cell)),
                None => record.insert(name.clone(), value(name, cell)),
            };
        }
        if !record.contains_key("timestamp") {
            return Err(problem(line, "timestamp", "is missing"));
        }
        if !traits.is_empty() {
            record.insert("traits".to_owned(), Value::Object(traits));
        }
        serde_json::to_vec(&record).map_err(|error| problem(line, "", &error.to_string()))
    }
}

fn problem(line: u64, column: &str, reason: &str) -> RowProblem {
    RowProblem { line, column: column.to_owned(), reason: reason.to_owned() }
}

/// Identifier fields hold several values, separated by `;`.
fn value(name: &str, cell: &str) -> Value {
    // Full-width semicolons come from Chinese input methods.
    if is_list(name) && cell.contains([';', '；']) {
        return cell.split([';', '；']).map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect();
    }
    Value::from(cell)
}

fn is_list(name: &str) -> bool {
    kind::STRONG.contains(&name) || kind::is_device(name) || kind::is_account(name)
}

fn reader(text: &[u8]) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().flexible(true).from_reader(text)
}

/// The text of a file in UTF-8, else GBK (as GB18030, which contains it).
fn decode(bytes: &[u8]) -> Option<String> {
    let utf8 = UTF_8.decode_with_bom_removal(bytes);
    let (text, failed) = if utf8.1 { GB18030.decode_without_bom_handling(bytes) } else { utf8 };
    (!failed).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8]) -> Result<Vec<Result<Value, RowProblem>>, RowsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let rows = Rows::open(file.path())?;
        Ok(rows.iter().map(|row| row.map(|json| serde_json::from_slice(&json).unwrap())).collect())
    }

    #[test]
    fn a_row_becomes_a_native_record() {
        let found = rows("timestamp, email ,traits.name,note\n2022-04-13 14:00:00,a@x.example；b@x.example,张,\n\n".as_bytes())
            .unwrap();
        let expected = serde_json::json!({
            "timestamp": "2022-04-13 14:00:00",
            "email": ["a@x.example", "b@x.example"],
            "traits": {"name": "张"},
        });
        assert_eq!(found, [Ok(expected)]);
    }

    #[test]
    fn byte_order_mark_and_gbk_are_read() {
        for bytes in [
            [b"\xef\xbb\xbf", "timestamp,campaign\n1,峰会".as_bytes()].concat(),
            GB18030.encode("timestamp,campaign\n1,峰会").0.into_owned(),
        ] {
            assert_eq!(rows(&bytes).unwrap(), [Ok(serde_json::json!({"timestamp": "1", "campaign": "峰会"}))]);
        }
    }

    #[test]
    fn a_bad_row_is_named_and_the_next_one_read() {
        let found = rows(b"timestamp,phone\n1\n,2\n\"2\n2\",3\n4,5\n").unwrap();
        assert_eq!(found[0], Err(problem(2, "", "the row has 1 cells, the header 2")));
        assert_eq!(found[1], Err(problem(3, "timestamp", "is missing")));
        assert_eq!(found[3], Ok(serde_json::json!({"timestamp": "4", "phone": "5"})));
    }

    #[test]
    fn a_bad_header_is_refused() {
        assert!(matches!(rows(b"phone\n1\n"), Err(RowsError::Header { .. })));
        assert!(matches!(rows(b"timestamp,phone,phone\n"), Err(RowsError::Header { .. })));
        assert!(matches!(rows(b"timestamp\n\xff\xff\n"), Err(RowsError::Encoding(_))));
    }
}
