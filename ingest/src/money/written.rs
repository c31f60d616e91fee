//! Amounts and currencies as people write them: `¥1,234.50`, `30.5万元`, `(500)`, `RMB`. What can mean two things (`1234,5`) is left as it is.

use std::borrow::Cow;

use crate::normalise::text::narrow;

/// What stands for a currency, upper case, the longest first. `¥` and `$` alone are several countries'.
const CURRENCIES: [(&str, &str); 20] = [
    ("人民币元", "CNY"),
    ("人民币", "CNY"),
    ("美元", "USD"),
    ("美金", "USD"),
    ("港币", "HKD"),
    ("港元", "HKD"),
    ("日元", "JPY"),
    ("欧元", "EUR"),
    ("英镑", "GBP"),
    ("RMB", "CNY"),
    ("US$", "USD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("CN¥", "CNY"),
    ("元", "CNY"),
    ("块", "CNY"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("¥", ""),
    ("$", ""),
];
/// Multipliers, as powers of ten.
const MULTIPLES: [(&str, usize); 4] = [("万", 4), ("萬", 4), ("亿", 8), ("億", 8)];

/// The ISO 4217 code that a text stands for; the text itself where it stands for none that is known.
pub(crate) fn currency(text: &str) -> Cow<'_, str> {
    let narrowed = narrow(text).replace('￥', "¥").to_uppercase();
    // CNY (元)
    let bare = narrowed.split('(').next().unwrap_or(&narrowed).trim();
    match CURRENCIES.iter().find(|(word, _)| *word == bare) {
        // Of a Chinese sender.
        Some(("¥", _)) => Cow::Borrowed("CNY"),
        Some((_, code)) if !code.is_empty() => Cow::Borrowed(*code),
        _ if bare.len() == 3 && bare.bytes().all(|byte| byte.is_ascii_uppercase()) => Cow::Owned(bare.to_owned()),
        _ => Cow::Borrowed(text),
    }
}

/// The plain decimal number that a text stands for, and the currency that it names; `None` where that is not clear.
pub(crate) fn amount(text: &str) -> Option<(String, Option<String>)> {
    let narrowed = narrow(text).replace('￥', "¥").to_uppercase();
    let mut rest = narrowed.trim();
    let mut negative = false;
    if let Some(inside) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        (rest, negative) = (inside.trim(), true);
    }
    let mut named = None;
    let mut power = 0;
    loop {
        let before = rest;
        for (word, code) in CURRENCIES {
            let bare = rest.strip_prefix(word).or_else(|| rest.strip_suffix(word));
            if let Some(bare) = bare.map(str::trim) {
                rest = bare;
                named = named.or((!code.is_empty()).then(|| code.to_owned()));
            }
        }
        for (word, of) in MULTIPLES {
            if let Some(bare) = rest.strip_suffix(word) {
                (rest, power) = (bare.trim(), power + of);
            }
        }
        if let Some((code, bare)) = code(rest) {
            rest = bare;
            named = named.or(Some(code.to_owned()));
        }
        if let Some(bare) = rest.strip_prefix('-') {
            (rest, negative) = (bare.trim(), !negative);
        }
        if rest == before {
            break;
        }
    }
    let plain = shifted(&ungrouped(rest)?, power);
    Some((if negative { format!("-{plain}") } else { plain }, named))
}

/// A code of three letters before or behind an amount.
fn code(text: &str) -> Option<(&str, &str)> {
    let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_uppercase());
    let front = text.split_at_checked(3).filter(|(code, _)| is_code(code));
    let back = text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)).map(|(rest, code)| (code, rest));
    let (code, rest) = front.or(back.filter(|(code, _)| is_code(code)))?;
    let rest = rest.trim();
    rest.bytes().any(|byte| byte.is_ascii_digit()).then_some((code, rest))
}

/// The number without what stands between thousands.
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
fn shifted(plain: &str, power: usize) -> String {
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

    #[test]
    fn amounts_as_people_write_them() {
        for (text, plain, code) in [
            ("1,234.50", "1234.50", None),
            ("¥300000", "300000", None),
            ("￥300,000", "300000", None),
            ("30万", "300000", None),
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
        ] {
            assert_eq!(amount(text), Some((plain.to_owned(), code.map(str::to_owned))), "{text}");
        }
        for text in ["1234,5", "1,23", "TBD", "", "-", "1,2345.00", "12 34", "3E+05", "1.2.3", "约30万", "10-20万", "USD"] {
            assert_eq!(amount(text), None, "{text}");
        }
    }

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
            ("$", "$"),
            ("dollars", "dollars"),
        ] {
            assert_eq!(currency(text), code, "{text}");
        }
    }
}
