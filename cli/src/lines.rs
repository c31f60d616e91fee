//! Reads files line by line, as bytes and with a limit, so that a broken line reaches the dead letters as it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// What can be wrong with a file of lines.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It cannot be opened or read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is longer than a record may be.
    #[error("{}:{line}: the line is longer than {max} bytes (topics.record_bytes_max)", .path.display())]
    TooLong {
        /// The file's path.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The most bytes a line may have.
        max: u64,
    },
}

/// The lines of a file.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: u64,
    bytes_max: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// Opens a file whose lines have at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, LineError> {
        let file = File::open(path).map_err(|source| LineError::Read { path: path.to_owned(), source })?;
        let reader = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), reader, line: 0, bytes_max, buffer: Vec::new() })
    }

    /// The number of the last line read, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The next line that is not blank, without its line end.
    ///
    /// # Errors
    /// When the file cannot be read or the line is too long; what follows it can be read all the same.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineError> {
        loop {
            self.buffer.clear();
            self.line += 1;
            // One byte beyond the limit and its line end tells that the line is longer.
            let mut limited = (&mut self.reader).take(self.bytes_max + 2);
            let read = limited.read_until(b'\n', &mut self.buffer);
            let length = read.map_err(|source| LineError::Read { path: self.path.clone(), source })?;
            if length == 0 {
                return Ok(None);
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if u64::try_from(line.len()).is_ok_and(|length| length > self.bytes_max) {
            if !self.buffer.ends_with(b"\n") {
                let skipped = self.reader.skip_until(b'\n');
                skipped.map_err(|source| LineError::Read { path: self.path.clone(), source })?;
            }
            return Err(LineError::TooLong { path: self.path.clone(), line: self.line, max: self.bytes_max });
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bytes_without_their_ends() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"{}\r\n\n  \n\xff\xfe\nlast").unwrap();
        let mut lines = Lines::open(file.path(), 4).unwrap();
        assert_eq!(lines.next_line().unwrap(), Some(&b"{}"[..]));
        assert_eq!(lines.next_line().unwrap(), Some(&b"\xff\xfe"[..]));
        assert_eq!(lines.next_line().unwrap(), Some(&b"last"[..]));
        assert_eq!(lines.next_line().unwrap(), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "1234\n1234567890\n4321\n").unwrap();
        let mut lines = Lines::open(file.path(), 4).unwrap();
        assert_eq!(lines.next_line().unwrap(), Some(&b"1234"[..]));
        let error = lines.next_line().unwrap_err().to_string();
        assert!(error.ends_with(":2: the line is longer than 4 bytes (topics.record_bytes_max)"), "{error}");
        assert_eq!(lines.next_line().unwrap(), Some(&b"4321"[..]));
    }
}
