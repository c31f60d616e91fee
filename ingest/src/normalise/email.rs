//! E-mail addresses and domain names.

use std::borrow::Cow;

use crate::normalise::text::narrow;

/// Longest local part and longest domain, bytes (RFC 5321, section 4.5.3.1).
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 253;

/// The addresses in a text: people write several into one cell.
pub fn parts(text: &str) -> Vec<Cow<'_, str>> {
    if text.bytes().filter(|byte| *byte == b'@').count() + text.matches('＠').count() < 2 {
        return vec![Cow::Borrowed(text)];
    }
    let narrowed = narrow(text);
    let split = |between: &dyn Fn(char) -> bool| -> Vec<Cow<'_, str>> {
        let parts = narrowed.split(between).map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Cow::Owned(part.to_owned())).collect()
    };
    let several = |parts: &Vec<Cow<'_, str>>| parts.iter().all(|part| part.matches('@').count() == 1);
    let listed = split(&|c| matches!(c, ';' | ',' | '、' | '|' | '/' | '\n'));
    if several(&listed) {
        return listed;
    }
    let words = split(&|c| c.is_whitespace() || matches!(c, ';' | ',' | '、' | '|' | '/'));
    if several(&words) { words } else { vec![Cow::Borrowed(text)] }
}

/// The address in lower case with its domain in ASCII (IDNA, UTS 46); `None` if it is invalid.
pub fn normalise(raw: &str) -> Option<String> {
    let narrowed = narrow(raw);
    let (local, domain) = bare(&narrowed).rsplit_once('@')?;
    let (local, domain) = (local.trim_end(), domain.trim_start());
    if local.is_empty() || local.len() > LOCAL_BYTES_MAX || local.chars().any(is_no_local_char) {
        return None;
    }
    let domain = ascii_domain(domain)?;
    let mut out = String::with_capacity(local.len() + 1 + domain.len());
    if local.is_ascii() {
        out.extend(local.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        out.push_str(&lower(local));
    }
    if out.len() > LOCAL_BYTES_MAX {
        return None;
    }
    out.push('@');
    out.push_str(&domain);
    Some(out)
}

/// The address without what people write around it: `mailto:li@b.example`, `Li <li@b.example>`, `'li@b.example'`, `li@b.example (work)`.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    if let Some((_, rest)) = text.split_once('<')
        && let Some((inner, after)) = rest.split_once('>')
        && after.trim().is_empty()
    {
        text = inner.trim();
    }
    if let Some((label, rest)) = text.split_once(':')
        && ["mailto", "email", "e-mail", "mail", "邮箱", "邮件", "电子邮箱"].contains(&label.trim().to_lowercase().as_str())
    {
        text = rest.split('?').next().unwrap_or(rest).trim();
    }
    if let Some((front, note)) = text.split_once('(')
        && note.ends_with(')')
        && !note.contains('@')
    {
        text = front.trim();
    }
    let quote = |c: char| matches!(c, '\'' | '"' | '`' | '‘' | '’' | '“' | '”' | '<' | '>') || c.is_whitespace();
    text.trim_matches(quote).trim_end_matches(|c| quote(c) || matches!(c, '/' | ',' | ';' | '、'))
}

/// The hash in lower case; `None` if it is not 64 hexadecimal digits.
pub fn normalise_sha256(raw: &str) -> Option<String> {
    let narrowed = narrow(raw);
    let digits = narrowed.trim();
    (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_ascii_lowercase())
}

/// The domain name in lower-case ASCII, without scheme, `www.`, port, path and final dot; `None` if it is invalid.
pub fn normalise_domain(raw: &str) -> Option<String> {
    let narrowed = narrow(raw);
    let text = narrowed.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = text.split(['/', '?', '#']).next().unwrap_or(text);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let mut ascii = ascii_domain(host)?;
    while let Some(rest) = ascii.strip_prefix("www.").filter(|rest| rest.contains('.')) {
        ascii = Cow::Owned(rest.to_owned());
    }
    Some(ascii.into_owned())
}

/// A domain of at least two labels in lower-case ASCII.
fn ascii_domain(raw: &str) -> Option<Cow<'_, str>> {
    let raw = raw.strip_suffix('.').unwrap_or(raw);
    let plain = raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    let mut ascii = Cow::Borrowed(raw);
    if plain && raw.bytes().any(|byte| byte.is_ascii_uppercase()) {
        ascii = Cow::Owned(raw.to_ascii_lowercase());
    }
    // Other than plain ASCII is mapped by UTS 46, which also checks labels that begin with xn--.
    if !plain || ascii.contains("xn--") {
        ascii = Cow::Owned(idna::domain_to_ascii(raw).ok()?.trim_end_matches('.').to_owned());
    }
    let mut labels = 0usize;
    for label in ascii.split('.') {
        let known = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if label.is_empty() || label.len() > 63 || !known || label.starts_with('-') || label.ends_with('-') {
            return None;
        }
        labels += 1;
    }
    // Top-level domains have more than one letter and no digits (except in their ASCII form). Otherwise it is an IP address, or a mistake.
    let top = ascii.rsplit('.').next().unwrap_or_default();
    let real = top.len() >= 2 && (top.starts_with("xn--") || top.bytes().all(|byte| byte.is_ascii_alphabetic()));
    (labels >= 2 && real && ascii.len() <= DOMAIN_BYTES_MAX).then_some(ascii)
}

/// Characters that cannot occur in an address as people write it; quoted local parts are not accepted.
fn is_no_local_char(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '@' | '"' | '<' | '>' | '(' | ')' | ',' | ';' | ':' | '\\' | '[' | ']' | '*')
}

/// Lower case, applied until it changes nothing: some characters need two steps.
fn lower(text: &str) -> String {
    let once = text.to_lowercase();
    let twice = once.to_lowercase();
    if once == twice { once } else { twice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (raw, expected) in [
            (" Zhang@B-Corp.example ", Some("zhang@b-corp.example")),
            ("ｚｈａｎｇ＠b-corp.example", Some("zhang@b-corp.example")),
            ("li@例子.中国", Some("li@xn--fsqu00a.xn--fiqs8s")),
            ("li@XN--FSQU00A.xn--fiqs8s", Some("li@xn--fsqu00a.xn--fiqs8s")),
            ("a.b+c@mail.b-corp.example.", Some("a.b+c@mail.b-corp.example")),
            ("zhang@localhost", None),
            ("zhang b@b-corp.example", None),
            ("a@b@b-corp.example", None),
            ("@b-corp.example", None),
            ("zhang@b..example", None),
            ("zhang@-b.example", None),
            ("zhang", None),
            ("li.gmail.com", None),
            ("mailto:li@b.example", Some("li@b.example")),
            ("MAILTO:li@b.example?subject=x", Some("li@b.example")),
            ("Li Lei <li@b.example>", Some("li@b.example")),
            ("<li@b.example>", Some("li@b.example")),
            ("'li@b.example'", Some("li@b.example")),
            ("‘li@b.example’", Some("li@b.example")),
            ("li@b.example（工作）", Some("li@b.example")),
            ("li@b.example/", Some("li@b.example")),
            ("li@b。example", Some("li@b.example")),
            ("li @b.example", Some("li@b.example")),
            ("o'neil@b.example", Some("o'neil@b.example")),
            ("li+x@b.co.uk", Some("li+x@b.co.uk")),
            ("123456@qq.com", Some("123456@qq.com")),
            ("li@b,example", None),
            ("li@[10.0.0.1]", None),
            ("li@10.0.0.1", None),
            ("li@b.c", None),
            ("li@b_c.example", None),
            ("\"li lei\"@b.example", None),
            ("li**@b.example", None),
            ("无", None),
        ] {
            assert_eq!(normalise(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn several_addresses_of_a_cell_are_several() {
        for text in [
            "li@b.example;wang@b.example",
            "li@b.example,wang@b.example",
            "li@b.example wang@b.example",
            "li@b.example、wang@b.example",
            "li@b.example/wang@b.example",
            "Li <li@b.example>, Wang Wei <wang@b.example>",
        ] {
            let found: Vec<_> = parts(text).iter().map(|part| normalise(part).unwrap()).collect();
            assert_eq!(found, ["li@b.example", "wang@b.example"], "{text}");
        }
        assert_eq!(parts("a@b@b.example").len(), 1);
    }

    #[test]
    fn domains_and_hashes() {
        for (raw, expected) in [
            ("B-Corp.example", Some("b-corp.example")),
            ("http://www.b-corp.example:8080/x?y", Some("b-corp.example")),
            ("例子.中国", Some("xn--fsqu00a.xn--fiqs8s")),
            ("b-corp", None),
            ("10.0.0.1", None),
            ("www.com", Some("www.com")),
        ] {
            assert_eq!(normalise_domain(raw).as_deref(), expected, "{raw}");
        }
        assert_eq!(normalise_sha256(&"AB".repeat(32)), Some("ab".repeat(32)));
        assert_eq!(normalise_sha256("ab"), None);
    }
}
