//! Repairs JSON with one unreadable value: half an emoji, bytes that are not UTF-8, a number that is too large, or too much nesting. The
//! value is replaced by one that every field refuses, so that the rest of the record can be read.

use std::borrow::Cow;

/// Replaces a character that could not be read: a code point that no text uses. A field that contains it is not used.
pub(crate) const UNREADABLE: char = '\u{fdd0}';
const UNREADABLE_ESCAPE: &str = "\\ufdd0";

/// Whether a text contains a character that could not be read.
pub(crate) fn is_unreadable(text: &str) -> bool {
    !text.is_ascii() && text.contains(UNREADABLE)
}

/// The same for raw JSON.
pub(crate) fn is_unreadable_json(json: &str) -> bool {
    is_unreadable(json) || json.contains(UNREADABLE_ESCAPE)
}

/// The bytes as text; each sequence that is not UTF-8 becomes one [`UNREADABLE`].
pub(crate) fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(UNREADABLE);
        }
    }
    Cow::Owned(out)
}

/// Replaces each half of a surrogate pair (`\ud83d` alone) in JSON by [`UNREADABLE`]: some libraries cut texts in the middle of an emoji.
pub(crate) fn surrogates(json: Cow<'_, str>) -> Cow<'_, str> {
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return json;
    }
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        let (length, lone) = match unit(&json, escape) {
            // Any other escape has two characters; the second one does not begin another escape.
            None => (2, false),
            Some(0xd800..=0xdbff) => match unit(&json, escape + 6) {
                Some(0xdc00..=0xdfff) => (12, false),
                _ => (6, true),
            },
            Some(0xdc00..=0xdfff) => (6, true),
            Some(_) => (6, false),
        };
        if lone {
            out.push_str(json.get(copied..escape).unwrap_or_default());
            out.push_str(UNREADABLE_ESCAPE);
            copied = escape + length;
        }
        at = escape + length;
    }
    if copied == 0 {
        return json;
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// The escaped code unit at a position.
fn unit(json: &str, at: usize) -> Option<u32> {
    let digits = json.get(at..at.checked_add(6)?)?.strip_prefix("\\u")?;
    u32::from_str_radix(digits, 16).ok()
}

/// Replaces each number that a double cannot represent (`1e999`) by an empty object; `None` if there is none.
pub(crate) fn numbers(json: &str) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let end = at + bytes.iter().skip(at).take_while(|byte| is_part(byte)).count();
                let text = json.get(at..end).unwrap_or_default();
                if text.parse::<f64>().is_ok_and(f64::is_infinite) {
                    out.push_str(json.get(copied..at).unwrap_or_default());
                    out.push_str("{}");
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    Some(out)
}

/// Replaces each value nested deeper than `max` levels by an unreadable text. Brackets that are never closed stay so.
pub(crate) fn cut(json: &str, max: usize) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut copied, mut at, mut depth) = (0, 0, 0usize);
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at);
                continue;
            }
            b'{' | b'[' => {
                if depth == max {
                    out.push_str(json.get(copied..at).unwrap_or_default());
                    out.push_str("\"\\ufdd0\"");
                }
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == max {
                    copied = at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if depth <= max {
        out.push_str(json.get(copied..).unwrap_or_default());
    }
    out
}

/// The position after the string that begins at `at`.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_characters_are_unreadable() {
        for (json, expected) in [
            (r#"{"a":"Li \ud83d"}"#, r#"{"a":"Li \ufdd0"}"#),
            (r#"{"a":"\uDE00\ud83d\ude00\uD83D\ud83d\ude00"}"#, r#"{"a":"\ufdd0\ud83d\ude00\ufdd0\ud83d\ude00"}"#),
            (r#"{"a":"\\ud83d \n\u00e4"}"#, r#"{"a":"\\ud83d \n\u00e4"}"#),
            (r#"{"a":"\ud83"#, r#"{"a":"\ud83"#),
            (r#""\ud8🦀"#, r#""\ud8🦀"#),
        ] {
            assert_eq!(surrogates(Cow::Borrowed(json)), expected, "{json}");
        }
        assert_eq!(utf8(b"\"a\xff\xe5\xb3\"\xe5\xb3\xb0"), "\"a\u{fdd0}\u{fdd0}\"峰");
        assert!(is_unreadable_json(r#"["\ufdd0"]"#) && is_unreadable("a\u{fdd0}") && !is_unreadable("峰"));
    }

    #[test]
    fn what_is_nested_too_deeply_cannot_be_read() {
        for (json, expected) in [
            (r#"{"a":[[1],{"b":"]["}],"c":1}"#, r#"{"a":["\ufdd0","\ufdd0"],"c":1}"#),
            (r#"{"a":[1],"b":["]"]}"#, r#"{"a":[1],"b":["]"]}"#),
            (r#"{"a":[[1"#, r#"{"a":["\ufdd0""#),
            (r#"]]}{"a":[[]]"#, r#"]]}{"a":["\ufdd0"]"#),
        ] {
            assert_eq!(cut(json, 2), expected, "{json}");
        }
    }

    #[test]
    fn numbers_that_no_machine_can_hold_are_no_numbers() {
        let json = r#"{"a":1e999,"b":[-1E+400,1e3,"1e999 \" 1e999"],"c":0.1}"#;
        assert_eq!(numbers(json).unwrap(), r#"{"a":{},"b":[{},1e3,"1e999 \" 1e999"],"c":0.1}"#);
        assert_eq!(numbers(r#"{"a":"1e999","b":1}"#), None);
    }
}
