//! What a landing URL says of the campaign that led to it, in the messy forms that real links have.
//!
//! Tracked links are glued together by hand and by redirectors: `?a=1?utm_source=x`, `utm_source[]=x`, parameters in the fragment,
//! `;` between pairs, encoded twice, encoded as a whole, or percent-encoded GBK. Only known parameters are looked for, so that a `?`
//! or `;` inside another value does no harm.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use tributary_runtime::stage::Rejection;

use crate::channel::{Channels, data};
use crate::limits::{URL_BYTES_MAX, URL_PAIRS_MAX};
use crate::normalise::text::clean;
use crate::reason;

/// Longest parameter name that is looked at, bytes.
const NAME_BYTES_MAX: usize = 64;

/// What the URL's parameters say; fields are empty where it says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Landing<'a> {
    pub(crate) source: Found<'a>,
    pub(crate) medium: Found<'a>,
    pub(crate) campaign: Found<'a>,
    pub(crate) content: Found<'a>,
    pub(crate) term: Found<'a>,
    /// Place of the strongest click id in the rules' list.
    pub(crate) click_id: Option<usize>,
}

/// A value and the place of its parameter in the list of precedence.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found<'a> {
    pub(crate) value: Cow<'a, str>,
    precedence: usize,
}

impl<'a> Found<'a> {
    /// Keeps the first value of the parameter that comes first in the list.
    fn offer(&mut self, value: &str, precedence: usize) {
        if self.value.is_empty() || precedence < self.precedence {
            let value = clean(value);
            if !value.is_empty() {
                *self = Self { value: Cow::Owned(value.into_owned()), precedence };
            }
        }
    }
}

/// Reads the parameters of a URL.
///
/// # Errors
/// [`reason::URL_TOO_LONG`], [`reason::URL_PAIRS_TOO_MANY`].
pub(crate) fn read<'a>(url: &str, field: &'static str, channels: &Channels) -> Result<Landing<'a>, Rejection> {
    if url.len() > URL_BYTES_MAX {
        let detail = format!("the URL has {} bytes, at most {URL_BYTES_MAX} are read", url.len());
        return Err(Rejection::new(reason::URL_TOO_LONG, field, detail));
    }
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let query = before.split_once('?').map_or("", |(_, query)| query);
    let mut reader = Reader { landing: Landing::default(), channels, pairs: 0 };
    reader.pairs_of(query, 0);
    // A route of a single-page application is a path, not parameters.
    if !fragment.starts_with('/') && !fragment.starts_with("!/") {
        reader.pairs_of(fragment, 0);
    }
    if reader.pairs > URL_PAIRS_MAX {
        let detail = format!("the URL has {} query pairs, at most {URL_PAIRS_MAX} are read", reader.pairs);
        return Err(Rejection::new(reason::URL_PAIRS_TOO_MANY, field, detail));
    }
    Ok(reader.landing)
}

struct Reader<'c, 'a> {
    landing: Landing<'a>,
    channels: &'c Channels,
    pairs: usize,
}

impl Reader<'_, '_> {
    fn pairs_of(&mut self, text: &str, level: usize) {
        for piece in text.split('&').filter(|piece| !piece.is_empty()) {
            self.pairs += 1;
            if self.pairs > URL_PAIRS_MAX {
                continue;
            }
            // `&amp;utm_source=` of links copied out of HTML.
            let piece = piece.strip_prefix("amp;").unwrap_or(piece);
            self.piece(piece, level);
        }
    }

    /// A pair, or pairs glued together with `?` or `;`.
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
            let (name, _) = tail.split_once('=')?;
            self.is_known(name).then_some((first, tail))
        })
    }

    fn pair(&mut self, pair: &str, level: usize) {
        let Some((name, value)) = pair.split_once('=') else {
            // The whole query encoded once more: `utm_source%3Dbaidu%26utm_medium%3Dcpc`.
            if level == 0 && pair.contains("%3D") | pair.contains("%3d") {
                let decoded = decode(pair);
                self.pairs_of(&decoded, 1);
            }
            return;
        };
        let mut buffer = [0u8; NAME_BYTES_MAX];
        let Some(name) = canonical_name(name, &mut buffer) else { return };
        let parameters = self.channels.parameters();
        let fields = [
            (&parameters.source, &mut self.landing.source),
            (&parameters.medium, &mut self.landing.medium),
            (&parameters.campaign, &mut self.landing.campaign),
            (&parameters.content, &mut self.landing.content),
            (&parameters.term, &mut self.landing.term),
        ];
        for (names, found) in fields {
            if let Some(precedence) = names.iter().position(|known| known == name) {
                found.offer(&decode(value), precedence);
                return;
            }
        }
        if let Some(at) = self.channels.click_ids().iter().position(|id| id.parameter == name)
            && !value.trim().is_empty()
        {
            self.landing.click_id = Some(self.landing.click_id.map_or(at, |known| known.min(at)));
        }
    }

    fn is_known(&self, name: &str) -> bool {
        let mut buffer = [0u8; NAME_BYTES_MAX];
        let Some(name) = canonical_name(name, &mut buffer) else { return false };
        let data::Parameters { source, medium, campaign, content, term } = self.channels.parameters();
        [source, medium, campaign, content, term].into_iter().flatten().any(|known| known == name)
            || self.channels.click_ids().iter().any(|id| id.parameter == name)
    }
}

/// The name in lower case, decoded, without the brackets of PHP arrays; `None` when it is too long to be a known one.
fn canonical_name<'b>(raw: &str, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b str> {
    let decoded: Cow<'_, str> = if raw.contains('%') { decode(raw) } else { Cow::Borrowed(raw) };
    let name = decoded.trim();
    let name = match name.split_once('[') {
        Some((name, index)) if index.ends_with(']') => name,
        _ => name,
    };
    let name = name.trim_start_matches(['?', '#', '!']);
    let out = buffer.get_mut(..name.len())?;
    for (to, from) in out.iter_mut().zip(name.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    std::str::from_utf8(out).ok()
}

/// Decodes percent-encoding and `+`; once more where the text was encoded twice; as GBK where it is not UTF-8.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced: Cow<'_, str> = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let mut out = decode_once(&spaced);
    if text.contains("%25") && has_escape(&out) {
        out = decode_once(&out);
    }
    Cow::Owned(out)
}

fn decode_once(text: &str) -> String {
    let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
    match std::str::from_utf8(&bytes) {
        Ok(utf8) => utf8.to_owned(),
        Err(_) => match encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(&bytes) {
            Some(gbk) => gbk.into_owned(),
            // Neither: the text as it stands says more than replacement characters.
            None => text.to_owned(),
        },
    }
}

fn has_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| matches!(window, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// The host of a URL in its own case, without user, port and the final dot; `None` where there is none.
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
        let channels = Channels::new(&[], &[]).unwrap();
        let found = read(url, "url", &channels).unwrap();
        let click = found.click_id.map_or("", |at| channels.click_ids()[at].parameter.as_str());
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
            ("https://a.example/#/route?utm_source=x", "|||| "),
            ("https://a.example/#!/route?utm_source=x", "|||| "),
            ("https://a.example/?a=1;utm_source=x;utm_medium=y", "x|y||| "),
            ("https://a.example/?utm_content=a;b&utm_source=x", "x|||a;b| "),
            ("https://a.example/?utm_source=x&amp;utm_medium=y", "x|y||| "),
            ("https://a.example/?utm_campaign=%E5%A4%8F%E5%AD%A3", "||夏季|| "),
            ("https://a.example/?utm_campaign=%25E5%25A4%258F%25E5%25AD%25A3", "||夏季|| "),
            ("https://a.example/?utm_campaign=%CF%C4%BC%BE", "||夏季|| "),
            ("https://a.example/?utm_campaign=100%25+off", "||100% off|| "),
            ("https://a.example/?utm_source%3Dbaidu%26utm_medium%3Dcpc", "baidu|cpc||| "),
            ("https://a.example/?utm_source=x&utm_source=y", "x|||| "),
            ("https://a.example/?hmsr=h&hmpl=p&hmcu=c&hmkw=k&hmci=i", "h|p|c|i|k "),
            ("https://a.example/?hmsr=h&utm_source=u", "u|||| "),
            ("https://a.example/?utm_source=&utm_medium=%20", "|||| "),
            ("https://a.example/?fbclid=1&gclid=2", "|||| gclid"),
            ("https://a.example/?gclid=", "|||| "),
            ("https://a.example/?utm_source=%FF%FF", "%FF%FF|||| "),
        ] {
            assert_eq!(say(url), expected, "{url}");
        }
    }

    #[test]
    fn limits() {
        let channels = Channels::new(&[], &[]).unwrap();
        let long = format!("https://a.example/?x={}", "y".repeat(URL_BYTES_MAX));
        assert_eq!(read(&long, "url", &channels).unwrap_err().reason, reason::URL_TOO_LONG);
        let many = format!("https://a.example/?{}", "a=b&".repeat(URL_PAIRS_MAX + 1));
        assert_eq!(read(&many, "url", &channels).unwrap_err().reason, reason::URL_PAIRS_TOO_MANY);
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
