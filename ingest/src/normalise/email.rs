//! E-mail addresses and domain names.

use std::borrow::Cow;

use crate::normalise::text::narrow;

/// Longest local part and longest domain, bytes (RFC 5321, section 4.5.3.1).
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 253;

/// The address in lower case with its domain in ASCII (IDNA, UTS 46); `None` when it is none.
pub fn normalise(raw: &str) -> Option<String> {
    let narrowed = narrow(raw);
    let address = narrowed.trim();
    let (local, domain) = address.rsplit_once('@')?;
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

/// The hash in lower case; `None` when it is not 64 hexadecimal digits.
pub fn normalise_sha256(raw: &str) -> Option<String> {
    let narrowed = narrow(raw);
    let digits = narrowed.trim();
    (digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digits.to_ascii_lowercase())
}

/// The domain name in lower-case ASCII, without scheme, `www.`, port, path and final dot; `None` when it is none.
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
    // What is not plain ASCII is mapped by UTS 46, and labels that begin with xn-- are checked by it.
    if !plain || ascii.contains("xn--") {
        ascii = Cow::Owned(idna::domain_to_ascii(raw).ok()?.trim_end_matches('.').to_owned());
    }
    let mut labels = 0usize;
    for label in ascii.split('.') {
        let known = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if label.is_empty() || label.len() > 63 || !known || label.starts_with('-') || label.ends_with('-') {
            return None;
        }
        labels += 1;
    }
    (labels >= 2 && ascii.len() <= DOMAIN_BYTES_MAX).then_some(ascii)
}

/// Characters that stand in no address as people write it; quoted local parts are not accepted.
fn is_no_local_char(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '@' | '"' | '<' | '>' | '(' | ')' | ',' | ';' | ':' | '\\' | '[' | ']')
}

/// Lower case that is its own lower case: some characters need two steps.
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
        ] {
            assert_eq!(normalise(raw).as_deref(), expected, "{raw}");
        }
    }

    #[test]
    fn domains_and_hashes() {
        for (raw, expected) in [
            ("B-Corp.example", Some("b-corp.example")),
            ("http://www.b-corp.example:8080/x?y", Some("b-corp.example")),
            ("例子.中国", Some("xn--fsqu00a.xn--fiqs8s")),
            ("b-corp", None),
            ("www.com", Some("www.com")),
        ] {
            assert_eq!(normalise_domain(raw).as_deref(), expected, "{raw}");
        }
        assert_eq!(normalise_sha256(&"AB".repeat(32)), Some("ab".repeat(32)));
        assert_eq!(normalise_sha256("ab"), None);
    }
}
