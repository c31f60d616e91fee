//! Rows of delimited text.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use csv::{ReaderBuilder, StringRecord};

/// Delimiters that are looked for, the likeliest first.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// How much of the file is looked at for lines before the header, and for the header, bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// What stands before the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preamble {
    /// Lines before the header: Excel's `sep=;`, Google Ads' `Parameters:...`.
    pub lines: u64,
    /// What delimits cells.
    pub delimiter: u8,
    /// The zone that Google Ads' parameters name.
    pub zone: Option<String>,
}

/// Looks at what stands before the rows.
///
/// # Errors
/// When it cannot be read.
pub fn preamble(text: impl Read, declared: Option<u8>) -> io::Result<Preamble> {
    let mut reader = BufReader::new(text.take(HEADER_BYTES_MAX as u64));
    let mut declared = declared;
    let mut found = Preamble { delimiter: b',', ..Preamble::default() };
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if let Some(delimiter) = text.strip_prefix("sep=").and_then(|rest| rest.bytes().next()) {
            declared = declared.or(Some(delimiter));
        } else if let Some(parameters) = text.strip_prefix("Parameters:") {
            let zone = parameters.split([';', ',']).find_map(|part| part.trim().strip_prefix("TimeZone="));
            found.zone = zone.map(|zone| zone.trim().to_owned()).filter(|zone| !zone.is_empty());
        } else {
            let counted = DELIMITERS.map(|delimiter| (unquoted(text, delimiter), delimiter));
            // Of equally many the first.
            let most = counted.into_iter().rev().max_by_key(|(count, _)| *count).map(|(_, delimiter)| delimiter);
            found.delimiter = declared.or(most).unwrap_or(found.delimiter);
            return Ok(found);
        }
        found.lines += 1;
    }
}

fn unquoted(text: &str, delimiter: u8) -> usize {
    let mut quoted = false;
    text.bytes()
        .filter(|byte| {
            quoted ^= *byte == b'"';
            *byte == delimiter && !quoted
        })
        .count()
}

/// The rows of a text in UTF-8, one at a time.
pub struct TextRows<R: Read> {
    reader: csv::Reader<Limited<BufReader<R>>>,
    read: Rc<Cell<u64>>,
    lines_before: u64,
    row: StringRecord,
}

/// Why a row cannot be read.
pub enum BadRow {
    /// The row is at fault; the line it begins on.
    Row(u64),
    /// Nothing can be read any more; behind this line.
    End(u64, String),
}

impl<R: Read> TextRows<R> {
    /// Begins behind the lines before the header, which comes as the first row. A row has at most `row_bytes_max` bytes.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub fn new(text: R, preamble: &Preamble, row_bytes_max: u64) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(HEADER_BYTES_MAX, text);
        for _ in 0..preamble.lines {
            reader.skip_until(b'\n')?;
        }
        let read = Rc::new(Cell::new(0));
        let limited = Limited { inner: reader, read: Rc::clone(&read), bytes_max: row_bytes_max };
        let reader = ReaderBuilder::new().flexible(true).has_headers(false).delimiter(preamble.delimiter).from_reader(limited);
        Ok(Self { reader, read, lines_before: preamble.lines, row: StringRecord::new() })
    }

    /// The next row that is not blank, with its line; `None` at the end.
    ///
    /// # Errors
    /// When the row is not CSV.
    pub fn next_row(&mut self) -> Result<Option<(u64, &StringRecord)>, BadRow> {
        loop {
            self.read.set(0);
            match self.reader.read_record(&mut self.row) {
                Ok(false) => return Ok(None),
                Ok(true) if self.row.iter().all(|cell| cell.trim().is_empty()) => {}
                Ok(true) => break,
                Err(error) => {
                    let line = error.position().map_or_else(|| self.reader.position().line(), csv::Position::line);
                    let line = line + self.lines_before;
                    return Err(if error.is_io_error() { BadRow::End(line, error.to_string()) } else { BadRow::Row(line) });
                }
            }
        }
        let line = self.row.position().map_or(0, csv::Position::line) + self.lines_before;
        Ok(Some((line, &self.row)))
    }
}

/// A reader that gives up on a row that does not end: a quote left open would be the rest of the file.
struct Limited<R> {
    inner: R,
    read: Rc<Cell<u64>>,
    bytes_max: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > self.bytes_max {
            let why = format!("a row is longer than {} bytes: is a quote left open? (topics.record_bytes_max)", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let length = self.inner.read(out)?;
        self.read.set(self.read.get() + length as u64);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (u64, char, Option<String>) {
        let found = preamble(text.as_bytes(), None).unwrap();
        (found.lines, char::from(found.delimiter), found.zone)
    }

    #[test]
    fn delimiters_and_lines_before_the_header() {
        for (text, expected) in [
            ("a,b,c\n", (0, ',', None)),
            ("a;b;c\n1,5;2;3\n", (0, ';', None)),
            ("a\tb\n", (0, '\t', None)),
            ("a|b\n", (0, '|', None)),
            ("\"a;b;c;d\",e\n", (0, ',', None)),
            ("phone\n", (0, ',', None)),
            ("", (0, ',', None)),
            ("sep=;\r\na,b;c\r\n", (1, ';', None)),
            ("Parameters:TimeZone=Asia/Shanghai;\na,b\n", (1, ',', Some("Asia/Shanghai".into()))),
        ] {
            assert_eq!(of(text), expected, "{text:?}");
        }
        assert_eq!(preamble("a;b".as_bytes(), Some(b',')).unwrap().delimiter, b',');
    }

    #[test]
    fn a_quote_left_open_does_not_become_the_rest_of_the_file() {
        let text = format!("a,b\n1,\"2\n{}", "3,4\n".repeat(100_000));
        let mut rows = TextRows::new(text.as_bytes(), &preamble(text.as_bytes(), None).unwrap(), 10_000).ok().unwrap();
        assert!(matches!(rows.next_row(), Ok(Some((1, _)))));
        let Err(BadRow::End(_, why)) = rows.next_row() else { panic!("read on") };
        assert!(why.contains("is a quote left open?"), "{why}");
    }
}
