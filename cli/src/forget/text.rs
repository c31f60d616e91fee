//! Whether a text names an identifier, in any written form: upper or lower case, full-width, as JSON, in a URL, as a character reference,
//! in base64 or compressed in it; a phone number with or without its country code and with any separators.
//!
//! This is for texts that no decoder reads: notes, nested traits, parameters of a landing URL, refused records. It searches for the
//! normalised value, and not at all for short ones (`42`): for these the decoded events show who is named.

use std::borrow::Cow;
use std::io::Read;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;
use percent_encoding::percent_decode_str;
use tributary_proto::Identifier;

/// Shorter values also occur in unrelated texts.
const LENGTH_MIN: usize = 6;
/// Digits of a phone number that are compared: without the country code, which is often left out.
const PHONE_DIGITS: usize = 10;
/// How many nested encodings are decoded.
const DEPTH: usize = 3;
/// Shorter runs of letters cannot be base64 of an identifier.
const BASE64_MIN: usize = 16;
/// Most bytes that are decompressed of a text.
const INFLATED_MAX: u64 = 4 << 20;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Searches texts for identifiers.
pub struct Needles {
    /// Values as written.
    values: AhoCorasick,
    /// By pattern, the position of the identifier.
    of_value: Vec<usize>,
    /// Digits of phone numbers.
    digits: AhoCorasick,
    of_digits: Vec<usize>,
    /// Normalised values of any kind.
    plain: AhoCorasick,
}

impl Needles {
    /// Searches for these.
    ///
    /// # Errors
    /// When there are too many for one search.
    pub fn new<'a>(identifiers: impl IntoIterator<Item = &'a Identifier>) -> Result<Self, aho_corasick::BuildError> {
        let (mut values, mut of_value, mut digits, mut of_digits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut plain = Vec::new();
        for (at, identifier) in identifiers.into_iter().enumerate() {
            if identifier.value.len() >= LENGTH_MIN {
                plain.push(identifier.value.as_str());
            }
            if identifier.kind == "phone" {
                let all: String = identifier.value.chars().filter(char::is_ascii_digit).collect();
                let from = all.len().saturating_sub(PHONE_DIGITS);
                if all.len() >= LENGTH_MIN {
                    digits.push(all.get(from..).unwrap_or_default().to_owned());
                    of_digits.push(at);
                }
            } else if identifier.value.len() >= LENGTH_MIN {
                values.push(identifier.value.to_lowercase());
                of_value.push(at);
            }
        }
        let [values, digits] = [AhoCorasick::new(values)?, AhoCorasick::new(digits)?];
        Ok(Self {
            values,
            of_value,
            digits,
            of_digits,
            plain: AhoCorasick::builder().ascii_case_insensitive(true).build(plain)?,
        })
    }

    /// Calls `hear` with the position of every identifier that occurs in the bytes.
    pub fn find(&self, bytes: &[u8], hear: &mut dyn FnMut(usize)) {
        self.look(bytes, DEPTH, hear);
    }

    /// Whether the bytes of a file contain an identifier in the pipeline's own form.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.plain.is_match(bytes)
    }

    fn look(&self, bytes: &[u8], depth: usize, hear: &mut dyn FnMut(usize)) {
        let raw = String::from_utf8_lossy(bytes);
        let text = plain(&raw);
        for found in self.values.find_overlapping_iter(text.as_bytes()) {
            self.of_value.get(found.pattern().as_usize()).into_iter().for_each(|at| hear(*at));
        }
        if !self.of_digits.is_empty() {
            let digits = digits(&text);
            for found in self.digits.find_overlapping_iter(digits.as_bytes()) {
                let ends = digits.as_bytes().get(found.end()).is_none_or(|next| !next.is_ascii_digit());
                let at = self.of_digits.get(found.pattern().as_usize()).filter(|_| ends);
                at.into_iter().for_each(|at| hear(*at));
            }
        }
        if depth > 0 {
            inner_texts(&raw, &mut |inner| self.look(inner, depth - 1, hear));
        }
    }
}

/// The text in a plain form: escapes decoded, lower case, half-width letters.
fn plain(raw: &str) -> String {
    let mut text = Cow::Borrowed(raw);
    for _ in 0..DEPTH {
        let undone = unescaped(&text);
        let decoded = if undone.contains('%') { percent_decode_str(&undone).decode_utf8_lossy().into_owned() } else { undone };
        if decoded == text {
            break;
        }
        text = Cow::Owned(decoded);
    }
    text.chars().map(half_width).flat_map(char::to_lowercase).collect()
}

fn half_width(of: char) -> char {
    match of {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(of) - 0xfee0).unwrap_or(of),
        '\u{3000}' => ' ',
        _ => of,
    }
}

/// Decodes JSON escapes, and character references by number.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '&']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let (undone, length) = escape(from);
        plain.push(undone);
        rest = from.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The character at the beginning of a text, and the length of its escape.
fn escape(text: &str) -> (char, usize) {
    let number = |digits: &str, radix, length| {
        let found = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)?;
        Some((found, length))
    };
    let found = if let Some(rest) = text.strip_prefix("\\u") {
        rest.get(..4).and_then(|digits| number(digits, 16, 6))
    } else if let Some(rest) = text.strip_prefix("&#x").or(text.strip_prefix("&#X")) {
        rest.split_once(';').and_then(|(digits, _)| number(digits, 16, digits.len() + 4))
    } else if let Some(rest) = text.strip_prefix("&#") {
        rest.split_once(';').and_then(|(digits, _)| number(digits, 10, digits.len() + 3))
    } else {
        text.strip_prefix('\\')
            .and_then(|rest| rest.chars().next())
            .filter(|next| matches!(next, '/' | '"' | '\\'))
            .map(|next| (next, 2))
    };
    found.unwrap_or_else(|| {
        let first = text.chars().next().unwrap_or_default();
        (first, first.len_utf8().max(1))
    })
}

/// The digits of a text; separators that occur inside phone numbers are removed.
fn digits(text: &str) -> String {
    let mut digits = String::new();
    for of in text.chars() {
        match of {
            '0'..='9' => digits.push(of),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' => {}
            _ if digits.ends_with('\n') || digits.is_empty() => {}
            _ => digits.push('\n'),
        }
    }
    digits
}

/// Calls `hear` with the content of base64 runs in a text, decompressed if it is compressed.
fn inner_texts(raw: &str, hear: &mut dyn FnMut(&[u8])) {
    let is_in = |of: char| of.is_ascii_alphanumeric() || matches!(of, '+' | '/' | '-' | '_');
    // JSON may write `/` as `\/`.
    let raw = if raw.contains("\\/") { Cow::Owned(raw.replace("\\/", "/")) } else { Cow::Borrowed(raw) };
    for run in raw.split(|of| !is_in(of)).filter(|run| run.len() >= BASE64_MIN) {
        let decoded = STANDARD.decode(run).or_else(|_| URL_SAFE.decode(run));
        let Ok(bytes) = decoded else { continue };
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut inflated = Vec::new();
            // As much as can be decompressed of damaged data.
            let _ = MultiGzDecoder::new(bytes.as_slice()).take(INFLATED_MAX).read_to_end(&mut inflated);
            hear(&inflated);
        } else if std::str::from_utf8(&bytes).is_ok() {
            hear(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn found(text: &[u8]) -> Vec<usize> {
        let wanted = [
            Identifier::new("email", "", "zhang.wei@b-corp.example"),
            Identifier::new("phone", "", "+8613800001111"),
            Identifier::new("wechat_openid", "gh_acorp", "oZhangWei_77"),
            Identifier::new("user_id", "", "42"),
        ];
        let mut found = Vec::new();
        Needles::new(&wanted).unwrap().find(text, &mut |at| found.push(at));
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn an_identifier_is_found_in_whatever_form_it_was_written() {
        let gzip = |text: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            out.write_all(text).unwrap();
            out.finish().unwrap()
        };
        let email: [&str; 10] = [
            "write to Zhang.Wei@B-Corp.example.",
            r#"{"a":{"b":["zhang.wei\u0040b-corp.example"]}}"#,
            r#"{"body":"{\"mail\":\"zhang.wei\\u0040b-corp.example\"}"}"#,
            "https://a.example/?email=zhang.wei%40b-corp.example",
            "https://a.example/?next=%2Fx%3Femail%3Dzhang.wei%2540b-corp.example",
            "ｚｈａｎｇ.wei＠b-corp.example",
            "zhang.wei&#64;b-corp.example and zhang.wei&#x40;b-corp.example",
            "\u{10}zhang.wei@b-corp.example\u{1}",
            &format!("{{\"b\":\"{}\"}}", base64::engine::general_purpose::STANDARD.encode("to zhang.wei@b-corp.example")),
            &format!("x={}", URL_SAFE.encode(gzip(b"{\"to\":\"zhang.wei@b-corp.example\"}"))),
        ];
        for text in email {
            assert_eq!(found(text.as_bytes()), [0], "{text}");
        }
        for text in [
            "138 0000 1111",
            "+86-138-0000-1111",
            "0086 13800001111",
            "(138) 0000.1111",
            "１３８００００１１１１",
            "tel%3A%2B8613800001111",
        ] {
            assert_eq!(found(text.as_bytes()), [1], "{text}");
        }
        assert_eq!(found(b"<FromUserName><![CDATA[oZhangWei_77]]></FromUserName>"), [2]);
    }

    #[test]
    fn identifiers_of_others_are_not_found() {
        for text in [
            "wei@b-corp.example",
            "138 0000 11112",
            "13800001112",
            "oZhangWei",
            "42",
            "138 0000\n\"1111\"",
            "zhang wei b corp example",
        ] {
            assert_eq!(found(text.as_bytes()), Vec::<usize>::new(), "{text}");
        }
    }

    #[test]
    fn any_bytes_are_searched() {
        for bytes in [&b"\\"[..], b"\\u", b"\\u12", b"&#;", b"&#xfffffff;", b"%", b"%4", b"\xff\xfe%", b"&", b"\\\xf0\x9f"] {
            assert_eq!(found(bytes), Vec::<usize>::new());
        }
    }
}
