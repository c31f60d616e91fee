//! A component in the state of its root: one key per member and per link, never one growing value; and its clusters, one by one.

mod accounts;
mod search;
mod throttle;

use std::collections::BTreeSet;

use tributary_proto::{
    Absorb, AccountIs, Belongs, DayAssertion, Hash128, Identifier, LinkFact, Member, Message, Published, Subscribe,
};
use tributary_runtime::mailbox::Parts;
use tributary_runtime::state::{
    ActorKey, State, StateError, decode, get_message, prefix_end, put_message, scan_messages, visit,
};

use crate::cluster::is_trusted;
use crate::days::{assertion_key, merge_day, stored_earlier};
use crate::facts::{is_active, is_public, merge_link, merge_member};
use crate::group::Assertions;
use crate::keys;
pub use search::Search;
pub use throttle::Due;

/// The component of one root.
#[derive(Clone, Copy)]
pub struct Component {
    root: ActorKey,
}

/// The part of `Member` that shows whether a statement is outdated: reads its generation without decoding the rest.
#[derive(Clone, PartialEq, Message)]
struct MemberGeneration {
    #[prost(uint64, tag = "9")]
    generation: u64,
}

/// What an addition changed.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Anything changed.
    pub news: bool,
    /// A member was added, or a link began to join.
    pub new: bool,
    /// A member became shared, was named by a trusted event, or got a new generation; or a link stopped joining, or is no longer public. So
    /// clusters, or parts of public-only identifiers, may fall apart.
    pub shrunk: bool,
}

/// What an assertion changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asserted {
    /// Nothing.
    Nothing,
    /// The same account was asserted later on a day on which it was asserted before.
    Later,
    /// Anything else.
    Anew,
}

/// A cluster: members connected by links between non-shared identifiers.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Members, sorted by hash.
    pub members: Vec<(Hash128, Member)>,
    /// The links between them, sorted by the hashes of their ends.
    pub links: Vec<LinkFact>,
    /// Members whose part of public-only identifiers became too large, or is no longer too large.
    pub turned: BTreeSet<Hash128>,
    /// Members that were in one part with these before and may not be now: their clusters have to be computed, too.
    pub left: Vec<Hash128>,
}

impl Component {
    /// The component of the root with this hash.
    pub fn of(root: Hash128) -> Self {
        Self { root: keys::identifier(root) }
    }

    /// The stored facts about a member.
    pub fn member(self, state: &mut dyn State, hash: Hash128) -> Result<Option<Member>, StateError> {
        get_message(state, &self.root, &keys::one(keys::MEMBER, hash))
    }

    /// Whether the component has this member.
    pub fn has_member(self, state: &mut dyn State, hash: Hash128) -> Result<bool, StateError> {
        Ok(state.get(&self.root, &keys::one(keys::MEMBER, hash))?.is_some())
    }

    /// Merges facts about a member.
    pub fn add_member(self, state: &mut dyn State, hash: Hash128, said: &Member) -> Result<Added, StateError> {
        let known = self.member(state, hash)?;
        let new = known.is_none();
        let mut member = known.unwrap_or_default();
        let was_trusted = is_trusted(&member);
        let before =
            (member.told.as_ref().map(|told| told.epoch), member.shared, member.generation, member.identifier.is_some());
        if new {
            member.quarantined = said.quarantined;
        }
        if said.generation > member.generation {
            for (sub, _) in scan_messages::<DayAssertion>(state, &self.root, &keys::one(keys::ASSERTION, hash))? {
                state.delete(&self.root, &sub);
            }
        }
        let current = said.generation >= member.generation;
        let news = merge_member(&mut member, said) || new;
        if member.identifier.is_none() && current {
            member.identifier.clone_from(&said.identifier);
        }
        let now = (member.told.as_ref().map(|told| told.epoch), member.shared, member.generation, member.identifier.is_some());
        if news || before != now {
            put_message(state, &self.root, &keys::one(keys::MEMBER, hash), &member);
        }
        let loses_links = member.generation > before.2 || (member.shared && !before.1);
        let shrunk = !new && (loses_links || is_trusted(&member) != was_trusted);
        Ok(Added { news, new, shrunk })
    }

    /// The generation of a member, without decoding the rest.
    fn generation_of(self, state: &mut dyn State, hash: Hash128) -> Result<Option<u64>, StateError> {
        let known: Option<MemberGeneration> = get_message(state, &self.root, &keys::one(keys::MEMBER, hash))?;
        Ok(known.map(|known| known.generation))
    }

    /// Replaces a member.
    pub fn put_member(self, state: &mut dyn State, hash: Hash128, member: &Member) {
        put_message(state, &self.root, &keys::one(keys::MEMBER, hash), member);
    }

    /// Merges what a member asserts on a day under a generation.
    pub fn add_assertion(
        self,
        state: &mut dyn State,
        (hash, member): (Hash128, Option<&Member>),
        said: &DayAssertion,
    ) -> Result<Asserted, StateError> {
        let sub = assertion_key(hash, said);
        let known: Option<DayAssertion> = get_message(state, &self.root, &sub)?;
        let outdated = |generation: u64| generation > said.generation;
        if known.as_ref().is_some_and(|known| outdated(known.generation))
            || member.is_some_and(|member| outdated(member.generation))
        {
            return Ok(Asserted::Nothing);
        }
        let of_this = known.filter(|known| known.generation == said.generation);
        let before = of_this.clone().and_then(|known| known.day);
        let mut now = of_this.unwrap_or_else(|| DayAssertion {
            account: said.account.clone(),
            member: hash.to_bytes().to_vec(),
            generation: said.generation,
            day: None,
        });
        let (Some(day), into) = (&said.day, now.day.get_or_insert_default()) else { return Ok(Asserted::Nothing) };
        if !merge_day(into, day) {
            return Ok(Asserted::Nothing);
        }
        let retracted = into.first_retracted || into.last_retracted;
        let later = before.as_ref().is_some_and(|before| before.first == into.first) && !retracted;
        put_message(state, &self.root, &sub, &now);
        Ok(if later { Asserted::Later } else { Asserted::Anew })
    }

    fn assertions(self, state: &mut dyn State, hash: Hash128, member: &Member) -> Result<Vec<DayAssertion>, StateError> {
        let found = scan_messages::<DayAssertion>(state, &self.root, &keys::one(keys::ASSERTION, hash))?;
        Ok(found.into_iter().map(|(_, assertion)| assertion).chain(stored_earlier(&member.assertion)).collect())
    }

    /// The assertions of all these members.
    pub fn assertions_of(self, state: &mut dyn State, members: &[(Hash128, Member)]) -> Result<Assertions, StateError> {
        let mut all = Assertions::new();
        for (hash, member) in members {
            let found = self.assertions(state, *hash, member)?;
            if !found.is_empty() {
                all.insert(*hash, found);
            }
        }
        Ok(all)
    }

    /// Merges a link as reported by its first end under a generation.
    pub fn add_link(self, state: &mut dyn State, ends: (Hash128, Hash128), said: &LinkFact) -> Result<Added, StateError> {
        let (a, b) = ends;
        let there = keys::two(keys::COMPONENT_LINK, a, b);
        let known: Option<LinkFact> = get_message(state, &self.root, &there)?;
        let outdated = known.as_ref().is_some_and(|known| known.generation > said.generation)
            || self.generation_of(state, a)?.is_some_and(|generation| generation > said.generation);
        if outdated {
            return Ok(Added::default());
        }
        let joined = known.as_ref().is_some_and(is_active);
        let was_public = known.as_ref().is_some_and(is_public);
        let mut link = known.filter(|known| known.generation == said.generation).unwrap_or_else(|| LinkFact {
            a: said.a.clone(),
            b: said.b.clone(),
            generation: said.generation,
            ..LinkFact::default()
        });
        let news = merge_link(&mut link, said);
        if news {
            put_message(state, &self.root, &there, &link);
            put_message(state, &self.root, &keys::two(keys::COMPONENT_LINK, b, a), &link);
        }
        let joins = is_active(&link);
        let shrunk = joined && (!joins || (was_public && !is_public(&link)));
        Ok(Added { news, new: !joined && joins, shrunk })
    }

    /// Drops the links that older generations of a member have reported; returns their other ends.
    pub fn drop_outdated_links(self, state: &mut dyn State, of: Hash128, generation: u64) -> Result<Vec<Hash128>, StateError> {
        let mut dropped = Vec::new();
        for (other, link) in self.links_of(state, of)? {
            if other > of && link.generation < generation {
                state.delete(&self.root, &keys::two(keys::COMPONENT_LINK, of, other));
                state.delete(&self.root, &keys::two(keys::COMPONENT_LINK, other, of));
                dropped.push(other);
            }
        }
        Ok(dropped)
    }

    /// The links of a member, each with the hash of its other end.
    pub fn links_of(self, state: &mut dyn State, of: Hash128) -> Result<Vec<(Hash128, LinkFact)>, StateError> {
        self.links_with(state, of, |_| true)
    }

    /// The links of a member to those that `with` accepts.
    fn links_with(
        self,
        state: &mut dyn State,
        of: Hash128,
        so: impl Fn(&Hash128) -> bool,
    ) -> Result<Vec<(Hash128, LinkFact)>, StateError> {
        let mut links = Vec::new();
        visit(state, &self.root, &keys::one(keys::COMPONENT_LINK, of), |sub, value| {
            let other = sub.get(17..).and_then(Hash128::from_bytes).unwrap_or_default();
            if so(&other) {
                links.push((other, decode(&self.root, sub, value)?));
            }
            Ok(())
        })?;
        Ok(links)
    }

    /// The hashes of all members.
    pub fn members(self, state: &mut dyn State) -> Result<Vec<Hash128>, StateError> {
        let mut all = Vec::new();
        state.scan(&self.root, &[keys::MEMBER], &prefix_end(&[keys::MEMBER]), &mut |sub, _| {
            all.extend(sub.get(1..).and_then(Hash128::from_bytes));
            true
        })?;
        Ok(all)
    }

    /// Reads the members and links into the cache, so that the search for clusters does not read the store for each of them.
    pub fn warm(self, state: &mut dyn State) -> Result<(), StateError> {
        for tag in [keys::MEMBER, keys::COMPONENT_LINK] {
            state.scan(&self.root, &[tag], &prefix_end(&[tag]), &mut |_, _| false)?;
        }
        Ok(())
    }

    /// Adds the published rows of another component. They are marked to be published again: this component may have published something
    /// else under the same id from the facts it had by then.
    pub fn add_published(self, state: &mut dyn State, said: &Published) {
        self.put_published(state, &Published { digest: Vec::new(), ..said.clone() });
    }

    /// What was last published under an id.
    pub fn published(self, state: &mut dyn State, id: &str) -> Result<Option<Published>, StateError> {
        get_message(state, &self.root, &published_key(id))
    }

    /// Stores what was published.
    pub fn put_published(self, state: &mut dyn State, published: &Published) {
        put_message(state, &self.root, &published_key(&published.id), published);
    }

    /// Deletes what was published under an id.
    pub fn forget_published(self, state: &mut dyn State, id: &str) {
        state.delete(&self.root, &published_key(id));
    }

    /// Removes the component from the state, and returns it in parts to be sent to its new root.
    pub fn take(
        self,
        state: &mut dyn State,
        root: &Identifier,
        epoch: u64,
        bytes_max: usize,
    ) -> Result<Vec<Absorb>, StateError> {
        let mut parts = Parts::new(Absorb { from: Some(root.clone()), epoch, ..Absorb::default() }, bytes_max);
        // The order matters: an answer changes members that subscribed, and a published row the members it is named after.
        for (_, mut member) in self.take_all::<Member>(state, keys::MEMBER)? {
            // Something may have been removed since: the receiver computes it again.
            member.large = false;
            parts.room(member.encoded_len()).members.push(member);
        }
        for (sub, link) in self.take_all::<LinkFact>(state, keys::COMPONENT_LINK)? {
            let end = |at: std::ops::Range<usize>| sub.get(at).unwrap_or_default();
            if end(1..17) <= end(17..33) {
                parts.room(link.encoded_len()).links.push(link);
            }
        }
        for (_, assertion) in self.take_all::<DayAssertion>(state, keys::ASSERTION)? {
            parts.room(assertion.encoded_len()).assertions.push(assertion);
        }
        for (_, subscription) in self.take_all::<Subscribe>(state, keys::SUBSCRIPTION)? {
            parts.room(subscription.encoded_len()).subscriptions.push(subscription);
        }
        for (_, answer) in self.take_all::<AccountIs>(state, keys::ACCOUNT)? {
            parts.room(answer.encoded_len()).accounts.push(answer);
        }
        for (_, belongs) in self.take_all::<Belongs>(state, keys::PERSON)? {
            parts.room(belongs.encoded_len()).people.push(belongs);
        }
        for (_, published) in self.take_all::<Published>(state, keys::PUBLISHED)? {
            parts.room(published.encoded_len()).published.push(published);
        }
        // The receiver looks at all members anyway.
        self.wake(state)?;
        Ok(parts.finish(|part, at, more| (part.part, part.more) = (at, more)))
    }

    fn take_all<M: Message + Default>(self, state: &mut dyn State, tag: u8) -> Result<Vec<(Vec<u8>, M)>, StateError> {
        let found = scan_messages::<M>(state, &self.root, &[tag])?;
        for (sub, _) in &found {
            state.delete(&self.root, sub);
        }
        Ok(found)
    }
}

fn published_key(id: &str) -> Vec<u8> {
    keys::one(keys::PUBLISHED, Hash128::of(id.as_bytes()))
}
