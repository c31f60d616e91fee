//! Reads files line by line, as bytes and with a limit, so that a broken line reaches the dead letters unchanged. No more of a line than
//! the limit is held in memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The byte order mark that some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file of lines cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: cannot be read: {source}", .path.display(), if *.line > 0 { format!(":{line}") } else { String::new() })]
pub struct LineError {
    /// Its path.
    pub path: PathBuf,
    /// The line, from 1; 0 if the file cannot be opened.
    pub line: u64,
    /// The error of the system.
    pub source: io::Error,
}

/// A line, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// A complete line.
    Whole(&'a [u8]),
    /// A line longer than the limit.
    TooLong {
        /// Its beginning, as long as the limit.
        beginning: &'a [u8],
        /// Its length in bytes.
        bytes: u64,
    },
}

impl<'a> Line<'a> {
    /// The line; `None` if it is too long.
    pub fn whole(self) -> Option<&'a [u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::TooLong { .. } => None,
        }
    }
}

/// The lines of a file.
pub struct Lines<R: Read = File> {
    path: PathBuf,
    reader: BufReader<R>,
    line: u64,
    bytes_max: usize,
    buffer: Vec<u8>,
}

/// Properties of a line, beside its beginning.
#[derive(Default)]
struct Seen {
    bytes: u64,
    blank: bool,
    ended: bool,
    last: Option<u8>,
}

impl Lines {
    /// Opens a file whose lines have at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When it cannot be opened, or is a folder.
    pub fn open(path: &Path, bytes_max: usize) -> Result<Self, LineError> {
        let failed = |source| LineError { path: path.to_owned(), line: 0, source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self::of(path, file, bytes_max))
    }
}

impl<R: Read> Lines<R> {
    /// The lines of a reader; the path is for errors.
    pub fn of(path: &Path, read: R, bytes_max: usize) -> Self {
        let reader = BufReader::with_capacity(1 << 18, read);
        Self { path: path.to_owned(), reader, line: 0, bytes_max, buffer: Vec::new() }
    }

    /// The number of the last line read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next line that is not blank. A byte order mark before the first line is skipped.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, LineError> {
        let seen = loop {
            self.line += 1;
            let seen = self.read().map_err(|source| LineError { path: self.path.clone(), line: self.line, source })?;
            if seen.bytes == 0 && !seen.ended {
                return Ok(None);
            }
            let only_marked = self.line == 1 && self.buffer.trim_ascii_end() == BYTE_ORDER_MARK;
            if !seen.blank && !only_marked {
                break seen;
            }
        };
        let marked = self.line == 1 && self.buffer.starts_with(BYTE_ORDER_MARK);
        let line = self.buffer.get(if marked { BYTE_ORDER_MARK.len() } else { 0 }..).unwrap_or_default();
        // A carriage return at the end belongs to the line end.
        let bytes = seen.bytes - u64::from(seen.ended && seen.last == Some(b'\r'));
        if bytes <= self.bytes_max as u64 {
            let returned = if seen.ended { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
            return Ok(Some(Line::Whole(returned)));
        }
        let beginning = line.get(..self.bytes_max).unwrap_or(line);
        Ok(Some(Line::TooLong { beginning, bytes }))
    }

    /// Reads to the end of the line, but keeps only one byte more than the limit, for a carriage return.
    fn read(&mut self) -> io::Result<Seen> {
        self.buffer.clear();
        let mut seen = Seen { blank: true, ..Seen::default() };
        loop {
            let bytes = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let room = (self.bytes_max + 1).saturating_sub(self.buffer.len()).min(part.len());
            self.buffer.extend_from_slice(part.get(..room).unwrap_or_default());
            seen.bytes += part.len() as u64;
            seen.blank &= part.trim_ascii().is_empty();
            seen.last = part.last().copied().or(seen.last);
            let (consumed, at_end) = (part.len() + usize::from(end.is_some()), bytes.is_empty());
            self.reader.consume(consumed);
            if end.is_some() || at_end {
                seen.ended = end.is_some();
                return Ok(seen);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as `number:text`, and those that are too long as `number!bytes`.
    fn lines(text: &[u8], bytes_max: usize) -> Vec<String> {
        let mut lines = Lines::of(Path::new("x"), text, bytes_max);
        let mut found = Vec::new();
        loop {
            let text = match lines.next_line().unwrap() {
                None => return found,
                Some(Line::Whole(bytes)) => format!(":{}", bytes.escape_ascii()),
                Some(Line::TooLong { beginning, bytes }) => {
                    assert_eq!(beginning.len(), bytes_max);
                    format!("!{bytes}")
                }
            };
            found.push(format!("{}{text}", lines.line()));
        }
    }

    #[test]
    fn lines_are_bytes_without_their_ends() {
        for (text, expected) in [
            (&b"{}\r\n\n  \n\xff\xfe\nlast"[..], vec!["1:{}", "4:\\xff\\xfe", "5:last"]),
            (b"", vec![]),
            (b"\n\r\n \t\n", vec![]),
            (b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n", vec!["1:{}", "2:\\xef\\xbb\\xbf{}"]),
            (b"a\rb\r\nc\r", vec!["1:a\\rb", "2:c\\r"]),
            (b"\0\n\0a", vec!["1:\\x00", "2:\\x00a"]),
            (b"\xef\xbb\xbf\r\n{}", vec!["2:{}"]),
            (b"12345678\n", vec!["1:12345678"]),
            (b"12345678\r\n1", vec!["1:12345678", "2:1"]),
        ] {
            assert_eq!(lines(text, 8), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_the_next_is_read() {
        for (text, expected) in [
            (b"123456789\n1\n".to_vec(), vec!["1!9", "2:1"]),
            (b"123456789\r\n1".to_vec(), vec!["1!9", "2:1"]),
            (b"1\n123456789".to_vec(), vec!["1:1", "2!9"]),
            ([vec![b'x'; 1_000_000], b"\n2".to_vec()].concat(), vec!["1!1000000", "2:2"]),
            // Blank lines are skipped, however long; blanks before text belong to the line.
            ([vec![b' '; 1_000_000], b"\n2".to_vec()].concat(), vec!["2:2"]),
            ([vec![b' '; 1_000_000], b"{}\n2".to_vec()].concat(), vec!["1!1000002", "2:2"]),
            ([b"{}".to_vec(), vec![b' '; 1_000_000], b"\n2".to_vec()].concat(), vec!["1!1000002", "2:2"]),
        ] {
            assert_eq!(lines(&text, 8), expected);
        }
    }

    #[test]
    fn a_line_of_gigabytes_is_not_held() {
        let endless = io::repeat(b'x').take(1 << 30).chain(&b"\n{}\n"[..]);
        let mut lines = Lines::of(Path::new("x"), endless, 1 << 20);
        assert_eq!(lines.next_line().unwrap().unwrap().whole(), None);
        assert_eq!(lines.next_line().unwrap(), Some(Line::Whole(&b"{}"[..])));
        assert!(lines.buffer.capacity() <= 4 << 20, "{}", lines.buffer.capacity());
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_line() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut lines = Lines::of(Path::new("f"), b"1\n2\n3".chain(Broken), 8);
        assert!(lines.next_line().unwrap().is_some() && lines.next_line().unwrap().is_some());
        assert_eq!(lines.next_line().unwrap_err().to_string(), "f:3: cannot be read: gone");
        let folder = tempfile::tempdir().unwrap();
        assert!(Lines::open(folder.path(), 8).err().unwrap().to_string().ends_with("is a directory"));
    }
}
