//! Decodes names and values in URLs: percent-encoded once or twice, as UTF-8 or GBK.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Longest parameter name that is considered, bytes.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// The name in lower case, decoded, without the brackets of PHP arrays; `None` if it is too long for a known one.
pub(super) fn canonical_name<'b>(raw: &str, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b str> {
    let decoded: Cow<'_, str> = if raw.contains('%') { decode(raw) } else { Cow::Borrowed(raw) };
    let name = decoded.trim();
    let name = match name.split_once('[') {
        Some((name, index)) if index.ends_with(']') => name,
        _ => name,
    };
    let name = name.trim_start_matches(['?', '#', '!']);
    let out = buffer.get_mut(..name.len())?;
    for (to, from) in out.iter_mut().zip(name.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    std::str::from_utf8(out).ok()
}

/// Decodes percent-encoding and `+`; twice if the text was encoded twice; as GBK if it is not UTF-8.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced: Cow<'_, str> = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let mut out = decode_once(&spaced);
    if text.contains("%25") && has_escape(&out) {
        out = decode_once(&out);
    }
    Cow::Owned(out)
}

fn decode_once(text: &str) -> String {
    let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
    let utf8 = std::str::from_utf8(&bytes).ok();
    if let Some(utf8) = utf8.filter(|text| !is_chance(text)) {
        return utf8.to_owned();
    }
    match encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(&bytes) {
        Some(gbk) => gbk.into_owned(),
        // Neither: the undecoded text is more useful than replacement characters.
        None => utf8.unwrap_or(text).to_owned(),
    }
}

/// Whether bytes that are valid UTF-8 are GBK nevertheless: every other character would be one that no language uses often (the GBK of 品 is
/// the UTF-8 of Ʒ). Letters of Vietnamese and Romanian are in that range, too.
fn is_chance(text: &str) -> bool {
    let rare = |c: char| matches!(c, '\u{180}'..='\u{36f}') && !matches!(c, 'Ơ' | 'ơ' | 'Ư' | 'ư' | '\u{218}'..='\u{21b}');
    !text.is_ascii() && text.chars().filter(|c| !c.is_ascii()).all(rare)
}

fn has_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| matches!(window, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}
