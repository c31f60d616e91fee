//! Pushes of a WeChat official account (plain mode): XML with the tags below its root.
//!
//! Field names and meaning: <https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Receiving_event_pushes.html>.

use quick_xml::events::{BytesRef, Event as Xml};
use quick_xml::reader::Reader;
use tributary_proto::event::Body;
use tributary_proto::{Event, Identify, Source, Touch};
use tributary_runtime::stage::Rejection;

use crate::decoder::{Decoded, Decoder};
use crate::identifiers::Identifiers;
use crate::limits::{FIELD_BYTES_MAX, XML_BYTES_MAX, XML_DEPTH_MAX, too_large};
use crate::normalise::text::clean;
use crate::reason;
use crate::scalar::{Scalar, field_too_large};

/// Prefix of `EventKey` when somebody who did not follow the account scanned its code.
const SCENE_PREFIX: &str = "qrscene_";
/// Prefix of a scene that carries the anonymous id of the page on which the code was shown.
const ANONYMOUS_PREFIX: &str = "aid_";

/// Decodes one push.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(super) fn decode(decoder: &Decoder, xml: &str, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let push = Push::read(xml)?;
    let kind = push.kind()?;
    let what = if push.msg_type == "event" { &push.event } else { &push.msg_type };
    let event_id = format!("wechat:{}:{}:{}:{what}", push.to_user, push.from_user, push.create_time);
    let time_ms = push.time_ms()?;
    decoder.times.check_future(time_ms, received_ms, "CreateTime")?;
    let identifiers = push.identifiers(decoder)?;
    let blocked = identifiers.blocked;
    let named = identifiers.sorted();
    let body = match kind {
        Kind::Contact => Body::Identify(Identify {}),
        Kind::Touch(medium) => Body::Touch(Touch {
            channel: "wechat".into(),
            source: "official_account".into(),
            medium: medium.into(),
            campaign: push.scene().to_owned(),
            touch_type: String::new(),
            identified: named.identified(),
            ..Touch::default()
        }),
    };
    out.blocked += blocked;
    out.events.push(Event {
        event_id,
        time_ms,
        source: Source::Webhook.into(),
        identifiers: named.people,
        body: Some(body),
        ..Event::default()
    });
    Ok(())
}

enum Kind {
    /// A touch of this medium.
    Touch(&'static str),
    /// Any other message: it says only that this OpenID exists.
    Contact,
}

/// The tags that matter; empty where absent.
#[derive(Debug, Default)]
struct Push {
    to_user: String,
    from_user: String,
    create_time: String,
    msg_type: String,
    event: String,
    event_key: String,
    encrypted: bool,
}

impl Push {
    fn read(xml: &str) -> Result<Self, Rejection> {
        if xml.len() > XML_BYTES_MAX {
            return Err(too_large("the XML text", xml.len(), XML_BYTES_MAX));
        }
        let mut reader = Reader::from_str(xml);
        let mut push = Self::default();
        let (mut depth, mut text, mut tags) = (0usize, String::new(), 0usize);
        loop {
            match reader.read_event().map_err(|_| malformed("the XML is not well-formed"))? {
                Xml::Start(_) => {
                    depth += 1;
                    tags += 1;
                    if depth > XML_DEPTH_MAX {
                        return Err(malformed("the XML is nested too deeply"));
                    }
                    text.clear();
                }
                Xml::End(tag) => {
                    if depth == 2 {
                        push.set(tag.name().as_ref(), &text)?;
                    }
                    text.clear();
                    depth = depth.saturating_sub(1);
                }
                Xml::Text(part) => text.push_str(&part),
                Xml::CData(part) => text.push_str(&part),
                Xml::GeneralRef(entity) => text.push(character(&entity)?),
                Xml::DocType(_) => return Err(doctype()),
                Xml::Eof if depth > 0 || tags == 0 => return Err(malformed("the XML ends before its root does")),
                Xml::Eof => return Ok(push),
                Xml::Empty(_) | Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) => {}
            }
        }
    }

    fn set(&mut self, tag: &str, text: &str) -> Result<(), Rejection> {
        let (slot, field) = match tag {
            "ToUserName" => (&mut self.to_user, "ToUserName"),
            "FromUserName" => (&mut self.from_user, "FromUserName"),
            "CreateTime" => (&mut self.create_time, "CreateTime"),
            "MsgType" => (&mut self.msg_type, "MsgType"),
            "Event" => (&mut self.event, "Event"),
            "EventKey" => (&mut self.event_key, "EventKey"),
            "Encrypt" => {
                self.encrypted = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        if text.len() > FIELD_BYTES_MAX {
            return Err(field_too_large(field, text.len()));
        }
        if !slot.is_empty() {
            return Err(Rejection::new(reason::KEY_DUPLICATE, field, "the tag stands twice"));
        }
        *slot = clean(text).into_owned();
        Ok(())
    }

    fn kind(&self) -> Result<Kind, Rejection> {
        if self.encrypted && self.msg_type.is_empty() {
            let detail = "the push is encrypted; decrypt it where the request enters, or choose the plain mode";
            return Err(Rejection::new(reason::XML_ENCRYPTED, "Encrypt", detail));
        }
        let needed = [
            (&self.to_user, "ToUserName"),
            (&self.from_user, "FromUserName"),
            (&self.create_time, "CreateTime"),
            (&self.msg_type, "MsgType"),
        ];
        let event = (self.msg_type == "event").then_some((&self.event, "Event"));
        if let Some((_, field)) = needed.into_iter().chain(event).find(|(text, _)| text.is_empty()) {
            return Err(Rejection::new(reason::FIELD_MISSING, field, "the push lacks this tag"));
        }
        match self.event.as_str() {
            "subscribe" if self.event_key.starts_with(SCENE_PREFIX) => Ok(Kind::Touch("qr_subscribe")),
            "subscribe" => Ok(Kind::Touch("subscribe")),
            "SCAN" => Ok(Kind::Touch("scan")),
            "unsubscribe" => {
                // WeChat wants the person's data deleted then: an erasure, and as such it waits.
                let detail = "unsubscribing asks for erasure, which this version does not process";
                Err(Rejection::new(reason::KIND_UNSUPPORTED, "Event", detail))
            }
            _ => Ok(Kind::Contact),
        }
    }

    fn time_ms(&self) -> Result<i64, Rejection> {
        let digits = self.create_time.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: Option<i64> = if digits { self.create_time.parse().ok() } else { None };
        // Past the year 9999 it is no number of seconds.
        seconds
            .filter(|seconds| *seconds <= 253_402_300_799)
            .and_then(|seconds| seconds.checked_mul(1000))
            .ok_or_else(|| Rejection::new(reason::TIMESTAMP_INVALID, "CreateTime", "expected seconds since 1970-01-01 UTC"))
    }

    /// The scene of the code that was scanned; empty without one.
    fn scene(&self) -> &str {
        match self.event.as_str() {
            "subscribe" => self.event_key.strip_prefix(SCENE_PREFIX).unwrap_or_default(),
            "SCAN" => &self.event_key,
            _ => "",
        }
    }

    fn identifiers(&self, decoder: &Decoder) -> Result<Identifiers, Rejection> {
        let rules = &decoder.identifiers;
        let mut out = Identifiers::default();
        let scope = decoder.wechat_appids.get(&self.to_user).unwrap_or(&self.to_user);
        if let Some(rule) = rules.find("wechat_openid") {
            out.add(rules, rule, &Scalar::Text(format!("{scope}:{}", self.from_user).into()), "FromUserName")?;
        }
        if let (Some(rule), Some(cookie)) = (rules.find("anonymous_id"), self.scene().strip_prefix(ANONYMOUS_PREFIX)) {
            out.add(rules, rule, &Scalar::Text(cookie.into()), "EventKey")?;
        }
        Ok(out)
    }
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
