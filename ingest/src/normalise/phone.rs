//! Phone numbers in E.164, by the rules of libphonenumber. A number is an identifier only if the library calls it *valid* for its region:
//! masked, shortened and local numbers belong to many people.

mod whole;

use std::borrow::Cow;

use phonenumber::Type;
use phonenumber::metadata::DATABASE;

use crate::normalise::text::narrow;
use whole::is_whole;

/// Longest number in digits (E.164, section 6).
const DIGITS_MAX: usize = 15;
/// Longest text that is considered, bytes.
const TEXT_BYTES_MAX: usize = 64;
/// An area code has at most this many digits, an extension one more.
const AREA_DIGITS_MAX: usize = 5;
/// Characters between the numbers in one cell.
const BETWEEN: [char; 7] = [';', ',', '、', '|', '\n', '/', '或'];
/// Words before a number, lower case.
const LABELS: [&str; 20] = [
    "tel",
    "telephone",
    "phone",
    "mobile",
    "mob",
    "cell",
    "whatsapp",
    "t",
    "m",
    "手机",
    "手机号",
    "手机号码",
    "手機",
    "电话",
    "電話",
    "电话号码",
    "联系电话",
    "联系方式",
    "移动电话",
    "座机",
];
/// Words before an extension, lower case.
const EXTENSION_MARKS: [&str; 7] = ["ext", "转", "轉", "分机", "分機", "x", "#"];

/// The region whose national numbers come without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(phonenumber::country::Id);

/// Why a text is not a person's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoNumber {
    /// It is not a valid number.
    Invalid,
    /// It has an extension: the number before it is that of a switchboard, shared by many people.
    Extension,
    /// It is a service number: toll-free, shared cost, premium.
    Service,
}

impl Region {
    /// From an ISO 3166-1 alpha-2 code in upper case; `None` if it is not one.
    pub fn parse(code: &str) -> Option<Self> {
        code.parse().ok().map(Self)
    }

    /// The number as `+` and digits.
    ///
    /// # Errors
    /// When it is not a valid number of a person.
    pub fn e164(self, raw: &str) -> Result<String, NoNumber> {
        let narrowed = narrow(raw);
        let text = bare(&narrowed);
        let whole = exact_integer(text);
        let text = whole.as_deref().unwrap_or(text);
        if !text.chars().all(|c| c.is_ascii_digit() || c == '+' || is_separator(c)) {
            let lower = text.to_lowercase();
            let extended = EXTENSION_MARKS.iter().any(|mark| lower.contains(mark));
            return Err(if extended { NoNumber::Extension } else { NoNumber::Invalid });
        }
        // The library is strict about separators; people are not.
        let compact: String = text.chars().filter(|c| !is_separator(*c)).collect();
        if let Some(number) = self.chinese_mobile(&compact) {
            return Ok(number);
        }
        let number = self.by_library(&compact)?;
        // 0898-1234567-8: with its extension, a seven-digit number looks like an eight-digit one.
        let head = text.rsplit_once(['-', ' ']).filter(|(_, tail)| tail.len() <= AREA_DIGITS_MAX).map(|(head, _)| head);
        match head {
            Some(head) if number.starts_with("+86") && self.by_library(&head.replace(is_separator, "")).is_ok() => {
                Err(NoNumber::Extension)
            }
            _ => Ok(number),
        }
    }

    /// The numbers in a text: people write several into one cell.
    pub fn parts(self, text: &str) -> Vec<Cow<'_, str>> {
        if text.len() < 16 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+') {
            return vec![Cow::Borrowed(text)];
        }
        let narrowed = narrow(text).replace(";ext=", " ext ");
        let digits = |part: &str| part.bytes().filter(u8::is_ascii_digit).count();
        let split = |between: &dyn Fn(char) -> bool| -> Vec<Cow<'_, str>> {
            let parts = narrowed.split(between).map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| Cow::Owned(part.to_owned())).collect()
        };
        let parts = split(&|c| BETWEEN.contains(&c));
        // In 030/1234567 the first part is an area code. A few digits after a number are an extension or another ending: then the text as a
        // whole is no person's number.
        let short = |part: &Cow<'_, str>| (1..=AREA_DIGITS_MAX + 1).contains(&digits(part));
        if parts.len() > 1 && !parts.iter().any(short) {
            return parts;
        }
        let words = split(&char::is_whitespace);
        if words.len() > 1 && self.e164(&narrowed).is_err() && words.iter().all(|word| self.e164(word).is_ok()) {
            return words;
        }
        vec![Cow::Owned(narrowed)]
    }

    /// Whether an id can only be a phone number: with a country code, or a Chinese mobile number. Other rows of digits may be any number.
    pub fn is_surely_a_number(self, id: &str) -> bool {
        let digits = id.strip_prefix('+').unwrap_or(id);
        let mobile = self.0 == phonenumber::country::CN && id.len() == 11 && id.starts_with('1');
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() < id.len() || mobile) && self.e164(id).is_ok()
    }

    /// A fast path with the same result as [`Self::by_library`] for Chinese mobile numbers, which are most numbers of a Chinese sender; a
    /// test compares the two.
    fn chinese_mobile(self, text: &str) -> Option<String> {
        let national = match text.strip_prefix("+86") {
            Some(rest) => rest,
            None if self.0 == phonenumber::country::CN => text,
            None => return None,
        };
        let bytes = national.as_bytes();
        let mobile = matches!(bytes, [b'1', b'3' | b'8', ..] | [b'1', b'5', b'0'..=b'3' | b'5'..=b'9', ..]);
        (mobile && bytes.len() == 11 && bytes.iter().all(u8::is_ascii_digit)).then(|| format!("+86{national}"))
    }

    /// Reads `+` and digits.
    fn by_library(self, text: &str) -> Result<String, NoNumber> {
        let plain = text.strip_prefix('+').unwrap_or(text);
        if plain.len() < 5 || plain.len() > TEXT_BYTES_MAX || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoNumber::Invalid);
        }
        // With a region, the library strips that region's prefix from numbers of all countries.
        let international = text.strip_prefix("00").map(|rest| format!("+{rest}"));
        let abroad = international.as_deref().or(text.starts_with('+').then_some(text));
        let abroad = abroad.and_then(|text| phonenumber::parse(None, text).ok()).filter(phonenumber::PhoneNumber::is_valid);
        let number = match abroad {
            Some(number) => number,
            None if text.starts_with('+') => return Err(NoNumber::Invalid),
            None => phonenumber::parse(Some(self.0), text).map_err(|_| NoNumber::Invalid)?,
        };
        let out = format!("+{}{}", number.code().value(), number.national());
        if !number.is_valid() || number.extension().is_some() || out.len() > DIGITS_MAX + 1 {
            return Err(NoNumber::Invalid);
        }
        match number.number_type(&DATABASE) {
            Type::TollFree | Type::SharedCost | Type::PremiumRate | Type::Uan | Type::Voicemail => Err(NoNumber::Service),
            // The number is of no type. For numbers that begin with zeros (Italian ones) the library cannot tell, because it loses them.
            Type::Unknown if number.national().zeros() == 0 => Err(NoNumber::Invalid),
            _ if !is_whole(&number) => Err(NoNumber::Invalid),
            _ => Ok(out),
        }
    }
}

/// The text without a label before it, a note after it, and the `.0` of a spreadsheet.
fn bare(text: &str) -> &str {
    // A spreadsheet's mark of a text, and punctuation at the end of a list.
    let mut text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ',' | ';' | '、' | '。'));
    // Tel. 138..., 手机138...
    let end = text.find(|c: char| c.is_ascii_digit() || matches!(c, '+' | '(')).unwrap_or(0);
    if let Some((front, rest)) = text.split_at_checked(end)
        && LABELS.contains(&front.trim_end_matches([':', '.', ' ']).to_lowercase().as_str())
    {
        text = rest;
    }
    // 13800001111 (Li)
    if let Some((front, note)) = text.split_once('(')
        && note.ends_with(')')
        && !front.trim().is_empty()
        && !note.bytes().any(|byte| byte.is_ascii_digit())
    {
        text = front.trim();
    }
    text.strip_suffix(".0").filter(|whole| whole.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(text)
}

/// The digits of a number in scientific notation that has kept all of them: `1.3800001111E10`. With fewer decimals it may have been
/// rounded.
fn exact_integer(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['E', 'e'])?;
    let (whole, decimals) = mantissa.split_once('.')?;
    let exponent: usize = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(decimals) && decimals.len() == exponent).then(|| format!("{whole}{decimals}"))
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}')
}

#[cfg(test)]
mod tests;
