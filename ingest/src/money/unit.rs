//! Currency and unit in a cell: `RMB`, `CNY（元）`, and with a unit `人民币（万元）`, `USD k`. A cell with an unknown unit names no currency: the
//! amount is left out with it.

use std::borrow::Cow;

use iso_currency::Currency;

use super::words::{may_multiply, sign_fits, without_currency, without_hint, without_multiple};
use crate::normalise::text::narrow;

/// A currency, and the power of ten by which its amounts are multiplied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unit<'a> {
    /// The ISO 4217 code; if it is unknown, the text itself.
    pub(crate) code: Cow<'a, str>,
    pub(crate) power: usize,
}

/// The currency and the unit in a text.
pub(crate) fn unit(text: &str) -> Unit<'_> {
    let narrowed = narrow(text).replace('￥', "¥").to_uppercase();
    let whole = narrowed.trim();
    if let Some(number) = whole.parse().ok().and_then(Currency::from_numeric) {
        return Unit { code: Cow::Borrowed(number.code()), power: 0 };
    }
    match words(whole) {
        Words::All { code, power } => Unit { code: code.into(), power },
        Words::Some if !may_multiply(whole) => Unit { code: head(whole).map_or(Cow::Borrowed(text), Cow::Owned), power: 0 },
        Words::Some | Words::Contradictory => Unit { code: Cow::Borrowed(text), power: 0 },
    }
}

/// How a text was understood.
enum Words {
    All {
        code: String,
        power: usize,
    },
    Some,
    /// It names two currencies.
    Contradictory,
}

/// The currency and the unit in a text, if all of it is understood.
pub(super) fn understood(text: &str) -> Option<Unit<'static>> {
    match words(text.to_uppercase().trim()) {
        Words::All { code, power } => Some(Unit { code: code.into(), power }),
        Words::Some | Words::Contradictory => None,
    }
}

/// Whether a text, in upper case, consists of currencies and units only; `with` says whether unclear units count.
pub(super) fn is_of_units(text: &str, with: bool) -> bool {
    let mut rest = text.trim_matches(BETWEEN);
    let mut any = false;
    while !rest.is_empty() {
        let unit = code_word(rest).map(|(_, bare)| bare);
        let unit = unit.or_else(|| without_currency(rest).map(|(bare, ..)| bare));
        let unit = unit.or_else(|| without_multiple(rest).or_else(|| leading(rest)).map(|(bare, _)| bare));
        let unit = unit.or_else(|| without_hint(rest).filter(|_| with));
        any |= unit.is_some();
        let Some(bare) = unit.or_else(|| without_filler(rest)) else { return false };
        rest = bare.trim_matches(BETWEEN);
    }
    any
}

/// Characters between words.
const BETWEEN: [char; 14] = ['(', ')', '[', ']', '{', '}', '/', '-', ',', ':', '.', '|', '_', ' '];

fn words(whole: &str) -> Words {
    let (mut rest, mut power, mut codes, mut signs) = (whole, 0, Vec::new(), Vec::new());
    loop {
        rest = rest.trim_matches(BETWEEN);
        if rest.is_empty() {
            break;
        }
        if let Some((code, bare)) = code_word(rest) {
            codes.push(code);
            rest = bare;
        } else if let Some((bare, word, code)) = without_currency(rest) {
            if code.is_empty() || matches!(word, "元" | "块") {
                signs.push((word, code))
            } else {
                codes.push(code)
            }
            rest = bare;
        } else if let Some((bare, of)) = without_multiple(rest).or_else(|| leading(rest)) {
            (rest, power) = (bare, power + of);
        } else if let Some(bare) = without_filler(rest) {
            rest = bare;
        } else {
            return Words::Some;
        }
    }
    // 元 is used for any currency: 美元（万元）.
    let weak = || signs.first().map(|(word, code)| if *word == "¥" { "CNY" } else { *code });
    let Some(code) = codes.first().copied().or_else(weak).filter(|code| !code.is_empty()) else { return Words::Some };
    let agree = codes.iter().all(|other| *other == code)
        && signs.iter().all(|(word, _)| matches!(*word, "元" | "块") || sign_fits(word, code));
    if agree { Words::All { code: code.to_owned(), power } } else { Words::Contradictory }
}

/// A multiplier before its currency: `万人民币`, `kUSD`.
fn leading(text: &str) -> Option<(&str, usize)> {
    let end = text.char_indices().find(|(_, c)| !c.is_ascii_alphabetic()).map_or(text.len(), |(at, _)| at);
    let end = if end == 0 { text.chars().next().map_or(0, char::len_utf8) } else { end };
    let (first, rest) = text.split_at_checked(end)?;
    without_multiple(first).filter(|(left, _)| left.is_empty()).map(|(_, power)| (rest, power))
}

/// A three-letter code at the beginning or the end that is a separate word, or has only a multiplier beside it: `KUSD`.
fn code_word(text: &str) -> Option<(&str, &str)> {
    let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_uppercase()) && Currency::from_code(code).is_some();
    let is_apart = |letters: &str| letters.is_empty() || without_multiple(letters).is_some_and(|(left, _)| left.is_empty());
    let letter = |c: char| c.is_ascii_alphabetic();
    let front = text.split_at_checked(3).filter(|(code, rest)| {
        let end = rest.find(|c| !letter(c)).unwrap_or(rest.len());
        is_code(code) && rest.get(..end).is_some_and(is_apart)
    });
    let back = text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)).filter(|(rest, code)| {
        let letters = rest.len() - rest.trim_end_matches(letter).len();
        is_code(code) && rest.get(rest.len() - letters..).is_some_and(is_apart)
    });
    front.or_else(|| back.map(|(rest, code)| (code, rest)))
}

/// The text without a word that has no meaning.
fn without_filler(text: &str) -> Option<&str> {
    ["单位", "單位", "UNIT", "IN", "OF"].iter().find_map(|filler| {
        let rest = text.strip_prefix(filler)?;
        (!rest.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(rest)
    })
}

/// The currency before an explanation: `SEK - Swedish Krona`.
fn head(whole: &str) -> Option<String> {
    let bare = whole.split(['(', '-']).next().unwrap_or(whole).trim();
    if bare.len() == 3 && bare.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(bare.to_owned());
    }
    without_currency(bare).filter(|(rest, _, code)| rest.is_empty() && !code.is_empty()).map(|(_, _, code)| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_as_people_write_them() {
        for (text, code) in [
            ("RMB", "CNY"),
            ("人民币", "CNY"),
            ("￥", "CNY"),
            ("¥", "CNY"),
            ("元", "CNY"),
            ("CNY（元）", "CNY"),
            ("usd", "USD"),
            ("美元", "USD"),
            ("€", "EUR"),
            ("新台币", "TWD"),
            ("USD - U.S. Dollar", "USD"),
            ("SEK - Swedish Krona", "SEK"),
            ("HKD（元）", "HKD"),
            ("JPY (¥)", "JPY"),
            ("CAD ($)", "CAD"),
            ("KRW", "KRW"),
            ("MMK", "MMK"),
            ("US Dollars", "USD"),
            ("Euro", "EUR"),
            ("156", "CNY"),
            ("$", "$"),
            ("dollars", "dollars"),
            ("CNY (USD)", "CNY (USD)"),
            ("USD (¥)", "USD (¥)"),
            ("", ""),
        ] {
            assert_eq!(unit(text), Unit { code: code.into(), power: 0 }, "{text}");
        }
    }

    #[test]
    fn units_multiply_or_are_no_currency() {
        for (text, code, power) in [
            ("人民币（万元）", "CNY", 4),
            ("人民币万元", "CNY", 4),
            ("万元人民币", "CNY", 4),
            ("CNY（万元）", "CNY", 4),
            ("单位：万元", "CNY", 4),
            ("USD（万）", "USD", 4),
            ("万美元", "USD", 4),
            ("美元（万元）", "USD", 4),
            ("万", "万", 0),
            ("千元", "CNY", 3),
            ("人民币（仟元）", "CNY", 3),
            ("百万元", "CNY", 6),
            ("百万美元", "USD", 6),
            ("人民币（亿元）", "CNY", 8),
            ("USD k", "USD", 3),
            ("kUSD", "USD", 3),
            ("k€", "EUR", 3),
            ("USD (K)", "USD", 3),
            ("USD '000", "USD", 3),
            ("US$ thousands", "USD", 3),
            ("in thousands of USD", "USD", 3),
            ("USD (millions)", "USD", 6),
            ("EUR mio", "EUR", 6),
            ("Million USD", "USD", 6),
            ("USD bn", "USD", 9),
            // Ambiguous.
            ("USD (M)", "USD (M)", 0),
            ("USD m", "USD m", 0),
            ("USD (1,000)", "USD (1,000)", 0),
            ("INR lakh", "INR lakh", 0),
            ("每万元", "每万元", 0),
            ("USD per 1k", "USD per 1k", 0),
        ] {
            assert_eq!(unit(text), Unit { code: code.into(), power }, "{text}");
        }
    }
}
