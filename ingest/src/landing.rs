//! Campaign information in a landing URL, in the messy forms that real links have.
//!
//! Tracked links are put together by hand and by redirectors: `?a=1?utm_source=x`, `/page&utm_source=x`, `utm_source[]=x`, parameters in
//! the fragment, `;` between pairs, encoded twice, encoded as a whole, or percent-encoded GBK. The parser looks only for known parameters,
//! so a `?` or `;` inside another value does no harm.

mod escapes;

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use crate::channel::{Channels, Field, Known};
use crate::limits::{URL_BYTES_MAX, URL_PAIRS_MAX};
use crate::normalise::blocked::says_nothing;
use crate::normalise::text::{clean, has_no_value};
use crate::reason;
use escapes::{NAME_BYTES_MAX, canonical_name, decode};

/// The values of the URL's parameters; empty if there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Landing<'a> {
    pub(crate) source: Found<'a>,
    pub(crate) medium: Found<'a>,
    pub(crate) campaign: Found<'a>,
    pub(crate) content: Found<'a>,
    pub(crate) term: Found<'a>,
    /// Position of the strongest click id in the rules' list.
    pub(crate) click_id: Option<usize>,
    /// Position of the matching entry in the click id's `by_value`.
    pub(crate) by_value: Option<usize>,
}

/// A value, and the position of its parameter in the order of precedence.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) value: Cow<'a, str>,
    precedence: usize,
}

impl Found<'_> {
    /// Stores a value if its parameter has a higher precedence than the stored one's.
    fn offer(&mut self, value: &str, precedence: usize) {
        if self.value.is_empty() || precedence < self.precedence {
            let value = clean(value);
            if !value.is_empty() && !has_no_value(&value) {
                *self = Self { value: Cow::Owned(value.into_owned()), precedence };
            }
        }
    }
}

/// A known parameter in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) known: Known,
}

/// Reads the parameters in the first [`URL_PAIRS_MAX`] pairs of a URL. `hear` is called with each known parameter that has a value.
///
/// # Errors
/// [`reason::URL_TOO_LONG`].
pub(crate) fn read<'a>(
    url: &str,
    field: &'static str,
    channels: &Channels,
    hear: Option<&mut Vec<Seen>>,
) -> Result<Landing<'a>, Rejection> {
    if url.len() > URL_BYTES_MAX {
        let detail = format!("the URL has {} bytes, at most {URL_BYTES_MAX} are read", url.len());
        return Err(Rejection::new(reason::URL_TOO_LONG, field, detail));
    }
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let mut reader = Reader { landing: Landing::default(), channels, pairs: 0, hear };
    reader.pairs_of(query(before), 0);
    // A route of a single-page application is a path: parameters only follow its `?`.
    let is_route = fragment.starts_with('/') || fragment.starts_with("!/");
    reader.pairs_of(if is_route { fragment.split_once('?').map_or("", |(_, query)| query) } else { fragment }, 0);
    Ok(reader.landing)
}

/// The meaning of a parameter, by its name in the URL; `None` if it is unknown.
pub(crate) fn known(name: &str, channels: &Channels) -> Option<Known> {
    channels.parameter(canonical_name(name, &mut [0u8; NAME_BYTES_MAX])?)
}

/// The part after the first `?`. In a link to which parameters were appended without one, after the first `&`.
fn query(url: &str) -> &str {
    url.split_once('?').or_else(|| url.split_once('&')).map_or("", |(_, query)| query)
}

struct Reader<'c, 'a, 'h> {
    landing: Landing<'a>,
    channels: &'c Channels,
    pairs: usize,
    hear: Option<&'h mut Vec<Seen>>,
}

impl Reader<'_, '_, '_> {
    fn pairs_of(&mut self, text: &str, level: usize) {
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            self.pairs += 1;
            if self.pairs > URL_PAIRS_MAX {
                continue;
            }
            // `&amp;utm_source=` in links copied from HTML.
            let piece = piece.strip_prefix("amp;").unwrap_or(piece);
            self.piece(piece, level);
        }
    }

    /// Reads a pair, or several pairs glued together with `?` or `;`.
    fn piece(&mut self, piece: &str, level: usize) {
        let mut rest = piece;
        while let Some((first, tail)) = self.split_glued(rest) {
            self.pair(first, level);
            rest = tail;
        }
        self.pair(rest, level);
    }

    /// Splits before a known parameter that follows a `?` or `;`.
    fn split_glued<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        text.match_indices(['?', ';']).find_map(|(at, separator)| {
            let (first, tail) = (text.get(..at)?, text.get(at + separator.len()..)?);
            // Names are short, even with every byte escaped. This limit keeps the time linear.
            let end = tail.bytes().take(3 * NAME_BYTES_MAX).position(|byte| byte == b'=')?;
            self.known(tail.get(..end)?).map(|_| (first, tail))
        })
    }

    /// The position of an `&` in a value before a known parameter, and the text after it.
    fn glued_behind<'t>(&self, value: &'t str) -> Option<(usize, &'t str)> {
        value.match_indices('&').find_map(|(at, separator)| {
            let rest = value.get(at + separator.len()..)?;
            let end = rest.bytes().take(NAME_BYTES_MAX).position(|byte| byte == b'=')?;
            self.known(rest.get(..end)?).map(|_| (at, rest))
        })
    }

    fn known(&self, name: &str) -> Option<Known> {
        known(name, self.channels)
    }

    fn pair(&mut self, pair: &str, level: usize) {
        let Some((name, value)) = pair.split_once('=') else {
            // The whole query was encoded twice: `utm_source%3Dbaidu%26utm_medium%3Dcpc`.
            if level == 0 && pair.contains("%3D") | pair.contains("%3d") {
                let decoded = decode(pair);
                self.pairs_of(&decoded, 1);
            }
            return;
        };
        let Some(known) = self.known(name) else { return };
        let mut value = decode(value);
        // The rest of the query was encoded as one value: `utm_source=baidu%26utm_medium%3Dcpc`.
        if level == 0
            && let Some((at, rest)) = self.glued_behind(&value)
        {
            let rest = rest.to_owned();
            value = Cow::Owned(value.get(..at).unwrap_or_default().to_owned());
            self.pairs_of(&rest, 1);
        }
        if let Some((field, precedence)) = known.field {
            let found = match field {
                Field::Source => &mut self.landing.source,
                Field::Medium => &mut self.landing.medium,
                Field::Campaign => &mut self.landing.campaign,
                Field::Content => &mut self.landing.content,
                Field::Term => &mut self.landing.term,
            };
            found.offer(&value, precedence);
        }
        let value = clean(&value);
        // A click id whose macro was not filled in proves no click.
        if value.is_empty() || (known.click_id.is_some() && says_nothing(&value)) {
            return;
        }
        if let Some(at) = known.click_id {
            self.click_id(at, &value);
        }
        if let Some(hear) = &mut self.hear {
            let mut buffer = [0u8; NAME_BYTES_MAX];
            let name = canonical_name(name, &mut buffer).unwrap_or_default().to_owned();
            hear.push(Seen { name, value: value.into_owned(), known });
        }
    }
}

impl Reader<'_, '_, '_> {
    /// Keeps the stronger of two click ids.
    fn click_id(&mut self, at: usize, value: &str) {
        if self.landing.click_id.is_none_or(|known| at < known) {
            let kinds = self.channels.click_id(at).map_or(&[][..], |id| &id.by_value);
            self.landing.by_value = kinds.iter().position(|kind| kind.regex.is_found(value));
            self.landing.click_id = Some(at);
        }
    }
}

/// The host of a URL in its original case, without user, port and final dot; `None` if there is none.
pub(crate) fn host(url: &str) -> Option<&str> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) => rest,
        _ => url.strip_prefix("//")?,
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next().unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(url: &str) -> String {
        let channels = Channels::new(&[], &[], None).unwrap();
        let found = read(url, "url", &channels, None).unwrap();
        let click = found.click_id.map_or("", |at| channels.click_id(at).unwrap().parameter.as_str());
        let parts = [&found.source, &found.medium, &found.campaign, &found.content, &found.term];
        format!("{} {click}", parts.map(|part| part.value.as_ref()).join("|"))
    }

    #[test]
    fn messy_forms() {
        for (url, expected) in [
            ("https://a.example/?utm_source=baidu&utm_medium=cpc&utm_campaign=b&bd_vid=8", "baidu|cpc|b|| bd_vid"),
            ("https://a.example/", "|||| "),
            ("https://a.example/?a=1?utm_source=x&utm_medium=y", "x|y||| "),
            ("https://a.example/?utm_source[]=x&utm_medium%5B0%5D=y", "x|y||| "),
            ("https://a.example/?UTM_Source=X&Utm_Medium=CPC", "X|CPC||| "),
            ("https://a.example/#utm_source=x&utm_term=k", "x||||k "),
            ("https://a.example/#top?utm_source=x", "x|||| "),
            ("https://a.example/#/route?utm_source=x&utm_medium=y", "x|y||| "),
            ("https://a.example/#!/route?utm_source=x", "x|||| "),
            ("https://a.example/#/utm_source=x&utm_medium=y", "|||| "),
            ("https://a.example/?utm_source=x#/route?utm_source=y&utm_medium=z", "x|z||| "),
            ("https://a.example/page&utm_source=x&utm_medium=y", "x|y||| "),
            ("https://a.example/?a=1;utm_source=x;utm_medium=y", "x|y||| "),
            ("https://a.example/?utm_content=a;b&utm_source=x", "x|||a;b| "),
            ("https://a.example/?utm_source=x&amp;utm_medium=y", "x|y||| "),
            ("https://a.example/?utm_campaign=%E5%A4%8F%E5%AD%A3", "||夏季|| "),
            ("https://a.example/?utm_campaign=%25E5%25A4%258F%25E5%25AD%25A3", "||夏季|| "),
            ("https://a.example/?utm_campaign=%CF%C4%BC%BE", "||夏季|| "),
            ("https://a.example/?utm_campaign=%C6%B7%C6%B7", "||品品|| "),
            ("https://a.example/?utm_campaign=caf%C3%A9+%C6%A1", "||café ơ|| "),
            ("https://a.example/?utm_campaign=100%25+off", "||100% off|| "),
            ("https://a.example/?utm_source%3Dbaidu%26utm_medium%3Dcpc", "baidu|cpc||| "),
            ("https://a.example/?utm_source=baidu%26utm_medium%3Dcpc&utm_term=k", "baidu|cpc|||k "),
            ("https://a.example/?utm_campaign=a%26b%3Dc&utm_source=x", "x||a&b=c|| "),
            ("https://a.example/?utm_source=x&utm_source=y", "x|||| "),
            ("https://a.example/?hmsr=h&hmmd=m&hmpl=p&hmcu=u&hmkw=k&hmci=i", "h|m|p|i|k "),
            ("https://a.example/?utm_campaign=%25CF%25C4%25BC%25BE", "||夏季|| "),
            ("https://a.example/?hmsr=h&utm_source=u", "u|||| "),
            ("https://a.example/?utm_source=&utm_medium=%20", "|||| "),
            ("https://a.example/?fbclid=1&gclid=2", "|||| gclid"),
            ("https://a.example/?gclid=", "|||| "),
            ("https://a.example/?gclid=undefined", "|||| "),
            ("https://a.example/?bd_vid=undefined&msclkid=null", "|||| "),
            ("https://a.example/?gclid={gclid}&ttclid=__CLICKID__", "|||| "),
            ("https://a.example/?gclid=%7B%7Bgclid%7D%7D&fbclid=x", "|||| fbclid"),
            ("https://a.example/?gclid=%24%7Bgclid%7D&wbraid=%25WBRAID%25&gbraid=0", "|||| "),
            ("https://a.example/?gclid=(not+set)&gbraid=[GBRAID]&dclid=-", "|||| "),
            ("https://a.example/?utm_source=%FF%FF", "%FF%FF|||| "),
        ] {
            assert_eq!(say(url), expected, "{url}");
        }
    }

    #[test]
    fn limits() {
        let channels = Channels::new(&[], &[], None).unwrap();
        let long = format!("https://a.example/?x={}", "y".repeat(URL_BYTES_MAX));
        assert_eq!(read(&long, "url", &channels, None).unwrap_err().reason, reason::URL_TOO_LONG);
        let source = |pairs| {
            let url = format!("https://a.example/?{}utm_source=x", "a=b&".repeat(pairs));
            read(&url, "url", &channels, None).unwrap().source.value.into_owned()
        };
        assert_eq!((source(URL_PAIRS_MAX - 1), source(URL_PAIRS_MAX)), ("x".to_owned(), String::new()));
    }

    #[test]
    fn hosts() {
        for (url, expected) in [
            ("https://www.A-corp.example:8443/x?y#z", Some("www.A-corp.example")),
            ("//a.example/x", Some("a.example")),
            ("https://user:pass@a.example", Some("a.example")),
            ("android-app://com.google.android.gm/", Some("com.google.android.gm")),
            ("/path?x=https://b.example", None),
            ("a.example/x", None),
            ("", None),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
