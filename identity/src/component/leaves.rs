//! Of the public links of an identifier that trusted events know only the first count, as they were received. Later ones are set aside,
//! where no search comes by: however many somebody sends, they cost what the first of them did.

use std::collections::BTreeMap;

use tributary_proto::{Hash128, LinkFact, Member, Message};
use tributary_runtime::state::{State, StateError, get_message, put_message};

use super::Component;
use crate::facts::{is_public, received_ms};
use crate::keys;

/// By what the public links of an identifier are sorted: when they were received, and the other end.
pub(super) type Leaf = (i64, Hash128);

/// Of a `Member` what tells whether a statement about it is outdated, and which of its public links count.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Bounds {
    #[prost(uint64, tag = "9")]
    pub(super) generation: u64,
    #[prost(bytes = "vec", tag = "15")]
    last_leaf: Vec<u8>,
    #[prost(int64, tag = "16")]
    last_leaf_ms: i64,
}

impl Bounds {
    /// Whether a public link with this one comes after all that count.
    fn is_beyond(&self, link: &LinkFact, other: Hash128) -> bool {
        Hash128::from_bytes(&self.last_leaf).is_some_and(|last| leaf(link, other) > (self.last_leaf_ms, last))
    }
}

/// A public link as one end sees it.
pub(super) fn leaf(link: &LinkFact, other: Hash128) -> Leaf {
    (received_ms(link).unwrap_or(i64::MAX), other)
}

/// Whether links of a member have been set aside.
fn has_set_aside(member: &Member) -> bool {
    !member.last_leaf.is_empty()
}

/// Where a link is, among those that count or those that are set aside.
fn tag(aside: bool) -> u8 {
    if aside { keys::SET_ASIDE } else { keys::COMPONENT_LINK }
}

impl Component {
    /// A member's generation and bounds, without a look at the rest of it; `None` where it is none.
    pub(super) fn bounds_of(self, state: &mut dyn State, of: Hash128) -> Result<Option<Bounds>, StateError> {
        get_message(state, &self.root, &keys::one(keys::MEMBER, of))
    }

    /// A link as it is stored, and whether it is set aside.
    pub(super) fn link(
        self,
        state: &mut dyn State,
        (a, b): (Hash128, Hash128),
    ) -> Result<(Option<LinkFact>, bool), StateError> {
        if let Some(link) = get_message(state, &self.root, &keys::two(keys::COMPONENT_LINK, a, b))? {
            return Ok((Some(link), false));
        }
        let link: Option<LinkFact> = get_message(state, &self.root, &keys::two(keys::SET_ASIDE, a, b))?;
        let aside = link.is_some();
        Ok((link, aside))
    }

    /// Stores a link, to be found from either end.
    pub(super) fn put_link(self, state: &mut dyn State, (a, b): (Hash128, Hash128), link: &LinkFact, aside: bool) {
        put_message(state, &self.root, &keys::two(tag(aside), a, b), link);
        put_message(state, &self.root, &keys::two(tag(aside), b, a), link);
    }

    /// Takes a link out.
    pub(super) fn delete_link(self, state: &mut dyn State, (a, b): (Hash128, Hash128), aside: bool) {
        state.delete(&self.root, &keys::two(tag(aside), a, b));
        state.delete(&self.root, &keys::two(tag(aside), b, a));
    }

    /// Whether a link is to be set aside, given the bounds of its ends.
    pub(super) fn is_beyond(link: &LinkFact, (a, b): (Hash128, Hash128), bounds: [&Option<Bounds>; 2]) -> bool {
        let beyond = |of: &Option<Bounds>, other| of.as_ref().is_some_and(|of| of.is_beyond(link, other));
        is_public(link) && (beyond(bounds[0], b) || beyond(bounds[1], a))
    }

    /// Those of a member's public links that come after the first `most` ones with members that are not shared.
    pub(super) fn late(
        self,
        state: &mut dyn State,
        public: &BTreeMap<Leaf, LinkFact>,
        most: usize,
    ) -> Result<Vec<Leaf>, StateError> {
        let (mut count, mut late) = (0, Vec::new());
        for (at_ms, other) in public.keys() {
            if count == most {
                late.push((*at_ms, *other));
                continue;
            }
            count += usize::from(self.member(state, *other)?.is_some_and(|known| !known.shared));
        }
        Ok(late)
    }

    /// Sets aside the late ones of a member's public links.
    pub(super) fn set_aside(
        self,
        state: &mut dyn State,
        (hash, member): (Hash128, &mut Member),
        public: &BTreeMap<Leaf, LinkFact>,
        late: &[Leaf],
    ) {
        let Some((last_ms, last)) = late.first().and_then(|first| public.range(..first).next_back()).map(|(last, _)| *last)
        else {
            return;
        };
        (member.last_leaf, member.last_leaf_ms) = (last.to_bytes().to_vec(), last_ms);
        self.put_member(state, hash, member);
        for at in late {
            if let Some(link) = public.get(at) {
                self.delete_link(state, (hash, at.1), false);
                self.put_link(state, (hash, at.1), link, true);
            }
        }
    }

    /// Takes up again what was set aside for a member.
    pub fn take_up(self, state: &mut dyn State, of: Hash128) -> Result<(), StateError> {
        let Some(mut member) = self.member(state, of)?.filter(has_set_aside) else { return Ok(()) };
        (member.last_leaf, member.last_leaf_ms) = (Vec::new(), 0);
        self.put_member(state, of, &member);
        for (other, link) in self.links_aside(state, of)? {
            let there = self.bounds_of(state, other)?;
            if !Self::is_beyond(&link, (of, other), [&None, &there]) {
                self.delete_link(state, (of, other), true);
                self.put_link(state, (of, other), &link, false);
            }
        }
        Ok(())
    }

    /// Takes up again what was set aside for a member and for those it is linked to: it, or its links, are not what they were.
    pub fn take_up_around(self, state: &mut dyn State, of: Hash128) -> Result<(), StateError> {
        let mut around = self.links_of(state, of)?;
        around.extend(self.links_aside(state, of)?);
        for (other, _) in around {
            self.take_up(state, other)?;
        }
        self.take_up(state, of)
    }
}
