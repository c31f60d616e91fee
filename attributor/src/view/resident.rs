//! An identifier's record in a unit, read in place.

use prost::Message;
use prost::encoding::message;
use tributary_proto::{Erasure, Extent};

use super::field::next_field;
use super::{Malformed, TouchView, voids};

/// The fields of a `Placement` that handling a touch needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlacementView<'a> {
    profile_id: &'a [u8],
    unit: &'a [u8],
    account_id: &'a [u8],
    role: &'a [u8],
    revoked: bool,
    epoch: u64,
    /// The `later` spans, encoded; empty for nearly everybody.
    later: &'a [u8],
}

impl<'a> PlacementView<'a> {
    fn parse(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::default();
        loop {
            let from_here = rest;
            let Some((tag, value)) = next_field(&mut rest)? else { break };
            match tag {
                1 => view.profile_id = value.bytes()?,
                2 => view.unit = value.bytes()?,
                3 => view.account_id = value.bytes()?,
                4 => view.role = value.bytes()?,
                5 => view.revoked = value.varint()? != 0,
                6 => view.epoch = value.varint()?,
                7 if view.later.is_empty() => view.later = from_here,
                _ => {}
            }
        }
        Ok(view)
    }

    /// Visits the later spans while `visit` returns true: start, unit and account of each.
    fn later(&self, mut visit: impl FnMut(i64, &'a [u8], &'a [u8]) -> bool) -> Result<(), Malformed> {
        let mut rest = self.later;
        while let Some((tag, value)) = next_field(&mut rest)? {
            if tag == 7 {
                let (mut span, mut from_ms, mut unit, mut account_id) = (value.bytes()?, 0, &[][..], &[][..]);
                while let Some((tag, value)) = next_field(&mut span)? {
                    match tag {
                        1 => from_ms = unzigzag(value.varint()?),
                        2 => unit = value.bytes()?,
                        3 => account_id = value.bytes()?,
                        _ => {}
                    }
                }
                if !visit(from_ms, unit, account_id) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Unit and account at a time.
    fn at(&self, time_ms: i64) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let mut found = (self.unit, self.account_id);
        self.later(|from_ms, unit, account_id| {
            if from_ms <= time_ms {
                found = (unit, account_id);
            }
            from_ms <= time_ms
        })?;
        Ok(found)
    }

    fn is_in(&self, key: &[u8]) -> Result<bool, Malformed> {
        let mut found = self.unit == key;
        self.later(|_, unit, _| {
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

/// The fields of a `ResidentState` that handling a touch needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResidentView<'a> {
    /// The newest placement; `None` before the first one has arrived.
    placement: Option<PlacementView<'a>>,
    /// As earlier versions wrote it: since the placement with this epoch, everything belongs to this unit.
    moved_to: &'a [u8],
    moved_epoch: u64,
    /// The times of its oldest and newest touch.
    pub extent: Option<Extent>,
    /// The `erasures`, encoded; empty for nearly everybody.
    erasures: &'a [u8],
    /// How often rows of its touches were published again.
    pub rows: u64,
}

/// The owner of a touch, as its row shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose<'a> {
    pub profile_id: &'a str,
    pub account_id: &'a str,
    pub role: &'a str,
    pub revoked: bool,
}

/// An encoded `ResidentState` with another extent and otherwise the same; `None` if an earlier version wrote it.
///
/// # Errors
/// When the bytes are not one.
pub(crate) fn with_extent(raw: &[u8], extent: &Extent) -> Result<Option<Vec<u8>>, Malformed> {
    let length = extent.encoded_len();
    let mut changed = Vec::with_capacity(raw.len() + length + 2);
    let mut rest = raw;
    loop {
        let from_here = rest;
        let Some((tag, _)) = next_field(&mut rest)? else { break };
        match tag {
            3 | 4 => return Ok(None),
            6 => {}
            _ => changed.extend_from_slice(from_here.get(..from_here.len() - rest.len()).unwrap_or_default()),
        }
    }
    message::encode(6, extent, &mut changed);
    Ok(Some(changed))
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
                8 => view.rows = value.varint()?,
                _ => {}
            }
        }
        if !view.moved_to.is_empty() {
            view.placement = Some(PlacementView { unit: view.moved_to, epoch: view.moved_epoch, ..PlacementView::default() });
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

    /// The unit to which an item of this time must be forwarded that was sent to the unit with this key under `epoch`, and the epoch of the
    /// placement that says so. `None` if the item stays: it belongs here, or waits for a placement that has not arrived yet.
    ///
    /// # Errors
    /// When the bytes are not what they should be.
    pub fn forwards(&self, key: &[u8], epoch: u64, time_ms: i64) -> Result<Option<(&'a [u8], u64)>, Malformed> {
        let Some(placement) = self.placement.filter(|known| known.epoch >= epoch) else { return Ok(None) };
        let (unit, _) = placement.at(time_ms)?;
        Ok((unit != key).then_some((unit, placement.epoch)))
    }

    /// The owner of an item of this time by the stored placement; `None` if that gives the time to another unit than the one with this key,
    /// or there is none.
    ///
    /// # Errors
    /// When the bytes are not what they should be.
    pub(crate) fn whose(&self, key: &[u8], time_ms: i64) -> Result<Option<Whose<'a>>, Malformed> {
        let Some(placement) = &self.placement else { return Ok(None) };
        let (unit, account_id) = placement.at(time_ms)?;
        if unit != key {
            return Ok(None);
        }
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| Malformed);
        let (profile_id, role) = (text(placement.profile_id)?, text(placement.role)?);
        Ok(Some(Whose { profile_id, account_id: text(account_id)?, role, revoked: placement.revoked }))
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
