//! Reads Protobuf in place: the per-touch path needs five fields of a message, and no copy of the other twelve.
//!
//! The tags are those of `attributor.proto` and `event.proto`; a test holds them against the generated types.

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tributary_proto::{Erasure, Extent, StoredTouch, Touch};

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the Protobuf message expected here")]
pub struct Malformed;

impl From<prost::DecodeError> for Malformed {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

/// A field's value, borrowed.
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed64(u64),
    Other,
}

impl<'a> Value<'a> {
    fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed) }
    }

    fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    fn fixed64(self) -> Result<u64, Malformed> {
        if let Self::Fixed64(value) = self { Ok(value) } else { Err(Malformed) }
    }

    fn varint(self) -> Result<u64, Malformed> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(Malformed) }
    }
}

/// The next field of a message; `None` at its end.
fn next_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u32, Value<'a>)>, Malformed> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (tag, wire_type) = decode_key(rest)?;
    let value = match wire_type {
        WireType::Varint => Value::Varint(decode_varint(rest)?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(rest)?).map_err(|_| Malformed)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Malformed)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        WireType::SixtyFourBit => {
            let (bytes, after) = rest.split_first_chunk::<8>().ok_or(Malformed)?;
            *rest = after;
            Value::Fixed64(u64::from_le_bytes(*bytes))
        }
        other => {
            skip_field(other, tag, rest, DecodeContext::default())?;
            Value::Other
        }
    };
    Ok(Some((tag, value)))
}

/// A `StoredTouch` in place.
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
    /// Whether it says itself where the visit came from.
    pub names_source: bool,
    /// The browser or device; 0 where it is not known.
    pub device: u64,
    /// Whom its event names beside the identifier that brought it; 0 for nobody.
    pub mention: u64,
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
                4 => view.mention = value.fixed64()?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// The message that this is a view of.
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
        };
        StoredTouch { event_id: self.event_id.to_owned(), time_ms: self.time_ms, touch: Some(touch), mention: self.mention }
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
                _ => {}
            }
        }
        Ok(())
    }
}

/// What an `Item` brings, still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemBody<'a> {
    /// A `StoredTouch`.
    Touch(&'a [u8]),
    /// A `StoredTrack`.
    Track(&'a [u8]),
}

/// An `Item` in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemView<'a> {
    /// xxh3-128 of the identifier, big-endian.
    pub identifier: [u8; 16],
    /// The epoch of the placement under which it travels.
    pub epoch: u64,
    /// What it brings.
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
                2..=6 => item = None,
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

/// What the path of a touch needs of a `ResidentState`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResidentView<'a> {
    /// Whether the identifier is resident.
    pub resident: bool,
    /// Where it went; empty while it is resident or expected.
    pub moved_to: &'a str,
    /// The epoch of that move.
    pub moved_epoch: u64,
    /// Between which times its touches lie.
    pub extent: Option<Extent>,
    /// The `erasures` as they are encoded, from the first one on; empty for nearly everybody.
    erasures: &'a [u8],
}

impl<'a> ResidentView<'a> {
    /// Reads an encoded `ResidentState`.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn parse(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        loop {
            let from_here = rest;
            let Some((tag, value)) = next_field(&mut rest)? else { break };
            match tag {
                5 if view.erasures.is_empty() => view.erasures = from_here,
                2 => view.resident = true,
                3 => view.moved_to = value.text()?,
                4 => view.moved_epoch = value.varint()?,
                6 => view.extent = Some(Extent::decode(value.bytes()?)?),
                _ => {}
            }
        }
        Ok(view)
    }

    /// Whether a touch is void.
    ///
    /// # Errors
    /// When the bytes are not what they should be.
    pub fn voids(&self, touch: &TouchView<'_>) -> Result<bool, Malformed> {
        let mut rest = self.erasures;
        while let Some((tag, value)) = next_field(&mut rest)? {
            if tag == 5 && voids(&Erasure::decode(value.bytes()?)?, touch.mention, touch.time_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where something sent under `epoch` has to follow the identifier to; `None` where it stays.
    pub fn forwards(&self, epoch: u64) -> Option<&'a str> {
        (!self.moved_to.is_empty() && self.moved_epoch > epoch).then_some(self.moved_to)
    }
}

/// Whether an erasure voids what an identifier brought under a mention at a time.
pub fn voids(erasure: &Erasure, mention: u64, time_ms: i64) -> bool {
    (erasure.mention == 0 || erasure.mention == mention) && time_ms <= erasure.until_ms
}

#[cfg(test)]
mod tests {
    use tributary_proto::{AttributorMessage, Item, Placement, ResidentState, attributor_message, item};

    use super::*;

    fn touch() -> StoredTouch {
        StoredTouch {
            event_id: "e1".into(),
            time_ms: -5,
            touch: Some(Touch {
                channel: "a".into(),
                source: "b".into(),
                medium: "c".into(),
                campaign: "d".into(),
                content: "e".into(),
                term: "f".into(),
                touch_type: "g".into(),
                identified: true,
                digital: true,
                names_source: true,
                device: 9,
            }),
            mention: 7,
        }
    }

    #[test]
    fn agrees_with_the_generated_types() {
        let encoded = touch().encode_to_vec();
        let view = TouchView::parse(&encoded).unwrap();
        let expected = TouchView {
            event_id: "e1",
            time_ms: -5,
            channel: "a",
            source: "b",
            medium: "c",
            campaign: "d",
            content: "e",
            term: "f",
            touch_type: "g",
            identified: true,
            digital: true,
            names_source: true,
            device: 9,
            mention: 7,
        };
        assert_eq!(view, expected);
        assert_eq!(view.to_stored(), touch());

        let what = Some(item::What::Touch(touch()));
        let item = Item { identifier_hash: vec![7; 16], epoch: 9, what };
        let message = AttributorMessage { body: Some(attributor_message::Body::Item(item)) }.encode_to_vec();
        let view = ItemView::parse(&message).unwrap().unwrap();
        assert_eq!(view, ItemView { identifier: [7; 16], epoch: 9, body: ItemBody::Touch(&encoded) });

        let state = ResidentState {
            identifier: None,
            placement: Some(Placement::default()),
            moved_to: "u".into(),
            moved_epoch: 3,
            erasures: vec![Erasure { mention: 1, until_ms: 100 }, Erasure { mention: 7, until_ms: -5 }],
            extent: Some(Extent { oldest_ms: -9, newest_ms: 4 }),
        };
        let encoded = state.encode_to_vec();
        let view = ResidentView::parse(&encoded).unwrap();
        assert_eq!((view.resident, view.moved_to, view.moved_epoch), (true, "u", 3));
        assert_eq!(view.extent, state.extent);
        assert_eq!((view.forwards(2), view.forwards(3)), (Some("u"), None));
        let at = |mention, time_ms| view.voids(&TouchView { mention, time_ms, ..TouchView::default() }).unwrap();
        assert_eq!((at(7, -5), at(7, -4), at(1, 100), at(0, -9)), (true, false, true, false));
    }

    #[test]
    fn every_cut_of_an_item_is_refused_or_misses_nothing() {
        let item = Item { identifier_hash: vec![7; 16], epoch: 9, what: Some(item::What::Touch(touch())) };
        let message = AttributorMessage { body: Some(attributor_message::Body::Item(item)) }.encode_to_vec();
        for cut in 1..message.len() {
            assert_eq!(ItemView::parse(&message[..cut]), Err(Malformed), "cut at {cut}");
        }
    }
}
