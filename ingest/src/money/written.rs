//! Amounts as people write them: `¥1,234.50`, `30.5万元`, `(500)`, `$3k`. Ambiguous ones (`1234,5`) are left unread, or reported.

use std::borrow::Cow;

use super::words::{without_code, without_currency, without_multiple};
use crate::normalise::text::narrow;

/// An amount as understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// The plain decimal number.
    pub(crate) plain: String,
    /// The currency that it names.
    pub(crate) code: Option<String>,
    /// A sign of several currencies in it: `¥`, `$`.
    pub(super) sign: Option<&'static str>,
    /// Whether it has a multiplier of its own: `30万`.
    pub(super) multiplied: bool,
    /// Whether its point may separate thousands: `1.500`.
    pub(super) ambiguous: bool,
}

/// The amount in a text; `None` if it is unclear, for example because it names two currencies.
pub(crate) fn amount(text: &str) -> Option<Amount> {
    let narrowed = narrow(text).replace('￥', "¥").to_uppercase();
    let narrowed: String = narrowed.chars().map(plain_mark).collect();
    let mut rest = narrowed.trim();
    let mut negative = false;
    if let Some(inside) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        (rest, negative) = (inside.trim(), true);
    }
    let (mut found, mut power, mut in_chinese) = (Amount::default(), 0, false);
    loop {
        if let Some((bare, word, code)) = without_currency(rest) {
            found.name(word, code)?;
            rest = bare;
        } else if let Some((code, bare)) = code(rest, true) {
            found.name("", code)?;
            rest = bare;
        } else if let Some((bare, of)) = without_multiple(rest) {
            in_chinese |= !rest.is_ascii();
            (rest, power) = (bare, power + of);
        } else if let Some((code, bare)) = code(rest, false) {
            found.name("", code)?;
            rest = bare;
        } else if let Some(bare) = rest.strip_prefix('-').or_else(|| behind(rest).filter(|_| !negative)) {
            (rest, negative) = (bare.trim(), !negative);
        } else {
            break;
        }
    }
    let plain = shifted(&ungrouped(rest)?, power);
    found.plain = if negative { format!("-{plain}") } else { plain };
    (found.multiplied, found.ambiguous) = (power > 0, !in_chinese && is_three_and_three(rest));
    Some(found)
}

/// The amount before a trailing minus, as ERP systems write it: `1.234,50-`.
fn behind(text: &str) -> Option<&str> {
    text.strip_suffix('-').filter(|front| front.ends_with(|c: char| c.is_ascii_digit()))
}

impl Amount {
    /// Stores a currency or a sign; `None` if there is a different one already.
    fn name(&mut self, word: &str, code: &str) -> Option<()> {
        match (word, code) {
            ("¥", _) if self.sign != Some("$") => self.sign = Some("¥"),
            ("$", _) if self.sign != Some("¥") => self.sign = Some("$"),
            (_, "") => return None,
            (_, code) if self.code.as_deref().is_none_or(|known| known == code) => self.code = Some(code.to_owned()),
            _ => return None,
        }
        Some(())
    }
}

/// Whether a number is one to three digits (not 0), a point and three digits.
fn is_three_and_three(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(whole, decimals)| {
        (1..=3).contains(&whole.len()) && decimals.len() == 3 && !whole.starts_with('0') && digits(whole) && digits(decimals)
    })
}

/// A number written by a program, in a form that cannot be taken for thousands: `1.125` becomes `1.1250`.
pub(crate) fn exact(number: &str) -> Cow<'_, str> {
    let is_risky = is_three_and_three(number.strip_prefix('-').unwrap_or(number));
    if is_risky { Cow::Owned(format!("{number}0")) } else { Cow::Borrowed(number) }
}

/// A character in its ASCII form.
fn plain_mark(c: char) -> char {
    match c {
        '\u{2019}' => '\'',
        '\u{a0}' | '\u{2009}' | '\u{202f}' => ' ',
        '\u{2212}' | '\u{2013}' => '-',
        other => other,
    }
}

/// A three-letter code at the beginning or the end of a number.
fn code(text: &str, real: bool) -> Option<(&str, &str)> {
    without_code(text, real).filter(|(_, rest)| rest.bytes().any(|byte| byte.is_ascii_digit()))
}

/// The number without separators of thousands.
fn ungrouped(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |whole: &str, between: char| {
        let groups: Vec<&str> = whole.split(between).collect();
        let first = groups.first().is_some_and(|first| (1..=3).contains(&first.len()));
        let all = groups.iter().all(|group| digits(group)) && groups.iter().skip(1).all(|group| group.len() == 3);
        (groups.len() > 1 && first && all).then(|| groups.concat())
    };
    let (whole, decimals, marked) = match (text.rfind('.'), text.rfind(',')) {
        // 1.234,50
        (Some(point), Some(comma)) if comma > point => {
            let (whole, decimals) = (text.get(..comma)?, text.get(comma + 1..)?);
            (grouped(whole, '.')?, decimals, true)
        }
        // 1.234.567
        (Some(_), None) if text.matches('.').count() > 1 => (grouped(text, '.')?, "", false),
        // 1 234,50
        (None, Some(comma)) if text.get(..comma)?.contains([' ', '\'']) && text.len() - comma != 4 => {
            (plain_or_grouped(text.get(..comma)?, &grouped)?, text.get(comma + 1..)?, true)
        }
        (Some(point), _) => {
            let (whole, decimals) = (text.get(..point)?, text.get(point + 1..)?);
            (plain_or_grouped(whole, &grouped)?, decimals, true)
        }
        _ => (plain_or_grouped(text, &grouped)?, "", false),
    };
    if !digits(decimals) || (whole.is_empty() && decimals.is_empty()) {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { &whole };
    Some(if marked && !decimals.is_empty() { format!("{whole}.{decimals}") } else { whole.to_owned() })
}

fn plain_or_grouped(whole: &str, grouped: &dyn Fn(&str, char) -> Option<String>) -> Option<String> {
    if whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(whole.to_owned());
    }
    [',', ' ', '\''].into_iter().find_map(|between| grouped(whole, between))
}

/// A decimal number times a power of ten.
pub(super) fn shifted(plain: &str, power: usize) -> String {
    let (whole, decimals) = plain.split_once('.').unwrap_or((plain, ""));
    if power == 0 {
        return plain.to_owned();
    }
    let moved: String = decimals.chars().chain(std::iter::repeat('0')).take(power).collect();
    let rest: String = decimals.chars().skip(power).collect();
    if rest.is_empty() { format!("{whole}{moved}") } else { format!("{whole}{moved}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMOUNTS: &[(&str, &str, Option<&str>)] = &[
        ("1,234.50", "1234.50", None),
        ("¥300000", "300000", None),
        ("￥300,000", "300000", None),
        ("30万", "300000", None),
        ("30w", "300000", None),
        ("500-", "-500", None),
        ("1.234,50- EUR", "-1234.50", Some("EUR")),
        ("30.5万元", "305000", Some("CNY")),
        ("1.23456万", "12345.6", None),
        ("1.2亿", "120000000", None),
        ("300000元", "300000", Some("CNY")),
        ("(500)", "-500", None),
        ("-500", "-500", None),
        ("1.234,50", "1234.50", None),
        ("300000.", "300000", None),
        (".5", "0.5", None),
        ("1 234.50", "1234.50", None),
        ("US$1000", "1000", Some("USD")),
        ("1000 USD", "1000", Some("USD")),
        ("USD 1,000", "1000", Some("USD")),
        ("RMB 20", "20", Some("CNY")),
        ("300，000", "300000", None),
        ("３０００００", "300000", None),
        ("12.50", "12.50", None),
        ("1’234.50", "1234.50", None),
        ("1\u{202f}234,50", "1234.50", None),
        ("1.234.567", "1234567", None),
        ("−500", "-500", None),
        ("S$1000", "1000", Some("SGD")),
        ("R$ 1.000,50", "1000.50", Some("BRL")),
        ("1000円", "1000", Some("JPY")),
        ("30k", "30000", None),
        ("$1.5 million", "1500000", None),
        ("EUR 3 mio", "3000000", Some("EUR")),
        ("300 MMK", "300", Some("MMK")),
        ("300 SEK", "300", Some("SEK")),
        ("C$5", "5", Some("CAD")),
        ("3百万元", "3000000", Some("CNY")),
        ("¥5 CNY", "5", Some("CNY")),
        ("US$1000", "1000", Some("USD")),
    ];

    #[test]
    fn amounts_as_people_write_them() {
        for (text, plain, code) in AMOUNTS.iter().copied() {
            let found = amount(text).unwrap();
            assert_eq!((found.plain.as_str(), found.code.as_deref()), (plain, code), "{text}");
        }
    }

    #[test]
    fn what_is_not_clear_is_no_amount() {
        for text in [
            "1234,5",
            "1,23",
            "TBD",
            "",
            "-",
            "1,2345.00",
            "12 34",
            "1 234,500",
            "1.23.456",
            "3E+05",
            "1.2.3",
            "约30万",
            "-5-",
            "10-20万",
            "USD",
            "3M",
            "€5 USD",
            "¥$5",
        ] {
            assert_eq!(amount(text), None, "{text}");
        }
    }

    #[test]
    fn a_point_before_three_digits_may_be_one_between_thousands() {
        for (text, ambiguous) in [
            ("1.500", true),
            ("-12.500 €", true),
            ("1.500k", true),
            ("123.456", true),
            ("0.500", false),
            ("1.50", false),
            ("1234.567", false),
            ("1.500万", false),
            ("1.500.000", false),
            ("1,500", false),
        ] {
            assert_eq!(amount(text).unwrap().ambiguous, ambiguous, "{text}");
            let number = exact(text);
            assert!(amount(&number).is_none_or(|found| text.contains([' ', 'k']) || !found.ambiguous), "{number}");
        }
    }
}
