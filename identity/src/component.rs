//! A component in the state of its root: one key a member and a link, never one growing value; and its clusters, one by one.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Absorb, AccountIs, Hash128, Identifier, LinkFact, Member, Message, Published, Subscribe};
use tributary_runtime::mailbox::Parts;
use tributary_runtime::state::{ActorKey, State, StateError, get_message, prefix_end, put_message, scan_messages};

use crate::facts::{is_active, is_forbidden, merge_link, merge_member};
use crate::keys;
use crate::settings::Rules;
use crate::view::lone_placement;

/// Parts of a component are cut below this many bytes: well under the 256 KiB that no message of ours exceeds.
pub(crate) const PART_BYTES_MAX: usize = 200 * 1024;

/// The component of one root.
#[derive(Clone, Copy)]
pub struct Component {
    root: ActorKey,
}

/// What an addition changed.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Anything at all.
    pub news: bool,
    /// A member that was not one; a link that joins now and did not before.
    pub new: bool,
    /// A member found shared, or with a new generation; a link that joins no more. Clusters may fall apart by it.
    pub shrunk: bool,
}

/// A cluster: members that links between non-shared ones connect.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Members, sorted by hash.
    pub members: Vec<(Hash128, Member)>,
    /// The links between them, sorted by the hashes of their ends.
    pub links: Vec<LinkFact>,
    /// Whether they are more than the limit allows. The members are then those alone that were not known to be quarantined.
    pub quarantined: bool,
}

impl Component {
    /// The component of the root with this hash.
    pub fn of(root: Hash128) -> Self {
        Self { root: keys::identifier(root) }
    }

    /// What is known of a member.
    pub fn member(self, state: &mut dyn State, hash: Hash128) -> Result<Option<Member>, StateError> {
        get_message(state, &self.root, &keys::one(keys::MEMBER, hash))
    }

    /// Adds what is said of a member.
    pub fn add_member(self, state: &mut dyn State, hash: Hash128, said: &Member) -> Result<Added, StateError> {
        let known = self.member(state, hash)?;
        let new = known.is_none();
        let mut member = known.unwrap_or_default();
        let before =
            (member.told.as_ref().map(|told| told.epoch), member.shared, member.generation, member.identifier.is_some());
        if new {
            member.quarantined = said.quarantined;
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
        let shrunk = !new && (member.generation > before.2 || (member.shared && !before.1));
        Ok(Added { news, new, shrunk })
    }

    /// Replaces a member.
    pub fn put_member(self, state: &mut dyn State, hash: Hash128, member: &Member) {
        put_message(state, &self.root, &keys::one(keys::MEMBER, hash), member);
    }

    /// Adds what a generation of its first end says of a link.
    pub fn add_link(self, state: &mut dyn State, ends: (Hash128, Hash128), said: &LinkFact) -> Result<Added, StateError> {
        let (a, b) = ends;
        let there = keys::two(keys::COMPONENT_LINK, a, b);
        let known: Option<LinkFact> = get_message(state, &self.root, &there)?;
        let outdated = known.as_ref().is_some_and(|known| known.generation > said.generation)
            || self.member(state, a)?.is_some_and(|member| member.generation > said.generation);
        if outdated {
            return Ok(Added::default());
        }
        let joined = known.as_ref().is_some_and(is_active);
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
        Ok(Added { news, new: !joined && joins, shrunk: joined && !joins })
    }

    /// Drops the links that older generations of a member have told; returns their other ends.
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
        let links = scan_messages::<LinkFact>(state, &self.root, &keys::one(keys::COMPONENT_LINK, of))?;
        Ok(links
            .into_iter()
            .map(|(sub, link)| (sub.get(17..).and_then(Hash128::from_bytes).unwrap_or_default(), link))
            .collect())
    }

    /// Brings the members and links into the cache, so that clusters are found without a read of the store for each of them.
    pub fn warm(self, state: &mut dyn State) -> Result<(), StateError> {
        for tag in [keys::MEMBER, keys::COMPONENT_LINK] {
            state.scan(&self.root, &[tag], &prefix_end(&[tag]), &mut |_, _| false)?;
        }
        Ok(())
    }

    /// The cluster of a member. `whole` is false where it can only have grown since it was computed last: then members that are known to
    /// be quarantined are not looked behind, so that the work is that of the part that is new to them. Members visited are added to `seen`.
    pub fn cluster(
        self,
        state: &mut dyn State,
        from: Hash128,
        whole: bool,
        rules: &Rules,
        seen: &mut BTreeSet<Hash128>,
    ) -> Result<Cluster, StateError> {
        let mut cluster = Cluster::default();
        let mut found: BTreeMap<Hash128, Member> = BTreeMap::new();
        let mut links: BTreeMap<(Hash128, Hash128), LinkFact> = BTreeMap::new();
        let mut next = vec![from];
        while let Some(hash) = next.pop() {
            if found.contains_key(&hash) {
                continue;
            }
            let Some(member) = self.member(state, hash)? else { continue };
            if hash != from && member.shared {
                continue;
            }
            let known_large = member.quarantined && !whole && !member.shared;
            cluster.quarantined |= known_large;
            if known_large && hash != from {
                continue;
            }
            if !member.shared {
                for (other, link) in self.links_of(state, hash)? {
                    if is_active(&link) {
                        next.push(other);
                    }
                    if is_active(&link) || is_forbidden(&link) {
                        links.insert((hash.min(other), hash.max(other)), link);
                    }
                }
            }
            found.insert(hash, member);
        }
        seen.extend(found.keys());
        cluster.quarantined |= rules.is_too_large(found.len());
        links.retain(|(a, b), _| found.contains_key(a) && found.contains_key(b));
        cluster.members = found.into_iter().collect();
        cluster.links = links.into_values().collect();
        Ok(cluster)
    }

    /// The latest answer of an account identifier.
    pub fn answer(self, state: &mut dyn State, account: Hash128) -> Result<Option<AccountIs>, StateError> {
        get_message(state, &self.root, &keys::one(keys::ACCOUNT, account))
    }

    /// Adds the answer of an account identifier; returns whether it changes what members go by.
    pub fn add_answer(self, state: &mut dyn State, said: &AccountIs) -> Result<bool, StateError> {
        let Some(account) = &said.account else { return Ok(false) };
        let hash = account.hash();
        let known = self.answer(state, hash)?;
        if known.as_ref().is_some_and(|known| known.epoch >= said.epoch) {
            return Ok(false);
        }
        put_message(state, &self.root, &keys::one(keys::ACCOUNT, hash), said);
        let before = known.map_or_else(|| lone_placement(account, hash).unit, |known| known.unit);
        Ok(before != said.unit)
    }

    /// Whether an account identifier was asked on behalf of a member.
    pub fn is_subscribed(self, state: &mut dyn State, account: Hash128, subscriber: Hash128) -> Result<bool, StateError> {
        Ok(state.get(&self.root, &keys::two(keys::SUBSCRIPTION, account, subscriber))?.is_some())
    }

    /// Remembers a subscription.
    pub fn add_subscription(self, state: &mut dyn State, subscribe: &Subscribe) {
        if let (Some(account), Some(subscriber)) = (&subscribe.account, &subscribe.subscriber) {
            put_message(state, &self.root, &keys::two(keys::SUBSCRIPTION, account.hash(), subscriber.hash()), subscribe);
        }
    }

    /// The members on whose behalf an account identifier was asked.
    pub fn subscribers_of(self, state: &mut dyn State, account: Hash128) -> Result<Vec<Hash128>, StateError> {
        let found = scan_messages::<Subscribe>(state, &self.root, &keys::one(keys::SUBSCRIPTION, account))?;
        Ok(found.into_iter().filter_map(|(sub, _)| sub.get(17..).and_then(Hash128::from_bytes)).collect())
    }

    /// Takes out the subscriptions made for a member that is no more; returns them.
    pub fn end_subscriptions(self, state: &mut dyn State, of: &Identifier, epoch: u64) -> Result<Vec<Subscribe>, StateError> {
        let mut ended = Vec::new();
        for (sub, subscribe) in scan_messages::<Subscribe>(state, &self.root, &[keys::SUBSCRIPTION])? {
            if subscribe.subscriber.as_ref() == Some(of) {
                state.delete(&self.root, &sub);
                ended.push(Subscribe { end: true, epoch, ..subscribe });
            }
        }
        for account in ended.iter().filter_map(|ended| ended.account.as_ref()).map(Identifier::hash) {
            if self.subscribers_of(state, account)?.is_empty() {
                // Nobody here will be told when it changes.
                state.delete(&self.root, &keys::one(keys::ACCOUNT, account));
            }
        }
        Ok(ended)
    }

    /// Adds what another component has published. It is published anew: this one may have said something else of it since, from what it
    /// had by then.
    pub fn add_published(self, state: &mut dyn State, said: &Published) {
        self.put_published(state, &Published { digest: Vec::new(), ..said.clone() });
    }

    /// What was last published under an id.
    pub fn published(self, state: &mut dyn State, id: &str) -> Result<Option<Published>, StateError> {
        get_message(state, &self.root, &published_key(id))
    }

    /// Remembers what was published.
    pub fn put_published(self, state: &mut dyn State, published: &Published) {
        put_message(state, &self.root, &published_key(&published.id), published);
    }

    /// Forgets what was published under an id.
    pub fn forget_published(self, state: &mut dyn State, id: &str) {
        state.delete(&self.root, &published_key(id));
    }

    /// Takes the component out of the state, in parts to be sent to the root above.
    pub fn take(
        self,
        state: &mut dyn State,
        root: &Identifier,
        epoch: u64,
        bytes_max: usize,
    ) -> Result<Vec<Absorb>, StateError> {
        let mut parts = Parts::new(Absorb { from: Some(root.clone()), epoch, ..Absorb::default() }, bytes_max);
        // In this order: an answer touches the members on whose behalf it was asked for, and what was published those it was called after.
        for (_, member) in self.take_all::<Member>(state, keys::MEMBER)? {
            parts.room(member.encoded_len()).members.push(member);
        }
        for (sub, link) in self.take_all::<LinkFact>(state, keys::COMPONENT_LINK)? {
            let end = |at: std::ops::Range<usize>| sub.get(at).unwrap_or_default();
            if end(1..17) <= end(17..33) {
                parts.room(link.encoded_len()).links.push(link);
            }
        }
        for (_, subscription) in self.take_all::<Subscribe>(state, keys::SUBSCRIPTION)? {
            parts.room(subscription.encoded_len()).subscriptions.push(subscription);
        }
        for (_, answer) in self.take_all::<AccountIs>(state, keys::ACCOUNT)? {
            parts.room(answer.encoded_len()).accounts.push(answer);
        }
        for (_, published) in self.take_all::<Published>(state, keys::PUBLISHED)? {
            parts.room(published.encoded_len()).published.push(published);
        }
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
