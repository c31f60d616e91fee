//! The flat XML of WeChat and WeCom pushes: tags below one root, read without looking at anything that a push does not need.

use quick_xml::events::{BytesRef, Event as Xml};
use quick_xml::reader::Reader;
use tributary_runtime::stage::Rejection;

use crate::limits::{FIELD_BYTES_MAX, XML_BYTES_MAX, XML_DEPTH_MAX, too_large};
use crate::normalise::text::clean;
use crate::reason;
use crate::scalar::field_too_large;

/// The tags of a push that somebody asked for, each with its text; absent and blank ones are empty.
#[derive(Debug)]
pub(super) struct Tags {
    wanted: &'static [&'static str],
    texts: Vec<Option<String>>,
}

impl Tags {
    /// Reads these tags from below the root; all others are skipped.
    ///
    /// # Errors
    /// [`reason::RECORD_TOO_LARGE`], [`reason::XML_MALFORMED`], [`reason::XML_DOCTYPE`], [`reason::FIELD_TOO_LARGE`] and, when one of
    /// them stands twice, [`reason::KEY_DUPLICATE`].
    pub(super) fn read(xml: &str, wanted: &'static [&'static str]) -> Result<Self, Rejection> {
        if xml.len() > XML_BYTES_MAX {
            return Err(too_large("the XML text", xml.len(), XML_BYTES_MAX));
        }
        let mut reader = Reader::from_str(xml);
        let mut tags = Self { wanted, texts: vec![None; wanted.len()] };
        let (mut depth, mut text, mut seen) = (0usize, String::new(), 0usize);
        loop {
            match reader.read_event().map_err(|_| malformed("the XML is not well-formed"))? {
                Xml::Start(_) => {
                    depth += 1;
                    seen += 1;
                    if depth > XML_DEPTH_MAX {
                        return Err(malformed("the XML is nested too deeply"));
                    }
                    text.clear();
                }
                Xml::End(tag) => {
                    if depth == 2 {
                        tags.set(tag.name().as_ref(), &text)?;
                    }
                    text.clear();
                    depth = depth.saturating_sub(1);
                }
                Xml::Text(part) => text.push_str(&part),
                Xml::CData(part) => text.push_str(&part),
                Xml::GeneralRef(entity) => text.push(character(&entity)?),
                Xml::DocType(_) => return Err(doctype()),
                Xml::Eof if depth > 0 || seen == 0 => return Err(malformed("the XML ends before its root does")),
                Xml::Eof => return Ok(tags),
                Xml::Empty(_) | Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) => {}
            }
        }
    }

    /// The text of a tag; empty where it is absent.
    pub(super) fn get(&self, tag: &str) -> &str {
        let at = self.wanted.iter().position(|wanted| *wanted == tag);
        at.and_then(|at| self.texts.get(at)?.as_deref()).unwrap_or_default()
    }

    /// The text of a tag that a push must have.
    ///
    /// # Errors
    /// [`reason::FIELD_MISSING`].
    pub(super) fn need(&self, tag: &'static str) -> Result<&str, Rejection> {
        match self.get(tag) {
            "" => Err(Rejection::new(reason::FIELD_MISSING, tag, "the push lacks this tag")),
            text => Ok(text),
        }
    }

    /// Whether a tag is there, even if it is blank.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.wanted.iter().zip(&self.texts).any(|(wanted, text)| *wanted == tag && text.is_some())
    }

    fn set(&mut self, tag: &str, text: &str) -> Result<(), Rejection> {
        let Some(at) = self.wanted.iter().position(|wanted| *wanted == tag) else { return Ok(()) };
        let (Some(field), Some(slot)) = (self.wanted.get(at), self.texts.get_mut(at)) else { return Ok(()) };
        if text.len() > FIELD_BYTES_MAX {
            return Err(field_too_large(field, text.len()));
        }
        if slot.is_some() {
            return Err(Rejection::new(reason::KEY_DUPLICATE, *field, "the tag stands twice"));
        }
        *slot = Some(clean(text).into_owned());
        Ok(())
    }
}

/// Whole seconds since 1970-01-01 UTC, as WeChat writes times, in milliseconds.
///
/// # Errors
/// [`reason::TIMESTAMP_INVALID`].
pub(super) fn seconds(text: &str, field: &'static str) -> Result<i64, Rejection> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: Option<i64> = if digits { text.parse().ok() } else { None };
    // Past the year 9999 it is no number of seconds.
    seconds
        .filter(|seconds| *seconds <= 253_402_300_799)
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(|| Rejection::new(reason::TIMESTAMP_INVALID, field, "expected seconds since 1970-01-01 UTC"))
}

/// The character of a reference such as `&amp;`; what only a DOCTYPE could define is refused.
fn character(entity: &BytesRef<'_>) -> Result<char, Rejection> {
    if let Some(character) = entity.resolve_char_ref().map_err(|_| malformed("a character reference is not a character"))? {
        return Ok(character);
    }
    match &**entity {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(doctype()),
    }
}

fn malformed(detail: &str) -> Rejection {
    Rejection::new(reason::XML_MALFORMED, "body", detail)
}

fn doctype() -> Rejection {
    Rejection::new(reason::XML_DOCTYPE, "body", "document types and entities of their own are refused")
}
