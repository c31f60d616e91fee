//! The flat XML of WeChat and WeCom pushes: tags below one root. Everything that a push does not need is skipped.

use quick_xml::events::{BytesRef, Event as Xml};
use quick_xml::reader::Reader;
use tributary_runtime::stage::Rejection;

use crate::limits::{XML_BYTES_MAX, XML_DEPTH_MAX, too_large};
use crate::reason;

/// Calls `found` with each tag below the root and its text.
///
/// # Errors
/// [`reason::RECORD_TOO_LARGE`], [`reason::XML_MALFORMED`], [`reason::XML_DOCTYPE`], and errors of `found`.
pub(super) fn read(xml: &str, mut found: impl FnMut(&str, &str) -> Result<(), Rejection>) -> Result<(), Rejection> {
    if xml.len() > XML_BYTES_MAX {
        return Err(too_large("the XML text", xml.len(), XML_BYTES_MAX));
    }
    let mut reader = Reader::from_str(xml);
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
                    found(tag.name().as_ref(), &text)?;
                }
                text.clear();
                depth = depth.saturating_sub(1);
            }
            Xml::Text(part) => text.push_str(&part),
            Xml::CData(part) => text.push_str(&part),
            Xml::GeneralRef(entity) => text.push(character(&entity)?),
            Xml::DocType(_) => return Err(doctype()),
            Xml::Eof if depth > 0 || seen == 0 => return Err(malformed("the XML ends before its root does")),
            Xml::Eof => return Ok(()),
            Xml::Empty(_) | Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) => {}
        }
    }
}

/// The character of a reference such as `&amp;`; references that only a DOCTYPE could define are refused.
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
