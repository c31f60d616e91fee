//! Invisible characters, and characters that Chinese input methods write for ASCII.

use std::borrow::Cow;

use super::unfilled::is_macro;

/// The text without surrounding white space, and without control, zero-width and bidirectional characters: with those, two values that look
/// equal would differ.
pub fn clean(text: &str) -> Cow<'_, str> {
    // A fold without early exit, so that the compiler can use SIMD.
    if text.bytes().fold(true, |plain, byte| plain & (b' '..0x7f).contains(&byte)) {
        return Cow::Borrowed(text.trim_ascii());
    }
    if text.chars().any(is_invisible) {
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        return Cow::Owned(visible.trim().to_owned());
    }
    Cow::Borrowed(text.trim())
}

/// Full-width ASCII (`１３８`, `＠`) and the ideographic space as plain ASCII.
pub fn narrow(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(narrow_char).collect())
}

fn narrow_char(c: char) -> char {
    const OFFSET: u32 = 0xff01 - 0x21;
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - OFFSET).unwrap_or(c),
        '\u{3000}' | '\u{a0}' => ' ',
        '\u{3002}' => '.',
        _ => c,
    }
}

/// Control characters, line separators, and what Unicode calls default ignorable: zero-width characters, joiners, bidirectional marks,
/// embeddings and isolates, the soft hyphen, fillers, variation selectors, byte order marks, tags.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// What programs write into a parameter without a value, lower case.
const NO_VALUE: [&str; 8] = ["undefined", "null", "(null)", "nan", "none", "nil", "[object object]", "[object undefined]"];

/// Whether a campaign parameter has no value: a program's word for that, or a macro that a network has not replaced (`{{campaign.name}}`,
/// `{keyword}`, `__CAMPAIGN__`, `%%site%%`).
pub(crate) fn has_no_value(text: &str) -> bool {
    is_macro(text) || NO_VALUE.iter().any(|none| text.eq_ignore_ascii_case(none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_without_copying_what_is_clean() {
        assert!(matches!(clean(" a b "), Cow::Borrowed("a b")));
        assert!(matches!(clean("\u{3000}张先生 "), Cow::Borrowed("张先生")));
        assert_eq!(clean("\u{feff}a\u{200b}\u{7}b\t"), "ab");
    }

    #[test]
    fn narrows_full_width_ascii() {
        assert_eq!(narrow("１３８－００００　１１１１"), "138-0000 1111");
        assert_eq!(narrow("ｚ＠ｂ．ｃｎ"), "z@b.cn");
        assert_eq!(narrow("张"), "张");
    }

    #[test]
    fn a_placeholder_has_no_value() {
        for none in ["undefined", "NULL", "NaN", "{{ad.name}}", "{keyword}", "__CAMPAIGN_ID__", "%%SITE%%", "[object Object]"] {
            assert!(has_no_value(none), "{none}");
        }
        for value in ["cpc", "nullify", "_x_", "{a", "(none)", "____", "{}"] {
            assert!(!has_no_value(value), "{value}");
        }
    }
}
