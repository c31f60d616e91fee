//! Tables as native JSON records, one per row: delimited text in many encodings, and worksheets. A file is read twice: first to detect its
//! encoding, its rows and the form of its ids, then for its records. Memory does not grow with the size of a text file.

mod chance;
mod encoding;
mod format;
mod header;
mod likely;
mod look;
mod mapping;
mod text;
mod xlsx;

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoding_rs::Encoding;
use tributary_ingest::{CsvRows, Decoder, limits};
use tributary_runtime::stage::Rejection;

use encoding::Utf8;
pub use format::Format;
use format::{Opened, Survey};
use look::{Look, look};
pub use mapping::Mapping;
use text::{BadRow, Preamble, TextRows};

/// File extensions of workbooks.
const WORKBOOKS: &[&str] = &["xlsx", "xlsm"];

/// Why a file cannot be read as a table.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The encoding is not one of those recognised, or there are too few characters to decide.
    #[error("{}: is neither UTF-8 nor UTF-16, and its other characters fit none or several of GBK, Big5, Shift JIS, EUC-JP, EUC-KR and Windows-1252; name the encoding with `import --encoding`, or save the file as UTF-8", .0.display())]
    Encoding(PathBuf),
    /// Its header is invalid.
    #[error("{}:{line}: {problem}", .path.display())]
    Header {
        /// Its path.
        path: PathBuf,
        /// The header's line.
        line: u64,
        /// The error.
        problem: String,
    },
}

/// An error in a row; never contains the content of a cell.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RowProblem {
    /// The line in the file, from 1.
    pub line: u64,
    /// The column; empty for the row as a whole.
    pub column: String,
    /// The error.
    pub reason: String,
}

/// A row: its line and native record, or its error.
pub type Row = Result<(u64, String), RowProblem>;

/// Options that are declared instead of detected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// The text's encoding.
    pub encoding: Option<&'static Encoding>,
    /// The delimiter of cells.
    pub delimiter: Option<u8>,
    /// The worksheet; if none, the first with a known header.
    pub sheet: Option<String>,
    /// The format of a cost export.
    pub format: Option<Format>,
    /// The mapping of columns to fields.
    pub mapping: Mapping,
}

impl Declared {
    /// The first option that does not apply to such a file, and would have no effect.
    pub fn unused(&self, file: &Path) -> Option<&'static str> {
        let is_workbook = has_extension(file, WORKBOOKS);
        match (is_workbook, &self.sheet, self.encoding, self.delimiter) {
            (false, Some(_), ..) => Some("a text has no sheets: leave out `--sheet`"),
            (true, _, Some(_), _) => Some("a workbook has no encoding of its own: leave out `--encoding`"),
            (true, _, _, Some(_)) => Some("a workbook has no delimiters: leave out `--delimiter`"),
            _ => None,
        }
    }

    /// The fields of a header's columns, the mapping used, and the columns of a known export.
    fn names(&self, header: &[String]) -> Result<(Vec<String>, Mapping, Option<Opened>), String> {
        match &self.format {
            None => {
                let mapping = self.mapping.open_for(header)?;
                Ok((mapping.header(header)?, mapping, None))
            }
            Some(format) => {
                let opened = format.open(header).ok_or_else(|| format.missing())?;
                Ok((opened.header(), Mapping::default(), Some(opened)))
            }
        }
    }
}

enum Content {
    Text {
        encoding: &'static Encoding,
        preamble: Preamble,
    },
    /// A sheet of a workbook; `None` while it is being looked for.
    Sheet {
        name: Option<String>,
    },
}

impl Content {
    /// The name of the sheet.
    fn sheet(&self) -> Option<&str> {
        match self {
            Self::Sheet { name } => name.as_deref(),
            Self::Text { .. } => None,
        }
    }
}

/// The rows of a table.
pub struct Rows {
    path: PathBuf,
    /// The text, if it is not a file.
    given: Option<Arc<[u8]>>,
    content: Content,
    declared: Declared,
    /// The number of rows before the header.
    before: usize,
    /// What was detected, in words.
    told: Vec<String>,
    /// Which sheets are not read, in words.
    unread: Vec<String>,
    /// The file's columns, if it is an export of a known format.
    opened: Option<Opened>,
    /// The names in the file's own header.
    header: Vec<String>,
    columns: CsvRows,
    count: u64,
}

impl Rows {
    /// Opens a table and surveys it.
    ///
    /// # Errors
    /// When the file cannot be read, or its encoding or header is invalid.
    pub fn open(path: &Path, decoder: &Decoder) -> anyhow::Result<Self> {
        Self::open_as(path, decoder, Declared::default())
    }

    /// Opens a table with declared options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as(path: &Path, decoder: &Decoder, declared: Declared) -> anyhow::Result<Self> {
        Self::look_through(path, None, decoder, declared)
    }

    /// Surveys a text. The path is used in messages.
    ///
    /// # Errors
    /// When the header is invalid.
    pub fn of_text(path: &Path, text: String, decoder: &Decoder) -> anyhow::Result<Self> {
        Self::look_through(path, Some(text.into_bytes().into()), decoder, Declared::default())
    }

    fn look_through(path: &Path, given: Option<Arc<[u8]>>, decoder: &Decoder, declared: Declared) -> anyhow::Result<Self> {
        let read = |source| RowsError::Read { path: path.to_owned(), source };
        let content = if given.is_none() && has_extension(path, WORKBOOKS) {
            xlsx::check_size(path).map_err(read)?;
            Content::Sheet { name: declared.sheet.clone() }
        } else {
            let bytes = || open_bytes(path, given.as_ref());
            let encoding = match declared.encoding {
                Some(encoding) => encoding,
                None => encoding::detect(&bytes).map_err(read)?.ok_or_else(|| RowsError::Encoding(path.to_owned()))?,
            };
            let preamble = text::preamble(Utf8::new(bytes().map_err(read)?, encoding), declared.delimiter).map_err(read)?;
            Content::Text { encoding, preamble }
        };
        let Look { content, before, told, unread } = look(path, given.as_ref(), content, decoder, &declared)?;
        let mut rows = Self {
            path: path.to_owned(),
            given,
            content,
            declared,
            before,
            told,
            unread,
            opened: None,
            header: Vec::new(),
            columns: CsvRows::default(),
            count: 0,
        };
        rows.read_header(decoder)?;
        Ok(rows)
    }

    /// Reads the header, and surveys the rows after it.
    fn read_header(&mut self, decoder: &Decoder) -> anyhow::Result<()> {
        let Self { path, declared, content, before, .. } = &*self;
        let mut found: Option<(Vec<String>, Mapping, Option<Opened>, CsvRows)> = None;
        let (mut at, mut count, mut survey) = (0, 0, Survey::default());
        each_row(path, self.given.as_ref(), content, &mut |row| {
            at += 1;
            match (row, &mut found) {
                (_, None) if at <= *before => {}
                (Ok((_, cells)), Some((_, _, opened, columns))) => match opened {
                    Some(opened) => survey.see(opened, cells),
                    None => {
                        columns.survey(cells.iter());
                        count += 1;
                    }
                },
                (Err(_), Some(_)) => count += 1,
                (Ok((line, cells)), None) => {
                    let problem = |problem| RowsError::Header { path: path.clone(), line, problem };
                    let (names, mapping, opened) = declared.names(cells).map_err(problem)?;
                    let mut columns = CsvRows::new(decoder, &names).map_err(|found| problem(found.to_string()))?;
                    if let Content::Text { preamble: Preamble { zone: Some(zone), .. }, .. } = content {
                        columns = columns.in_zone(zone).map_err(|found| problem(found.to_string()))?;
                    }
                    found = Some((cells.to_vec(), mapping, opened, columns));
                }
                (Err((line, why)), None) => {
                    anyhow::bail!(RowsError::Header { path: path.clone(), line, problem: why });
                }
            }
            Ok(())
        })?;
        let no_header = || RowsError::Header { path: path.clone(), line: 1, problem: "the file has no header".into() };
        (self.header, self.declared.mapping, self.opened, self.columns) = found.ok_or_else(no_header)?;
        self.count = count + survey.rows;
        self.told.extend(survey.told());
        Ok(())
    }

    /// What was detected, in words: the encoding, the sheet, the header's line.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Which sheets of a workbook have rows and are not read, in words; empty if a sheet was named.
    pub fn unread(&self) -> &[String] {
        &self.unread
    }

    /// The number of rows, without the header.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The columns that are not fields of a native record: they are kept and have no effect.
    pub fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        self.columns.unknown_columns().map(|name| self.in_file(name))
    }

    /// Calls `take` with every row, in order.
    ///
    /// # Errors
    /// When the file cannot be read; errors of `take`.
    pub fn each(&self, take: &mut dyn FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut at = 0;
        let mut cells_of_row: Vec<String> = Vec::new();
        each_row(&self.path, self.given.as_ref(), &self.content, &mut |row| {
            at += 1;
            if at <= self.before + 1 {
                return Ok(());
            }
            match row {
                Ok((line, cells)) => match &self.opened {
                    // Rows of sums are skipped.
                    Some(opened) => opened.row(cells).map_or(Ok(()), |row| take(self.written(line, &row))),
                    None => take(self.record(line, cells, &mut cells_of_row)),
                },
                Err((line, reason)) => take(Err(RowProblem { line, column: String::new(), reason })),
            }
        })
    }

    fn record(&self, line: u64, cells: &[String], row: &mut Vec<String>) -> Row {
        row.clear();
        row.extend_from_slice(cells);
        if let (Content::Sheet { .. }, true) =
            (&self.content, row.iter().skip(self.header.len()).all(|cell| cell.trim().is_empty()))
        {
            // A sheet omits empty cells at a row's end, and may have extra ones where a column was cleared.
            row.resize(self.header.len(), String::new());
        }
        if self.declared.encoding.is_some() && row.iter().any(|cell| cell.contains(char::REPLACEMENT_CHARACTER)) {
            let reason = "utf8_invalid: the row has bytes that are not of the declared encoding".to_owned();
            return Err(RowProblem { line, column: String::new(), reason });
        }
        if row.len() == self.header.len() {
            row.extend(self.declared.mapping.constants().map(str::to_owned));
        }
        self.written(line, row)
    }

    fn written(&self, line: u64, row: &[String]) -> Row {
        self.columns.record(row.iter()).map(|record| (line, record)).map_err(|rejection| self.problem(line, rejection))
    }

    /// An error of ingest, with the file's own name of the column.
    pub fn problem(&self, line: u64, rejection: Rejection) -> RowProblem {
        let column = self.in_file(self.columns.column_of(&rejection.field)).to_owned();
        RowProblem { line, column, reason: format!("{}: {}", rejection.reason, rejection.detail) }
    }

    /// The file's name of a column, given its mapped name.
    fn in_file<'a>(&'a self, name: &'a str) -> &'a str {
        let at = match &self.opened {
            Some(opened) => opened.place(name),
            None => {
                let mapped = self.declared.mapping.header(&self.header).unwrap_or_default();
                mapped.iter().position(|known| known.trim().eq_ignore_ascii_case(name))
            }
        };
        at.and_then(|at| self.header.get(at)).map_or(name, |own| own.trim_start_matches('\u{feff}').trim())
    }
}

/// A row's line with its cells, or with its error.
type RawRow<'a> = Result<(u64, &'a [String]), (u64, String)>;

fn each_row(
    path: &Path,
    given: Option<&Arc<[u8]>>,
    content: &Content,
    take: &mut dyn FnMut(RawRow<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (encoding, preamble) = match content {
        Content::Sheet { name } => return xlsx::each(path, name.as_deref(), &mut |line, cells| take(Ok((line, cells)))),
        Content::Text { encoding, preamble } => (encoding, preamble),
    };
    let read = |source| RowsError::Read { path: path.to_owned(), source };
    let text = Utf8::new(open_bytes(path, given).map_err(read)?, encoding);
    let mut rows = TextRows::new(text, preamble, limits::RECORD_BYTES_MAX).map_err(read)?;
    loop {
        match rows.next_row() {
            Ok(None) => return Ok(()),
            Ok(Some((line, cells))) => take(Ok((line, cells)))?,
            Err(BadRow::Row(line, why)) => take(Err((line, why)))?,
            Err(BadRow::End(line, why)) => anyhow::bail!("{}:{line}: cannot be read: {why}", path.display()),
        }
    }
}

fn open_bytes(path: &Path, given: Option<&Arc<[u8]>>) -> io::Result<Box<dyn Read>> {
    if let Some(text) = given {
        return Ok(Box::new(Cursor::new(Arc::clone(text))));
    }
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file; a table is read twice"));
    }
    Ok(Box::new(File::open(path)?))
}

/// Whether the file's name has one of these extensions.
fn has_extension(file: &Path, extensions: &[&str]) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|found| extensions.iter().any(|known| known.eq_ignore_ascii_case(found)))
}

/// Whether a file is a table, by its name.
pub fn is_table(file: &Path) -> bool {
    has_extension(file, &["csv", "tsv", "txt"]) || has_extension(file, WORKBOOKS)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod workbook;
