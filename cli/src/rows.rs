//! CSV files as native JSON records: UTF-8 (with or without byte order mark) or GBK, one record a row.

use std::fs;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};
use encoding_rs::{GB18030, UTF_8};
use tributary_ingest::{CsvRows, Decoder};
use tributary_runtime::stage::Rejection;

/// The largest file that is read, in bytes: it is held in memory, for its encoding is only known at its end.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

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

/// A row: its line and native record, or what is wrong.
pub type Row = Result<(u64, String), RowProblem>;

/// The rows of a CSV file.
pub struct Rows {
    text: Box<[u8]>,
    columns: CsvRows,
}

impl Rows {
    /// Opens a CSV file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, or its encoding or header not be used.
    pub fn open(path: &Path, decoder: &Decoder) -> Result<Self, RowsError> {
        let read = |source| RowsError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
            return Err(RowsError::TooLarge(path.to_owned()));
        }
        let bytes = fs::read(path).map_err(read)?;
        let text = decode(&bytes).ok_or_else(|| RowsError::Encoding(path.to_owned()))?;
        Self::of_text(path, text, decoder)
    }

    /// Reads the header of a CSV text. The path is for what is said of it.
    ///
    /// # Errors
    /// When the header cannot be used.
    pub fn of_text(path: &Path, text: String, decoder: &Decoder) -> Result<Self, RowsError> {
        let header_error = |problem: String| RowsError::Header { path: path.to_owned(), problem };
        let mut reader = reader(text.as_bytes());
        let header = reader.headers().map_err(|error| header_error(error.to_string()))?;
        let columns = CsvRows::new(decoder, header).map_err(|rejection| header_error(rejection.to_string()))?;
        Ok(Self { text: text.into_bytes().into(), columns })
    }

    /// The columns that a native record does not have: they travel along and have no effect.
    pub fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        self.columns.unknown_columns()
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
        self.columns.record(row).map(|record| (line, record)).map_err(|rejection| RowProblem::of(line, rejection))
    }
}

impl RowProblem {
    /// What ingest says of the row.
    pub fn of(line: u64, rejection: Rejection) -> Self {
        Self { line, column: rejection.field, reason: format!("{}: {}", rejection.reason, rejection.detail) }
    }
}

fn problem(line: u64, column: &str, reason: &str) -> RowProblem {
    RowProblem { line, column: column.to_owned(), reason: reason.to_owned() }
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

    fn rows(bytes: &[u8]) -> Result<Vec<Row>, RowsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let decoder = Decoder::new(&tributary_ingest::Settings::default()).unwrap();
        Ok(Rows::open(file.path(), &decoder)?.iter().collect())
    }

    #[test]
    fn byte_order_mark_and_gbk_are_read() {
        let text = "timestamp,campaign\n1,峰会";
        for bytes in [[b"\xef\xbb\xbf", text.as_bytes()].concat(), GB18030.encode(text).0.into_owned()] {
            assert_eq!(rows(&bytes).unwrap(), [Ok((2, r#"{"timestamp":"1","campaign":"峰会"}"#.to_owned()))]);
        }
    }

    #[test]
    fn a_bad_row_is_named_and_the_next_one_read() {
        let found = rows(b"timestamp,phone\n1\n\n,\n\"2\n2\",3\n4,5\n").unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].as_ref().unwrap_err().line, 2);
        assert_eq!(found[1].as_ref().unwrap().0, 5);
        assert_eq!(found[2], Ok((7, r#"{"timestamp":"4","phone":"5"}"#.to_owned())));
    }

    #[test]
    fn a_bad_header_or_encoding_is_refused() {
        assert!(matches!(rows(b"timestamp,phone,phone\n"), Err(RowsError::Header { .. })));
        assert!(matches!(rows(b"timestamp\n\xff\xff\n"), Err(RowsError::Encoding(_))));
    }
}
