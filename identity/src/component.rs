//! A component in the state of its root: one key a member and a link, never one growing value.

use std::collections::BTreeMap;

use tributary_proto::{Absorb, AccountIs, Hash128, Identifier, LinkFact, Member, Message, Published, Subscribe};
use tributary_runtime::state::{ActorKey, State, StateError, get_message, put_message, scan_messages};

use crate::facts::{is_active, merge_account, merge_link, merge_member};
use crate::keys;

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
}

/// Everything a root knows, by hash.
pub struct Loaded {
    /// Members.
    pub members: Vec<(Hash128, Member)>,
    /// Links with an end among the members.
    pub links: Vec<LinkFact>,
    /// What account identifiers have told.
    pub answers: BTreeMap<Hash128, AccountIs>,
    /// Profiles or accounts last published, by id.
    pub published: BTreeMap<String, Published>,
}

impl Component {
    /// The component of the root with this hash.
    pub fn of(root: Hash128) -> Self {
        Self { root: keys::identifier(root) }
    }

    /// Adds what is said of a member.
    pub fn add_member(self, state: &mut dyn State, said: &Member) -> Result<Added, StateError> {
        let Some(identifier) = &said.identifier else { return Ok(Added::default()) };
        let sub = keys::one(keys::MEMBER, identifier.hash());
        let known: Option<Member> = get_message(state, &self.root, &sub)?;
        let new = known.is_none();
        let mut member = known.unwrap_or_else(|| Member { identifier: Some(identifier.clone()), ..Member::default() });
        let told = member.told.as_ref().map(|told| told.epoch);
        let news = merge_member(&mut member, said) || new;
        if news || told != member.told.as_ref().map(|told| told.epoch) {
            put_message(state, &self.root, &sub, &member);
        }
        Ok(Added { news, new })
    }

    /// Replaces a member.
    pub fn put_member(self, state: &mut dyn State, hash: Hash128, member: &Member) {
        put_message(state, &self.root, &keys::one(keys::MEMBER, hash), member);
    }

    /// Whether an identifier is a member.
    pub fn has_member(self, state: &mut dyn State, hash: Hash128) -> Result<bool, StateError> {
        Ok(state.get(&self.root, &keys::one(keys::MEMBER, hash))?.is_some())
    }

    /// Adds what is said of a link.
    pub fn add_link(self, state: &mut dyn State, said: &LinkFact) -> Result<Added, StateError> {
        let (Some(a), Some(b)) = (&said.a, &said.b) else { return Ok(Added::default()) };
        let sub = keys::two(keys::COMPONENT_LINK, a.hash(), b.hash());
        let known: Option<LinkFact> = get_message(state, &self.root, &sub)?;
        let joined = known.as_ref().is_some_and(is_active);
        let mut link = known.unwrap_or_else(|| LinkFact { a: said.a.clone(), b: said.b.clone(), ..LinkFact::default() });
        let news = merge_link(&mut link, said);
        if news {
            put_message(state, &self.root, &sub, &link);
        }
        Ok(Added { news, new: !joined && is_active(&link) })
    }

    /// Adds the answer of an account identifier; returns whether it was news.
    pub fn add_answer(self, state: &mut dyn State, said: &AccountIs) -> Result<bool, StateError> {
        let Some(account) = &said.account else { return Ok(false) };
        let sub = keys::one(keys::ACCOUNT, account.hash());
        let known: Option<AccountIs> = get_message(state, &self.root, &sub)?;
        let news = match known {
            Some(mut known) => merge_account(&mut known, said),
            None => true,
        };
        if news {
            put_message(state, &self.root, &sub, said);
        }
        Ok(news)
    }

    /// Remembers a subscription; returns whether it was not one before.
    pub fn add_subscription(self, state: &mut dyn State, subscribe: &Subscribe) -> Result<bool, StateError> {
        let (Some(account), Some(subscriber)) = (&subscribe.account, &subscribe.subscriber) else { return Ok(false) };
        let sub = keys::two(keys::SUBSCRIPTION, account.hash(), subscriber.hash());
        let new = state.get(&self.root, &sub)?.is_none();
        if new {
            put_message(state, &self.root, &sub, subscribe);
        }
        Ok(new)
    }

    /// Adds what another component has published. Two that have published the same id may differ in what came last: it is published anew.
    pub fn add_published(self, state: &mut dyn State, said: &Published) -> Result<(), StateError> {
        let sub = published_key(&said.id);
        let known = state.get(&self.root, &sub)?.is_some();
        let digest = if known { Vec::new() } else { said.digest.clone() };
        put_message(state, &self.root, &sub, &Published { id: said.id.clone(), digest });
        Ok(())
    }

    /// Remembers what was published.
    pub fn put_published(self, state: &mut dyn State, published: &Published) {
        put_message(state, &self.root, &published_key(&published.id), published);
    }

    /// Forgets what was published under an id.
    pub fn forget_published(self, state: &mut dyn State, id: &str) {
        state.delete(&self.root, &published_key(id));
    }

    /// Reads it all.
    pub fn load(self, state: &mut dyn State) -> Result<Loaded, StateError> {
        let hash = |sub: &[u8]| sub.get(1..).and_then(Hash128::from_bytes).unwrap_or_default();
        let members = scan_messages::<Member>(state, &self.root, &[keys::MEMBER])?;
        let links = scan_messages::<LinkFact>(state, &self.root, &[keys::COMPONENT_LINK])?;
        let answers = scan_messages::<AccountIs>(state, &self.root, &[keys::ACCOUNT])?;
        let published = scan_messages::<Published>(state, &self.root, &[keys::PUBLISHED])?;
        Ok(Loaded {
            members: members.into_iter().map(|(sub, member)| (hash(&sub), member)).collect(),
            links: links.into_iter().map(|(_, link)| link).collect(),
            answers: answers.into_iter().map(|(sub, answer)| (hash(&sub), answer)).collect(),
            published: published.into_iter().map(|(_, published)| (published.id.clone(), published)).collect(),
        })
    }

    /// Takes the component out of the state, in parts to be sent to the root above.
    pub fn take(
        self,
        state: &mut dyn State,
        root: &Identifier,
        epoch: u64,
        bytes_max: usize,
    ) -> Result<Vec<Absorb>, StateError> {
        let mut parts = Parts { root: root.clone(), epoch, bytes_max, done: Vec::new(), current: Absorb::default(), bytes: 0 };
        for member in self.take_all::<Member>(state, keys::MEMBER)? {
            parts.room(member.encoded_len()).members.push(member);
        }
        for link in self.take_all::<LinkFact>(state, keys::COMPONENT_LINK)? {
            parts.room(link.encoded_len()).links.push(link);
        }
        for answer in self.take_all::<AccountIs>(state, keys::ACCOUNT)? {
            parts.room(answer.encoded_len()).accounts.push(answer);
        }
        for subscription in self.take_all::<Subscribe>(state, keys::SUBSCRIPTION)? {
            parts.room(subscription.encoded_len()).subscriptions.push(subscription);
        }
        for published in self.take_all::<Published>(state, keys::PUBLISHED)? {
            parts.room(published.encoded_len()).published.push(published);
        }
        Ok(parts.finish())
    }

    fn take_all<M: Message + Default>(self, state: &mut dyn State, tag: u8) -> Result<Vec<M>, StateError> {
        let found = scan_messages::<M>(state, &self.root, &[tag])?;
        for (sub, _) in &found {
            state.delete(&self.root, sub);
        }
        Ok(found.into_iter().map(|(_, message)| message).collect())
    }
}

fn published_key(id: &str) -> Vec<u8> {
    keys::one(keys::PUBLISHED, Hash128::of(id.as_bytes()))
}

/// Cuts a component into messages.
struct Parts {
    root: Identifier,
    epoch: u64,
    bytes_max: usize,
    done: Vec<Absorb>,
    current: Absorb,
    bytes: usize,
}

impl Parts {
    fn room(&mut self, bytes: usize) -> &mut Absorb {
        if self.bytes > 0 && self.bytes + bytes > self.bytes_max {
            self.done.push(std::mem::take(&mut self.current));
            self.bytes = 0;
        }
        // A few bytes of tag and length a field.
        self.bytes += bytes + 8;
        &mut self.current
    }

    fn finish(mut self) -> Vec<Absorb> {
        self.done.push(self.current);
        let last = self.done.len() - 1;
        for (at, part) in self.done.iter_mut().enumerate() {
            part.from = Some(self.root.clone());
            part.epoch = self.epoch;
            part.part = u32::try_from(at).unwrap_or(u32::MAX);
            part.more = at < last;
        }
        self.done
    }
}
