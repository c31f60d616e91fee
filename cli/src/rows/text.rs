//! Rows of delimited text.

use std::io::{self, BufRead, BufReader, Read};

/// Delimiters that are tried, most likely first.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// How many lines of titles are skipped in the search for a delimiter.
const TITLE_LINES_MAX: usize = 20;
/// Most bytes examined for lines before the header and for the header.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The lines before the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preamble {
    /// Number of lines before the header: Excel's `sep=;`, Google Ads' `Parameters:...`.
    pub lines: u64,
    /// The delimiter of cells.
    pub delimiter: u8,
    /// The time zone in Google Ads' parameters.
    pub zone: Option<String>,
}

/// Examines the lines before the rows.
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
            let mut counted = DELIMITERS.map(|delimiter| (unquoted(text, delimiter), delimiter));
            // A title above the header has no delimiters, or other ones.
            if counted.iter().all(|(count, _)| *count == 0) {
                for _ in 0..TITLE_LINES_MAX {
                    line.clear();
                    reader.read_until(b'\n', &mut line)?;
                    let text = String::from_utf8_lossy(&line);
                    counted = DELIMITERS.map(|delimiter| (unquoted(&text, delimiter), delimiter));
                    if counted.iter().any(|(count, _)| *count > 0) {
                        break;
                    }
                }
            }
            // If several are equally frequent, the first.
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

/// The rows of a text in UTF-8, one at a time. At most the limit of a row is held in memory.
pub struct TextRows<R: Read> {
    reader: BufReader<R>,
    grammar: csv_core::Reader,
    bytes_max: usize,
    /// The line of the next byte, from 1.
    line: u64,
    /// Whether the last byte was a carriage return, to which a line feed belongs.
    after_return: bool,
    /// The cells of the row, concatenated; the ends of the cells follow in `ends`.
    text: Vec<u8>,
    ends: Vec<usize>,
    cells: Vec<String>,
}

/// Why a row cannot be read.
#[derive(Debug)]
pub enum BadRow {
    /// The row is invalid: its first line and the reason. Further rows can be read.
    Row(u64, String),
    /// Nothing can be read after this line.
    End(u64, String),
}

/// The extent of a row.
enum Extent {
    /// A complete row.
    Whole,
    /// It is too long.
    TooLong,
    /// The text ends inside quotes.
    Open,
    /// There are no more rows.
    None,
}

impl<R: Read> TextRows<R> {
    /// Begins after the lines before the header, which is the first row. A row may have at most `row_bytes_max` bytes.
    ///
    /// # Errors
    /// When the text cannot be read.
    pub fn new(text: R, preamble: &Preamble, row_bytes_max: usize) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(HEADER_BYTES_MAX, text);
        for _ in 0..preamble.lines {
            reader.skip_until(b'\n')?;
        }
        Ok(Self {
            reader,
            grammar: csv_core::ReaderBuilder::new().delimiter(preamble.delimiter).build(),
            bytes_max: row_bytes_max,
            line: preamble.lines + 1,
            after_return: false,
            text: vec![0; 1 << 10],
            ends: vec![0; 64],
            cells: Vec::new(),
        })
    }

    /// The next row that is not blank, with its line; `None` at the end.
    ///
    /// # Errors
    /// When the row is invalid, or nothing can be read any more.
    pub fn next_row(&mut self) -> Result<Option<(u64, &[String])>, BadRow> {
        loop {
            let failed = |line: u64| move |error: io::Error| BadRow::End(line, error.to_string());
            self.pass_line_ends().map_err(failed(self.line))?;
            let first = self.line;
            match self.read().map_err(failed(first))? {
                Extent::None => return Ok(None),
                Extent::Whole if self.cells.iter().all(|cell| cell.trim().is_empty()) => {}
                Extent::Whole => return Ok(Some((first, &self.cells))),
                Extent::TooLong => return Err(BadRow::Row(first, self.too_long(first))),
                Extent::Open => {
                    let why = "the quote that is opened in this row is never closed: this row and all behind it cannot be read";
                    return Err(BadRow::Row(first, why.to_owned()));
                }
            }
        }
    }

    fn too_long(&self, first: u64) -> String {
        let last = self.line.saturating_sub(1).max(first);
        let lines = if last > first { format!(" (lines {first} to {last}: is a quote left open?)") } else { String::new() };
        format!("record_too_large: the row is longer than {} bytes{lines}", self.bytes_max)
    }

    /// Skips line ends, so that the line of the next row is known.
    fn pass_line_ends(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.reader.fill_buf()?;
            let ends = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let more = ends == bytes.len() && ends > 0;
            self.consume(ends);
            if !more {
                return Ok(());
            }
        }
    }

    /// Counts lines as editors do, with any line end.
    fn consume(&mut self, length: usize) {
        for byte in self.reader.buffer().iter().take(length) {
            let ends = *byte == b'\r' || (*byte == b'\n' && !self.after_return);
            self.line += u64::from(ends);
            self.after_return = *byte == b'\r';
        }
        self.reader.consume(length);
    }

    fn read(&mut self) -> io::Result<Extent> {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        let (mut bytes, mut text_at, mut ends_at, mut too_long) = (0, 0, 0, false);
        loop {
            let input = self.reader.fill_buf()?;
            let at_end = input.is_empty();
            if at_end && bytes == 0 {
                return Ok(Extent::None);
            }
            // At the end of the text a line end is added, so that the last row ends.
            let input = if at_end { b"\n" } else { input };
            let (text, ends) = (self.text.get_mut(text_at..), self.ends.get_mut(ends_at..));
            let (result, read, text_len, ends_len) =
                self.grammar.read_record(input, text.unwrap_or_default(), ends.unwrap_or_default());
            if !at_end {
                self.consume(read);
                bytes += read;
            }
            (text_at, ends_at) = (text_at + text_len, ends_at + ends_len);
            if bytes > self.bytes_max {
                // The row is too long and dropped: its rest may overwrite it.
                (too_long, text_at, ends_at) = (true, 0, 0);
            }
            match result {
                Record if too_long => return Ok(Extent::TooLong),
                Record => {
                    self.split(ends_at);
                    return Ok(Extent::Whole);
                }
                End => return Ok(Extent::None),
                InputEmpty if at_end => return Ok(Extent::Open),
                InputEmpty => {}
                // At most as long as what was read, so within the limit.
                OutputFull => self.text.resize(self.text.len() * 2, 0),
                OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    /// The buffers of the cells are reused for each row.
    fn split(&mut self, count: usize) {
        self.cells.resize(count, String::new());
        let mut from = 0;
        for (cell, end) in self.cells.iter_mut().zip(&self.ends) {
            cell.clear();
            cell.push_str(&String::from_utf8_lossy(self.text.get(from..*end).unwrap_or_default()));
            from = *end;
        }
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
            ("Report of March\n\na\tb\n", (0, '\t', None)),
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

    /// The rows as `line:cells`, and errors as `line!`.
    fn rows(text: &[u8], bytes_max: usize) -> Vec<String> {
        let mut rows = TextRows::new(text, &preamble(text, Some(b',')).unwrap(), bytes_max).ok().unwrap();
        let mut found = Vec::new();
        loop {
            match rows.next_row() {
                Ok(None) => return found,
                Ok(Some((line, cells))) => found.push(format!("{line}:{}", cells.join("|"))),
                Err(BadRow::Row(line, _)) => found.push(format!("{line}!")),
                Err(BadRow::End(line, why)) => panic!("{line}: {why}"),
            }
        }
    }

    #[test]
    fn lines_are_those_of_the_file_whatever_ends_them() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a,b", "", "1,\"x", "y\"", "", "", "2,z"].join(end);
            let cell = format!("3:1|x{end}y");
            assert_eq!(rows(text.as_bytes(), 100), ["1:a|b", cell.as_str(), "7:2|z"], "{end:?}");
            assert_eq!(rows(format!("{text}{end}").as_bytes(), 100), ["1:a|b", cell.as_str(), "7:2|z"], "{end:?}");
        }
        assert_eq!(rows(b"a\n\n \n,\n\0\n", 100), ["1:a", "5:\0"]);
        assert_eq!(rows(b"", 100), [""; 0]);
        assert_eq!(rows(b"\n\r\n", 100), [""; 0]);
    }

    #[test]
    fn a_row_that_is_too_long_is_one_row_and_the_next_is_read() {
        let long = "x".repeat(12);
        let quoted = format!("a,b\n\"{}\",1\n2,3\n", "y\n".repeat(50_000));
        for (text, expected) in [
            (format!("a,b\n{long},1\n2,3\n"), vec!["1:a|b", "2!", "3:2|3"]),
            (format!("a,b\n{long}"), vec!["1:a|b", "2!"]),
            (format!("a,b\n1,\"{long}\"\n2,3"), vec!["1:a|b", "2!", "3:2|3"]),
            (format!("a,b\n{}\n2,3", ",".repeat(500_000)), vec!["1:a|b", "2!", "3:2|3"]),
            (quoted, vec!["1:a|b", "2!", "50003:2|3"]),
            ("a,b\n1234567890\n2,3".into(), vec!["1:a|b", "2:1234567890", "3:2|3"]),
        ] {
            let found = rows(text.as_bytes(), 11);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_open_quote_does_not_swallow_the_rest_of_the_file() {
        assert_eq!(rows(b"a,b\n1,2\n3,\"4\n5,6\n", 1_000), ["1:a|b", "2:1|2", "3!"]);
        let text = format!("a,b\n1,2\n1,\"2\n{}", "3,4\n".repeat(100_000));
        assert_eq!(rows(text.as_bytes(), 10_000), ["1:a|b", "2:1|2", "3!"]);
    }

    #[test]
    fn a_row_without_an_end_is_not_held() {
        struct Endless(u64);
        impl Read for Endless {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let length = usize::try_from(self.0).unwrap().min(out.len());
                out[..length].fill(b'x');
                self.0 -= length as u64;
                Ok(length)
            }
        }
        let plain = Preamble { delimiter: b',', ..Preamble::default() };
        let mut rows = TextRows::new(Endless(1 << 30), &plain, 1 << 20).ok().unwrap();
        assert!(matches!(rows.next_row(), Err(BadRow::Row(1, _))));
        assert!(matches!(rows.next_row(), Ok(None)));
        assert!(rows.text.len() <= 2 << 20, "{}", rows.text.len());
    }
}
