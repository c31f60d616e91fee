//! Reads Protobuf in place: the per-touch path needs five fields of a message, and no copy of the other twelve.
//!
//! The tags are those of `attributor.proto` and `event.proto`; a test checks them against the generated types.

mod field;
mod resident;

use std::collections::BTreeMap;

use tributary_proto::{Dimensions, Erasure, Hash128, Message, StoredTouch, Touch};

pub use field::Malformed;
use field::{Value, next_field};
pub use resident::ResidentView;
pub(crate) use resident::Whose;
pub(crate) use resident::with_extent;

/// An encoded `StoredTouch`, split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    /// Everything but its origin, which comes last.
    pub face: &'a [u8],
    /// The version of the channel rules that classified it; `None` if its origin is unknown.
    pub rules: Option<u32>,
    /// Its origin, encoded; empty if unknown.
    pub origin: &'a [u8],
}

/// Finds the origin of an encoded `StoredTouch`.
///
/// # Errors
/// When the bytes are not one.
pub(crate) fn split_origin(raw: &[u8]) -> Result<Split<'_>, Malformed> {
    let mut rest = raw;
    loop {
        let behind = raw.get(..raw.len() - rest.len()).unwrap_or(raw);
        match next_field(&mut rest)? {
            None => return Ok(Split { face: raw, rules: None, origin: &[] }),
            Some((5, value)) => {
                let whole = value.bytes()?;
                let mut origin = whole;
                // 0 is not written, as in proto3.
                let rules = match next_field(&mut origin)? {
                    Some((1, Value::Fixed32(rules))) => rules,
                    _ => 0,
                };
                return Ok(Split { face: behind, rules: Some(rules), origin: whole });
            }
            Some(_) => {}
        }
    }
}

/// An `Origin`, borrowed from its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OriginView<'a> {
    /// Which fields the rules found because the sender did not give them: a bit each, in the order of the touch's fields.
    pub found: u32,
    /// The kind of its input.
    pub input: i32,
    /// The URL of the page.
    pub url: &'a str,
    /// The site that the visitor came from.
    pub referrer: &'a str,
}

impl<'a> OriginView<'a> {
    /// Reads an encoded `Origin`.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn parse(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        while let Some((tag, value)) = next_field(&mut rest)? {
            match tag {
                2 => view.found = u32::try_from(value.varint()?).map_err(|_| Malformed)?,
                3 => view.input = i32::try_from(value.varint()?).map_err(|_| Malformed)?,
                4 => view.url = value.text()?,
                5 => view.referrer = value.text()?,
                _ => {}
            }
        }
        Ok(view)
    }
}

/// A `StoredTouch`, borrowed from its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TouchView<'a> {
    /// The touch's event id.
    pub event_id: &'a str,
    /// When it happened, milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
    /// The channel.
    pub channel: &'a str,
    /// utm_source or its equivalent.
    pub source: &'a str,
    /// utm_medium or its equivalent.
    pub medium: &'a str,
    /// utm_campaign or its equivalent.
    pub campaign: &'a str,
    /// utm_content or its equivalent.
    pub content: &'a str,
    /// utm_term or its equivalent.
    pub term: &'a str,
    /// What the person did.
    pub touch_type: &'a str,
    /// Whether the event named the person.
    pub identified: bool,
    /// Whether it happened on a site or in an app.
    pub digital: bool,
    /// Whether the touch itself names the source of the visit.
    pub names_source: bool,
    /// The browser or device; 0 if unknown.
    pub device: u64,
    /// Whether its event is public.
    pub public: bool,
    /// Its own dimensions, encoded; empty if there are none.
    pub dimensions: &'a [u8],
    /// The set of other identifiers that its event names; 0 if there are none.
    pub identifier_set: u64,
}

impl<'a> TouchView<'a> {
    /// Reads an encoded `StoredTouch`.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn parse(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        while let Some((tag, value)) = next_field(&mut rest)? {
            match tag {
                1 => view.event_id = value.text()?,
                2 => view.time_ms = value.varint()?.cast_signed(),
                3 => view.parse_touch(value.bytes()?)?,
                4 => view.identifier_set = value.fixed64()?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// This view as a message.
    pub fn to_stored(&self) -> StoredTouch {
        let touch = Touch {
            channel: self.channel.to_owned(),
            source: self.source.to_owned(),
            medium: self.medium.to_owned(),
            campaign: self.campaign.to_owned(),
            content: self.content.to_owned(),
            term: self.term.to_owned(),
            touch_type: self.touch_type.to_owned(),
            identified: self.identified,
            digital: self.digital,
            names_source: self.names_source,
            device: self.device,
            public: self.public,
            origin: None,
            dimensions: own_dimensions(self.dimensions),
        };
        let event_id = self.event_id.to_owned();
        StoredTouch { event_id, time_ms: self.time_ms, touch: Some(touch), identifier_set: self.identifier_set, origin: None }
    }

    /// Writes its own dimensions into a row.
    pub fn write_dimensions(&self, into: &mut BTreeMap<String, String>) {
        into.clear();
        into.extend(own_dimensions(self.dimensions).into_iter().flat_map(|own| own.values));
    }

    fn parse_touch(&mut self, mut rest: &'a [u8]) -> Result<(), Malformed> {
        while let Some((tag, value)) = next_field(&mut rest)? {
            match tag {
                1 => self.channel = value.text()?,
                2 => self.source = value.text()?,
                3 => self.medium = value.text()?,
                4 => self.campaign = value.text()?,
                5 => self.content = value.text()?,
                6 => self.term = value.text()?,
                7 => self.touch_type = value.text()?,
                8 => self.identified = value.varint()? != 0,
                9 => self.digital = value.varint()? != 0,
                10 => self.names_source = value.varint()? != 0,
                11 => self.device = value.fixed64()?,
                12 => self.public = value.varint()? != 0,
                14 => self.dimensions = checked(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Own dimensions, encoded, after a check that they can be decoded.
fn checked(encoded: &[u8]) -> Result<&[u8], Malformed> {
    let mut rest = encoded;
    while let Some((_, entry)) = next_field(&mut rest)? {
        let mut pair = entry.bytes()?;
        while let Some((_, text)) = next_field(&mut pair)? {
            text.text()?;
        }
    }
    Ok(encoded)
}

/// The own dimensions of a view; `None` if there are none.
pub(crate) fn own_dimensions(encoded: &[u8]) -> Option<Dimensions> {
    // The view has checked the bytes.
    if encoded.is_empty() { None } else { Dimensions::decode(encoded).ok() }
}

/// The content of an `Item`, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemBody<'a> {
    /// A `StoredTouch`.
    Touch(&'a [u8]),
    /// A `StoredTrack`.
    Track(&'a [u8]),
}

/// An `Item`, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemView<'a> {
    /// xxh3-128 of the identifier, big-endian.
    pub identifier: [u8; 16],
    /// The epoch of the placement under which it was sent.
    pub epoch: u64,
    /// The touch or track.
    pub body: ItemBody<'a>,
}

impl<'a> ItemView<'a> {
    /// Reads an encoded `AttributorMessage`; `None` where it is well-formed but not an item.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn parse(mut rest: &'a [u8]) -> Result<Option<Self>, Malformed> {
        let mut item = None;
        while let Some((tag, value)) = next_field(&mut rest)? {
            match tag {
                1 => item = Some(value.bytes()?),
                2..=7 => item = None,
                _ => {}
            }
        }
        item.map(Self::parse_item).transpose()
    }

    fn parse_item(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let (mut identifier, mut epoch, mut body) = (None, 0, None);
        while let Some((tag, value)) = next_field(&mut rest)? {
            match tag {
                1 => identifier = Some(value.bytes()?.try_into().map_err(|_| Malformed)?),
                2 => epoch = value.varint()?,
                3 => body = Some(ItemBody::Touch(value.bytes()?)),
                4 => body = Some(ItemBody::Track(value.bytes()?)),
                _ => {}
            }
        }
        Ok(Self { identifier: identifier.ok_or(Malformed)?, epoch, body: body.ok_or(Malformed)? })
    }
}

/// Whether an erasure voids a touch of its identifier.
pub fn voids(erasure: &Erasure, touch: &TouchView<'_>) -> bool {
    if erasure.event != 0 {
        return Hash128::of(touch.event_id.as_bytes()).head() == erasure.event;
    }
    (erasure.identifier_set == 0 || erasure.identifier_set == touch.identifier_set) && touch.time_ms <= erasure.until_ms
}

#[cfg(test)]
mod tests;
