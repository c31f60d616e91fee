//! A file of channel rules, with the line number of each rule.

use std::ops::Range;

use super::data::ChannelData;

/// A file of channel rules: `[[rule]]`, `[[site]]`, `[[click_id]]`, `[parameters]`, `[sets]`, `[domains]`.
#[derive(Debug)]
pub struct ChannelFile {
    name: String,
    text: String,
    pub(super) data: ChannelData,
}

impl ChannelFile {
    /// Parses the text of a file; `name` is used in messages.
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

    /// The whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1
}
