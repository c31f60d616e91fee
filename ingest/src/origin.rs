//! The origin of a visit: enough to classify it again by other rules, without anybody's address or number.
//!
//! Pages put personal data into URLs: `?email=`, `/u/anna@b-corp.example`, `tel=`. A touch is kept for years, and may be stored under
//! another identifier than the one in its URL, so an erasure of that identifier would miss it. Values for which a touch has fields
//! (campaign, term, ...) are kept as usual.

use std::borrow::Cow;

use crate::channel::Channels;
use crate::landing::{self, known};

/// Names of parameters with personal data, in lower case.
const PERSONAL: [&str; 20] = [
    "email",
    "e-mail",
    "mail",
    "user_email",
    "phone",
    "mobile",
    "tel",
    "telephone",
    "name",
    "username",
    "user_name",
    "first_name",
    "last_name",
    "user",
    "user_id",
    "userid",
    "uid",
    "openid",
    "unionid",
    "external_userid",
];

/// Separators between the parts of a URL, however they were glued together.
const SEPARATORS: [char; 4] = ['?', '&', ';', '#'];

/// The URL without personal data, except in the values of parameters that rules know.
pub(crate) fn url<'a>(url: Cow<'a, str>, channels: &Channels) -> Cow<'a, str> {
    let names_people = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or(("", part));
        let personal = PERSONAL.iter().any(|known| name.eq_ignore_ascii_case(known)) || has_address(value);
        personal && known(name, channels).is_none()
    };
    let is_separator = |byte: u8| matches!(byte, b'?' | b'&' | b';' | b'#');
    let (page, rest) = url.split_at(url.bytes().position(is_separator).unwrap_or(url.len()));
    if !has_address(page) && !rest.split(SEPARATORS).any(names_people) {
        return url;
    }
    let mut kept = page_of(page);
    for part in rest.split_inclusive(SEPARATORS) {
        let (text, separator) = match part.char_indices().next_back() {
            Some((at, last)) if SEPARATORS.contains(&last) => part.split_at(at),
            _ => (part, ""),
        };
        if !names_people(text) {
            kept.push_str(text);
        }
        kept.push_str(separator);
    }
    Cow::Owned(kept)
}

/// The site of a referrer: the rules use nothing else of it.
pub(crate) fn referrer(referrer: &str) -> String {
    let scheme = referrer.split_once("://").map_or("", |(scheme, _)| scheme);
    landing::host(referrer)
        .map_or(String::new(), |host| if scheme.is_empty() { format!("//{host}") } else { format!("{scheme}://{host}") })
}

/// Scheme, host and path, without the user and without email addresses in the path.
fn page_of(page: &str) -> String {
    let (scheme, rest) = page.split_once("://").map_or(("", page), |(scheme, rest)| (scheme, rest));
    let mut kept = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    for (at, part) in rest.split('/').enumerate() {
        if at > 0 {
            kept.push('/');
        }
        let part = if at == 0 { part.rsplit_once('@').map_or(part, |(_, host)| host) } else { part };
        if !has_address(part) {
            kept.push_str(part);
        }
    }
    kept
}

/// Whether a text contains an email address, encoded or not.
fn has_address(text: &str) -> bool {
    // Most texts have neither of these characters.
    let marked = text.bytes().any(|byte| byte == b'@' || byte == b'%');
    marked && (text.contains('@') || text.contains("%40") || text.contains("%2540"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_keeps_no_personal_data_and_what_the_rules_need() {
        let channels = Channels::new(&[], &[], None).unwrap();
        for (given, kept) in [
            ("https://a.example/p?utm_source=x&gclid=1#top", "https://a.example/p?utm_source=x&gclid=1#top"),
            ("https://a.example/?email=anna%40b.example&utm_source=x", "https://a.example/?&utm_source=x"),
            ("https://a.example/?q=anna@b.example;utm_medium=cpc", "https://a.example/?;utm_medium=cpc"),
            ("https://a.example/?Tel=13800001111&x=1", "https://a.example/?&x=1"),
            ("https://anna:secret@a.example/u/anna@b.example/p?x=1", "https://a.example/u//p?x=1"),
            ("https://a.example/#!/sign?mail=1&b=%2540", "https://a.example/#!/sign?&"),
            // The touch has a field with the same value anyway.
            ("https://a.example/?utm_campaign=anna@b.example", "https://a.example/?utm_campaign=anna@b.example"),
            ("", ""),
        ] {
            assert_eq!(url(given.into(), &channels), kept, "{given}");
        }
        for (given, kept) in [
            ("https://u@www.Partner.example:8443/x?email=1", "https://www.Partner.example"),
            ("android-app://com.Slack/", "android-app://com.Slack"),
            ("//a.example/p", "//a.example"),
            ("no address", ""),
        ] {
            assert_eq!(referrer(given), kept);
            assert_eq!(landing::host(given), landing::host(kept));
        }
    }
}
