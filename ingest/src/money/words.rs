//! Words and signs of currencies and of units (`万元`, `US$ k`), and the currencies that a sign may stand for.

use iso_currency::Currency;

/// Names of currencies, upper case; if one begins or ends with another, it comes first. Entries without a code are signs of several
/// currencies: see [`sign_fits`].
pub(super) const CURRENCIES: [(&str, &str); 57] = [
    ("CHINESE YUAN", "CNY"),
    ("U.S. DOLLARS", "USD"),
    ("U.S. DOLLAR", "USD"),
    ("US DOLLARS", "USD"),
    ("US DOLLAR", "USD"),
    ("人民币元", "CNY"),
    ("新加坡元", "SGD"),
    ("瑞士法郎", "CHF"),
    ("印度卢比", "INR"),
    ("人民币", "CNY"),
    ("新台币", "TWD"),
    ("新臺幣", "TWD"),
    ("林吉特", "MYR"),
    ("EUROS", "EUR"),
    ("EURO", "EUR"),
    ("台币", "TWD"),
    ("臺幣", "TWD"),
    ("新币", "SGD"),
    ("美元", "USD"),
    ("美金", "USD"),
    ("港币", "HKD"),
    ("港元", "HKD"),
    ("日元", "JPY"),
    ("日圆", "JPY"),
    ("欧元", "EUR"),
    ("英镑", "GBP"),
    ("韩元", "KRW"),
    ("韩币", "KRW"),
    ("澳元", "AUD"),
    ("澳币", "AUD"),
    ("加元", "CAD"),
    ("卢布", "RUB"),
    ("泰铢", "THB"),
    ("RMB", "CNY"),
    ("CNH", "CNY"),
    ("NTD", "TWD"),
    ("US$", "USD"),
    ("CA$", "CAD"),
    ("AU$", "AUD"),
    ("NZ$", "NZD"),
    ("MX$", "MXN"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("CN¥", "CNY"),
    ("R$", "BRL"),
    ("S$", "SGD"),
    ("A$", "AUD"),
    ("C$", "CAD"),
    ("円", "JPY"),
    ("元", "CNY"),
    ("块", "CNY"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₩", "KRW"),
    ("₹", "INR"),
    ("¥", ""),
    ("$", ""),
];
/// Multipliers, as powers of ten, upper case; if one ends with another, it comes first. `M` alone is missing: to some it is a thousand, to
/// others a million.
const MULTIPLES: [(&str, usize); 32] = [
    ("THOUSANDS", 3),
    ("THOUSAND", 3),
    ("MILLIONS", 6),
    ("MILLION", 6),
    ("BILLIONS", 9),
    ("BILLION", 9),
    ("'000S", 3),
    ("'000", 3),
    ("000S", 3),
    ("MIO", 6),
    ("MLN", 6),
    ("MN", 6),
    ("MM", 6),
    ("BN", 9),
    ("K", 3),
    // 30w means 30万.
    ("W", 4),
    ("十", 1),
    ("拾", 1),
    ("百", 2),
    ("佰", 2),
    ("千", 3),
    ("仟", 3),
    ("万", 4),
    ("萬", 4),
    ("亿", 8),
    ("億", 8),
    ("TAUSEND", 3),
    ("MILLIONEN", 6),
    ("MILLONES", 6),
    ("만", 4),
    ("억", 8),
    ("천", 3),
];
/// Possible multipliers: unknown or ambiguous ones.
const HINTS: [&str; 17] = [
    "M", "B", "T", "TSD", "TEUR", "MRD", "MIA", "HUNDRED", "HUNDREDS", "TRILLION", "LAKH", "LAKHS", "LAC", "CRORE", "CRORES",
    "CR", "PER",
];
/// Currencies with the sign `$`: dollars and pesos.
const DOLLARS: [&str; 41] = [
    "USD", "CAD", "AUD", "HKD", "SGD", "TWD", "NZD", "MXN", "ARS", "CLP", "COP", "UYU", "DOP", "CUP", "BSD", "BBD", "BMD",
    "BZD", "BND", "FJD", "GYD", "JMD", "KYD", "LRD", "NAD", "SBD", "SRD", "TTD", "XCD", "NIO", "MOP", "TOP", "WST", "USN",
    "CLF", "COU", "MXV", "UYI", "ZWL", "SVC", "TVD",
];

/// Whether a sign can be that of a currency: `¥` of yuan and yen, `$` of all dollars and pesos.
pub(super) fn sign_fits(sign: &str, code: &str) -> bool {
    match sign {
        "¥" => matches!(code, "CNY" | "JPY"),
        "$" => DOLLARS.contains(&code),
        _ => false,
    }
}

/// The text without the name of a currency at its beginning or end, and that name with its code; the code is empty for a sign of several
/// currencies.
pub(super) fn without_currency(text: &str) -> Option<(&str, &'static str, &'static str)> {
    CURRENCIES.iter().find_map(|(word, code)| {
        let rest = text.strip_prefix(word).or_else(|| text.strip_suffix(word))?;
        Some((rest.trim(), *word, *code))
    })
}

/// The text without a multiplier at its end, and the multiplier's power of ten.
pub(super) fn without_multiple(text: &str) -> Option<(&str, usize)> {
    MULTIPLES.iter().find_map(|(word, power)| {
        let rest = text.strip_suffix(word)?;
        // The word must not be the end of a longer word.
        let whole = !word.is_ascii() || !rest.ends_with(|c: char| c.is_ascii_alphabetic());
        whole.then_some((rest.trim(), *power))
    })
}

/// The text without a three-letter code at its beginning or end; with `real`, only existing codes count.
pub(super) fn without_code(text: &str, real: bool) -> Option<(&str, &str)> {
    let is_code = |code: &str| {
        code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) && (!real || Currency::from_code(code).is_some())
    };
    let front = text.split_at_checked(3).filter(|(code, _)| is_code(code));
    let back = text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)).map(|(rest, code)| (code, rest));
    let (code, rest) = front.or(back.filter(|(code, _)| is_code(code)))?;
    Some((code, rest.trim()))
}

/// The text without a possible multiplier at its end: a word, or a number like `1,000`.
pub(super) fn without_hint(text: &str) -> Option<&str> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_digit() || c == ',');
    let digits: String = text.get(number.len()..).unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    let zeros = digits.strip_prefix('1').unwrap_or(&digits);
    if zeros.len() >= 3 && zeros.bytes().all(|byte| byte == b'0') {
        return Some(number);
    }
    let front = text.trim_end_matches(char::is_alphanumeric);
    HINTS.contains(&text.get(front.len()..)?).then_some(front)
}

/// Whether a text contains any possible multiplier: a power of ten, a number, or a word.
pub(super) fn may_multiply(text: &str) -> bool {
    let known = |word: &str| HINTS.contains(&word) || MULTIPLES.iter().any(|(multiple, _)| *multiple == word);
    let power = |c: char| c.is_ascii_digit() || MULTIPLES.iter().any(|(word, _)| !word.is_ascii() && word.starts_with(c));
    text.contains(power) || text.split(|c: char| !c.is_alphanumeric()).any(known)
}
