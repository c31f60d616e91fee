//! Reads Protobuf in place: the per-touch path needs five fields of a message, and no copy of the other twelve.
//!
//! The tags are those of `attributor.proto` and `event.proto`; a test holds them against the generated types.

mod field;

use prost::Message;
use tributary_proto::{Erasure, Extent, Hash128, StoredTouch, Touch};

pub use field::Malformed;
use field::{Value, next_field};

/// The parts of an encoded `StoredTouch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    /// All but its origin, which stands last.
    pub face: &'a [u8],
    /// By which rules its channel was found; `None` where nothing is known of its origin.
    pub rules: Option<u32>,
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
            None => return Ok(Split { face: raw, rules: None }),
            Some((5, value)) => {
                let mut origin = value.bytes()?;
                // A number that is 0 is not written.
                let rules = match next_field(&mut origin)? {
                    Some((1, Value::Fixed32(rules))) => rules,
                    _ => 0,
                };
                return Ok(Split { face: behind, rules: Some(rules) });
            }
            Some(_) => {}
        }
    }
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
    /// Whether its event is public.
    pub public: bool,
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
            public: self.public,
            origin: None,
        };
        let event_id = self.event_id.to_owned();
        StoredTouch { event_id, time_ms: self.time_ms, touch: Some(touch), mention: self.mention, origin: None }
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

/// What the path of a touch needs of a `Placement`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlacementView<'a> {
    unit: &'a [u8],
    epoch: u64,
    /// The `later` spans as they are encoded, from the first one on; empty for nearly everybody.
    later: &'a [u8],
}

impl<'a> PlacementView<'a> {
    fn parse(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        loop {
            let from_here = rest;
            let Some((tag, value)) = next_field(&mut rest)? else { break };
            match tag {
                2 => view.unit = value.bytes()?,
                6 => view.epoch = value.varint()?,
                7 if view.later.is_empty() => view.later = from_here,
                _ => {}
            }
        }
        Ok(view)
    }

    /// Visits the later spans while `visit` says so: when each begins, and its unit.
    fn later(&self, mut visit: impl FnMut(i64, &'a [u8]) -> bool) -> Result<(), Malformed> {
        let mut rest = self.later;
        while let Some((tag, value)) = next_field(&mut rest)? {
            if tag == 7 {
                let (mut span, mut from_ms, mut unit) = (value.bytes()?, 0, &[][..]);
                while let Some((tag, value)) = next_field(&mut span)? {
                    match tag {
                        1 => from_ms = unzigzag(value.varint()?),
                        2 => unit = value.bytes()?,
                        _ => {}
                    }
                }
                if !visit(from_ms, unit) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn unit_at(&self, time_ms: i64) -> Result<&'a [u8], Malformed> {
        let mut found = self.unit;
        self.later(|from_ms, unit| {
            if from_ms <= time_ms {
                found = unit;
            }
            from_ms <= time_ms
        })?;
        Ok(found)
    }

    fn is_in(&self, key: &[u8]) -> Result<bool, Malformed> {
        let mut found = self.unit == key;
        self.later(|_, unit| {
            found |= unit == key;
            !found
        })?;
        Ok(found)
    }
}

/// A `sint64` from its varint.
fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// What the path of a touch needs of a `ResidentState`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResidentView<'a> {
    /// The newest placement known; absent before the identifier has arrived.
    placement: Option<PlacementView<'a>>,
    /// As earlier versions wrote it: all of it belongs to this unit since the placement with this epoch.
    moved_to: &'a [u8],
    moved_epoch: u64,
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
                2 => view.placement = Some(PlacementView::parse(value.bytes()?)?),
                3 => view.moved_to = value.bytes()?,
                4 => view.moved_epoch = value.varint()?,
                6 => view.extent = Some(Extent::decode(value.bytes()?)?),
                _ => {}
            }
        }
        if !view.moved_to.is_empty() {
            view.placement = Some(PlacementView { unit: view.moved_to, epoch: view.moved_epoch, later: &[] });
        }
        Ok(view)
    }

    /// Whether the identifier belongs to the unit with this key at any time.
    ///
    /// # Errors
    /// When the bytes are not what they should be.
    pub fn is_in(&self, key: &[u8]) -> Result<bool, Malformed> {
        self.placement.map_or(Ok(false), |placement| placement.is_in(key))
    }

    /// Where something of this time that was sent to the unit with this key under `epoch` belongs, and since which placement; `None`
    /// where it stays: it belongs here, or waits for a placement that is not known yet.
    ///
    /// # Errors
    /// When the bytes are not what they should be.
    pub fn forwards(&self, key: &[u8], epoch: u64, time_ms: i64) -> Result<Option<(&'a [u8], u64)>, Malformed> {
        let Some(placement) = self.placement.filter(|known| known.epoch >= epoch) else { return Ok(None) };
        let unit = placement.unit_at(time_ms)?;
        Ok((unit != key).then_some((unit, placement.epoch)))
    }

    /// Whether a touch is void.
    ///
    /// # Errors
    /// When the bytes are not what they should be.
    pub fn voids(&self, touch: &TouchView<'_>) -> Result<bool, Malformed> {
        let mut rest = self.erasures;
        while let Some((tag, value)) = next_field(&mut rest)? {
            if tag == 5 && voids(&Erasure::decode(value.bytes()?)?, touch) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether an erasure voids a touch that its identifier has brought.
pub fn voids(erasure: &Erasure, touch: &TouchView<'_>) -> bool {
    if erasure.event != 0 {
        return Hash128::of(touch.event_id.as_bytes()).head() == erasure.event;
    }
    (erasure.mention == 0 || erasure.mention == touch.mention) && touch.time_ms <= erasure.until_ms
}

#[cfg(test)]
mod tests;
