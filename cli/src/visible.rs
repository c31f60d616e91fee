//! Escapes text for a terminal: characters that would move its cursor, change its title, or hide or reverse text are shown as `\u001b`.
//! Values come from strangers.
//!
//! The form is that of JSON, so that a JSON document stays the same document.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Whether a terminal or a reader could misinterpret a character: control and bidirectional characters.
fn is_unsafe(mark: char) -> bool {
    let turns_words = matches!(mark, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (mark.is_control() && !matches!(mark, '\n' | '\t')) || turns_words || matches!(mark, '\u{2028}' | '\u{2029}')
}

/// The text with such characters escaped; line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    shown(text, false)
}

fn shown(text: &str, styled: bool) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(mark) = rest.chars().next() {
        if let (true, Some(length)) = (styled, style(rest)) {
            let (style, after) = rest.split_at(length);
            out.push_str(style);
            rest = after;
            continue;
        }
        if is_unsafe(mark) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(mark));
        } else {
            out.push(mark);
        }
        rest = rest.get(mark.len_utf8()..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// The length of a colour sequence at the beginning of a text.
fn style(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|mark: char| !mark.is_ascii_digit() && mark != ';')?;
    parameters.get(end..)?.starts_with('m').then_some(end + 3)
}

/// A writer for people, which escapes such characters.
pub struct Visible<W: Write> {
    inner: W,
    /// The first bytes of a character that is not complete yet.
    begun: Vec<u8>,
    /// Whether colour sequences are let through.
    styled: bool,
}

impl<W: Write> Visible<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, begun: Vec::new(), styled: false }
    }

    /// The same, with colour sequences let through.
    pub fn styled(inner: W) -> Self {
        Self { styled: true, ..Self::new(inner) }
    }
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&all) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => all.len(),
        };
        let (now, later) = all.split_at(whole);
        self.inner.write_all(shown(&String::from_utf8_lossy(now), self.styled).as_bytes())?;
        self.begun = later.to_vec();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_is_left_for_the_terminal() {
        for (text, expected) in [
            ("plain 峰会 é\t\n", "plain 峰会 é\t\n"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u001b[2J\\u001b]0;title\\u0007"),
            ("a\rb\u{8}", "a\\u000db\\u0008"),
            ("\u{9b}31m", "\\u009b31m"),
            ("\u{202e}txt.exe\u{2066}", "\\u202etxt.exe\\u2066"),
            ("\0\u{7f}\u{2028}", "\\u0000\\u007f\\u2028"),
        ] {
            assert_eq!(visible(text), expected);
        }
        for code in 0..=0x10ffff {
            let Some(mark) = char::from_u32(code) else { continue };
            let shown = visible(mark.encode_utf8(&mut [0; 4])).into_owned();
            assert!(mark == '\n' || mark == '\t' || !shown.chars().any(char::is_control), "{code:x}");
        }
    }

    #[test]
    fn a_json_document_stays_the_same() {
        let value = serde_json::json!({"a\u{9b}": "\u{1b}[1m \u{7f}\u{202e} 峰\"\\"});
        let text = value.to_string();
        let shown = visible(&text);
        assert!(!shown.chars().any(|mark| mark.is_control()));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn characters_are_written_whole_however_they_come() {
        let text = "峰\u{9b}会\u{1b}[31mé\u{1b}[2J\n";
        for chunk in 1..6 {
            let mut out = Visible::new(Vec::new());
            text.as_bytes().chunks(chunk).for_each(|part| out.write_all(part).unwrap());
            assert_eq!(String::from_utf8(out.inner).unwrap(), "峰\\u009b会\\u001b[31mé\\u001b[2J\n");
        }
        let mut styled = Visible::styled(Vec::new());
        styled.write_all(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(styled.inner).unwrap(), "峰\\u009b会\u{1b}[31mé\\u001b[2J\n");
    }
}
