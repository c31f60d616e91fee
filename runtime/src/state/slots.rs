//! The cached values of one actor, by sub-key: one allocation per value, and none for the container of an actor with few values.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, btree_set};
use std::ops::Bound;
use std::slice;

/// Up to this many values are kept in a sorted vector; more in a tree.
const FEW: usize = 192;

/// Overhead of an allocation, bytes.
pub(super) const ALLOCATION: usize = 16;

/// A value under its sub-key, or the fact that there is none.
pub(super) struct Slot {
    /// The sub-key, then the value.
    bytes: Box<[u8]>,
    /// The sub-key's first eight bytes, which decide most comparisons.
    prefix: u64,
    changed_in: u32,
    sub_len: u16,
    present: bool,
}

impl Slot {
    /// A slot; `changed_in` is the batch that changed it, 0 if it is as read.
    pub fn new(sub: &[u8], value: Option<&[u8]>, changed_in: u32) -> Self {
        debug_assert!(sub.len() <= usize::from(u16::MAX), "sub-keys are short");
        let mut bytes = Vec::with_capacity(sub.len() + value.map_or(0, <[u8]>::len));
        bytes.extend_from_slice(sub);
        bytes.extend_from_slice(value.unwrap_or_default());
        Self { present: value.is_some(), ..Self::joined(sub.len(), bytes, changed_in) }
    }

    /// The same, with sub-key and value in one buffer; the sub-key has this length.
    pub fn joined(sub_len: usize, sub_and_value: Vec<u8>, changed_in: u32) -> Self {
        let prefix = prefix(sub_and_value.get(..sub_len).unwrap_or_default());
        let sub_len = u16::try_from(sub_len).unwrap_or(u16::MAX);
        Self { bytes: sub_and_value.into_boxed_slice(), prefix, changed_in, sub_len, present: true }
    }

    /// The sub-key.
    pub fn sub(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.sub_len)).unwrap_or_default()
    }

    /// The value; `None` if the state has none.
    pub fn value(&self) -> Option<&[u8]> {
        self.bytes.get(usize::from(self.sub_len)..).filter(|_| self.present)
    }

    /// The last batch that changed it; 0 if it is as read.
    pub fn changed_in(&self) -> u32 {
        self.changed_in
    }

    /// Approximate memory: its container is two thirds full.
    pub fn cost(&self) -> usize {
        size_of::<Self>() * 3 / 2 + ALLOCATION + self.bytes.len()
    }
}

/// The first eight bytes as a number that sorts like them; a shorter key is padded with zeros.
fn prefix(sub: &[u8]) -> u64 {
    match sub.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; 8];
            padded.iter_mut().zip(sub).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(padded)
        }
    }
}

impl Borrow<[u8]> for Slot {
    fn borrow(&self) -> &[u8] {
        self.sub()
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        self.sub() == other.sub()
    }
}

impl Eq for Slot {}

impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Slot {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.sub().cmp(other.sub()))
    }
}

/// Slots in the order of their sub-keys.
pub(super) enum Slots {
    Few(Vec<Slot>),
    Many(BTreeSet<Slot>),
}

impl Default for Slots {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

fn search(slots: &[Slot], sub: &[u8]) -> Result<usize, usize> {
    let prefix = prefix(sub);
    slots.binary_search_by(|slot| slot.prefix.cmp(&prefix).then_with(|| slot.sub().cmp(sub)))
}

impl Slots {
    /// The slot of a sub-key.
    pub fn get(&self, sub: &[u8]) -> Option<&Slot> {
        match self {
            Self::Few(slots) => search(slots, sub).ok().and_then(|at| slots.get(at)),
            Self::Many(slots) => slots.get(sub),
        }
    }

    /// Inserts a slot; returns the former one.
    pub fn put(&mut self, slot: Slot) -> Option<Slot> {
        match self {
            Self::Many(slots) => return slots.replace(slot),
            Self::Few(slots) => match search(slots, slot.sub()) {
                Ok(at) => return slots.get_mut(at).map(|known| std::mem::replace(known, slot)),
                Err(at) => {
                    // A vector alone would begin with room for four, and most actors have fewer values.
                    if slots.len() == slots.capacity() {
                        slots.reserve_exact(slots.len() / 2 + 1);
                    }
                    slots.insert(at, slot);
                }
            },
        }
        if let Self::Few(slots) = self
            && slots.len() > FEW
        {
            *self = Self::Many(std::mem::take(slots).into_iter().collect());
        }
        None
    }

    /// Removes the slot of a sub-key.
    pub fn remove(&mut self, sub: &[u8]) -> Option<Slot> {
        match self {
            Self::Few(slots) => search(slots, sub).ok().map(|at| slots.remove(at)),
            Self::Many(slots) => slots.take(sub),
        }
    }

    /// Whether there are no slots.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Few(slots) => slots.is_empty(),
            Self::Many(slots) => slots.is_empty(),
        }
    }

    /// The slots from `from` (inclusive) to `to` (exclusive; empty: to the end).
    pub fn range(&self, from: &[u8], to: &[u8]) -> Range<'_> {
        match self {
            Self::Few(slots) => {
                let low = search(slots, from).unwrap_or_else(|at| at);
                let high = if to.is_empty() { slots.len() } else { search(slots, to).unwrap_or_else(|at| at) };
                Range::Few(slots.get(low..high).unwrap_or_default().iter())
            }
            Self::Many(_) if !to.is_empty() && from >= to => Range::Few([].iter()),
            Self::Many(slots) => {
                let high = if to.is_empty() { Bound::Unbounded } else { Bound::Excluded(to) };
                Range::Many(slots.range::<[u8], _>((Bound::Included(from), high)))
            }
        }
    }

    /// Approximate memory, bytes.
    pub fn cost(&self) -> usize {
        self.range(&[], &[]).map(Slot::cost).sum()
    }
}

/// See [`Slots::range`].
pub(super) enum Range<'a> {
    Few(slice::Iter<'a, Slot>),
    Many(btree_set::Range<'a, Slot>),
}

impl<'a> Iterator for Range<'a> {
    type Item = &'a Slot;

    fn next(&mut self) -> Option<&'a Slot> {
        match self {
            Self::Few(slots) => slots.next(),
            Self::Many(slots) => slots.next(),
        }
    }
}
