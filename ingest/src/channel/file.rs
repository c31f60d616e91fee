//! A file of channel rules, and which line of it says what.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use super::data::ChannelData;

/// The largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file of channel rules: `[[rule]]`, `[[site]]`, `[[click_id]]`, `[parameters]`, `[sets]`, `[domains]`.
#[derive(Debug)]
pub struct ChannelFile {
    name: String,
    text: String,
    pub(super) data: ChannelData,
}

impl ChannelFile {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it, beginning with its path and, where it is not TOML of this form, the line.
    pub fn open(path: &str) -> Result<Self, String> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            // The setting is named by who asked. What stands there may be no path.
            Err(error) => Err(format!("the file cannot be read: {error}")),
            Ok(_) if text.len() as u64 > FILE_BYTES_MAX => Err(format!("{path}: is larger than {FILE_BYTES_MAX} bytes")),
            Ok(_) => Self::parse(path, text),
        }
    }

    /// Reads the text of a file; `name` is for what is said of it.
    ///
    /// # Errors
    /// When it is not TOML of this form.
    pub fn parse(name: &str, text: String) -> Result<Self, String> {
        match toml::from_str(&text) {
            Ok(data) => Ok(Self { name: name.to_owned(), text, data }),
            Err(error) => {
                let line = line_of(&text, error.span().unwrap_or_default());
                Err(format!("{name}:{line}: {}", error.message()))
            }
        }
    }

    /// The place of something in the file: `rules.toml:12`.
    pub(super) fn place(&self, span: Range<usize>) -> String {
        format!("{}:{}", self.name, line_of(&self.text, span))
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
}
