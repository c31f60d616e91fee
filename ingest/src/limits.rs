//! Limits of the size of an input, checked before anything parses it.

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use crate::{reason, repair};

/// Largest record, bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Largest JSON text, bytes.
pub const JSON_BYTES_MAX: usize = 256 << 10;
/// Deepest nesting of JSON.
pub const JSON_DEPTH_MAX: usize = 32;
/// Largest XML text, bytes.
pub const XML_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of XML.
pub const XML_DEPTH_MAX: usize = 16;
/// Longest text field, bytes.
pub const FIELD_BYTES_MAX: usize = 8 << 10;
/// Longest URL, bytes.
pub const URL_BYTES_MAX: usize = 8 << 10;
/// Most query pairs of a URL that are read.
pub const URL_PAIRS_MAX: usize = 64;
/// Longest identifier, object id, event id or trait name, bytes.
pub const ID_BYTES_MAX: usize = 256;
/// Most elements of one body: events of a webhook, records of a CRM event.
pub const ELEMENTS_MAX: usize = 1000;
/// Most traits of one event.
pub const TRAITS_MAX: usize = 256;
/// Most dimensions that a configuration declares.
pub const DIMENSIONS_MAX: usize = 16;
/// Longest name of a dimension, bytes.
pub const DIMENSION_NAME_BYTES_MAX: usize = 40;
/// Most contacts of one event.
pub const CONTACTS_MAX: usize = 200;
/// Most identifiers of one event.
pub const IDENTIFIERS_MAX: usize = 20;

/// The JSON text of a record's value, without byte order mark, after a check of its size and that it is an object. Values nested too
/// deeply, invalid UTF-8 and halves of surrogate pairs are replaced by a character that every field refuses.
///
/// # Errors
/// [`reason::RECORD_TOO_LARGE`], [`reason::JSON_MALFORMED`].
pub fn json_object(value: &[u8]) -> Result<Cow<'_, str>, Rejection> {
    if value.len() > RECORD_BYTES_MAX {
        return Err(too_large("the record", value.len(), RECORD_BYTES_MAX));
    }
    if value.len() > JSON_BYTES_MAX {
        return Err(too_large("the JSON text", value.len(), JSON_BYTES_MAX));
    }
    let text = cut_depth(repair::surrogates(repair::utf8(value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value))));
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Rejection::new(reason::JSON_MALFORMED, "", "the record is not a JSON object"));
    }
    Ok(text)
}

/// Replaces each value nested deeper than [`JSON_DEPTH_MAX`] by one that every field refuses. The JSON may be malformed.
pub(crate) fn cut_depth(json: Cow<'_, str>) -> Cow<'_, str> {
    if is_within_depth(&json, JSON_DEPTH_MAX) { json } else { Cow::Owned(repair::cut(&json, JSON_DEPTH_MAX)) }
}

/// Whether JSON is nested at most `max` levels deep. It may be malformed.
pub fn is_within_depth(text: &str, max: usize) -> bool {
    // With no more opening brackets than allowed levels it cannot be too deep. Counting them is several times faster than tracking the
    // depth.
    opening_brackets(text) <= max || depth(text) <= max
}

/// The number of `{` and `[`, including those in strings. The two differ in one bit (that of lower case). Counters of one byte over short
/// chunks let the compiler use SIMD.
fn opening_brackets(text: &str) -> usize {
    let chunk = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(u8::from(byte | 0x20 == b'{')));
    text.as_bytes().chunks(usize::from(u8::MAX)).map(|bytes| usize::from(chunk(bytes))).sum()
}

/// The deepest nesting of brackets outside strings.
fn depth(text: &str) -> usize {
    let (mut now, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The rejection of a text that is too large.
pub(crate) fn too_large(what: &str, bytes: usize, bytes_max: usize) -> Rejection {
    Rejection::new(reason::RECORD_TOO_LARGE, "", format!("{what} has {bytes} bytes, at most {bytes_max} are read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(value: &[u8]) -> reason::Reason {
        json_object(value).unwrap_err().reason
    }

    #[test]
    fn refuses_what_must_not_be_parsed() {
        assert_eq!(reason_of(&vec![b' '; 2 << 20]), reason::RECORD_TOO_LARGE);
        assert_eq!(reason_of(&vec![b' '; JSON_BYTES_MAX + 1]), reason::RECORD_TOO_LARGE);
        assert_eq!(reason_of(b""), reason::JSON_MALFORMED);
        assert_eq!(reason_of(b"[{}]"), reason::JSON_MALFORMED);
        assert_eq!(json_object("\u{feff}{}".as_bytes()), Ok("{}".into()));
        assert_eq!(json_object(b"{\"a\": \"\xff\"}"), Ok("{\"a\": \"\u{fdd0}\"}".into()));
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(json_object(deep(JSON_DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(json_object(deep(JSON_DEPTH_MAX + 1).as_bytes()).unwrap().matches('[').count(), JSON_DEPTH_MAX - 1);
        assert!(json_object(deep(JSON_DEPTH_MAX + 9).as_bytes()).unwrap().contains(r#"["\ufdd0"]"#));
        let quoted = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(100));
        assert!(json_object(quoted.as_bytes()).is_ok());
        let wide = format!("{{\"a\":[{}[]]}}", "[],".repeat(100));
        assert!(json_object(wide.as_bytes()).is_ok());
    }
}
