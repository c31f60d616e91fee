//! The record of an identifier, while it is worked on.

use prost::Message;
use tributary_proto::{Hash128, Identifier, IdentifierState, LinkFact, TraitFact};
use tributary_runtime::state::{ActorKey, State, StateError, get_message, put_message};

use crate::facts::{later_trait, merge_link, trait_name};
use crate::keys;
use crate::settings::Rules;

/// An identifier and what it keeps.
pub struct Node {
    /// The identifier.
    pub identifier: Identifier,
    /// Its hash.
    pub hash: Hash128,
    /// Its record.
    pub state: IdentifierState,
    actor: ActorKey,
    /// Whether the state had no record of it.
    pub new: bool,
    changed: bool,
}

impl Node {
    /// Reads the record, or begins one: a root of its own.
    pub fn load(state: &mut dyn State, identifier: &Identifier) -> Result<Self, StateError> {
        let hash = identifier.hash();
        let actor = keys::identifier(hash);
        let known: Option<IdentifierState> = get_message(state, &actor, keys::NODE)?;
        let new = known.is_none();
        if new {
            state.begins(&actor);
        }
        let record =
            known.unwrap_or_else(|| IdentifierState { identifier: Some(identifier.clone()), ..IdentifierState::default() });
        Ok(Self { identifier: identifier.clone(), hash, state: record, actor, new, changed: new })
    }

    /// Reads the record of a hash, if there is one.
    pub fn load_by_hash(state: &mut dyn State, hash: Hash128) -> Result<Option<Self>, StateError> {
        let actor = keys::identifier(hash);
        let known: Option<IdentifierState> = get_message(state, &actor, keys::NODE)?;
        Ok(known.map(|record| Self {
            identifier: record.identifier.clone().unwrap_or_default(),
            hash,
            state: record,
            actor,
            new: false,
            changed: false,
        }))
    }

    /// Whether it is the root of its component.
    pub fn is_root(&self) -> bool {
        self.state.parent.is_none()
    }

    /// The rank of its component: the binary logarithm of its size.
    pub fn rank(&self) -> u32 {
        self.state.members.max(1).ilog2()
    }

    /// The record, to be changed.
    pub fn edit(&mut self) -> &mut IdentifierState {
        self.changed = true;
        &mut self.state
    }

    /// Marks the record as changed, where it was changed in place.
    pub fn touch(&mut self, changed: bool) {
        self.changed |= changed;
    }

    /// Writes the record if it was changed.
    pub fn save(self, state: &mut dyn State) {
        if self.changed {
            put_message(state, &self.actor, keys::NODE, &self.state);
        }
    }

    /// Adds what is said of the link to another identifier; returns whether it was news.
    pub fn add_link(&mut self, state: &mut dyn State, said: &LinkFact, rules: &Rules) -> Result<bool, StateError> {
        let other = match (&said.a, &said.b) {
            (Some(a), Some(b)) if *a == self.identifier => b,
            (Some(a), Some(_)) => a,
            _ => return Ok(false),
        };
        let sub = keys::one(keys::LINK, other.hash());
        let (news, new) = merge_into(state, &self.actor, &sub, said)?;
        if new {
            let strong = rules.limit(&other.kind) == 1;
            let record = self.edit();
            record.links += 1;
            record.strong_links += u32::from(strong);
        }
        Ok(news)
    }

    /// Adds what it has to report of a link between two others; returns whether it was news.
    pub fn add_report(&self, state: &mut dyn State, said: &LinkFact) -> Result<bool, StateError> {
        let (Some(a), Some(b)) = (&said.a, &said.b) else { return Ok(false) };
        let sub = keys::two(keys::REPORTED, a.hash(), b.hash());
        merge_into(state, &self.actor, &sub, said).map(|(news, _)| news)
    }

    /// Notes that it reports having seen an account identifier at a time; returns whether that was news.
    pub fn add_account_report(&self, state: &mut dyn State, account: Hash128, time_ms: i64) -> Result<bool, StateError> {
        let sub = keys::one(keys::REPORTED_ACCOUNT, account);
        let earlier = match state.get(&self.actor, &sub)? {
            Some(bytes) => LinkFact::decode(bytes).ok().and_then(|seen| seen.earliest_ms).is_some_and(|seen| seen <= time_ms),
            None => false,
        };
        if !earlier {
            put_message(state, &self.actor, &sub, &LinkFact { earliest_ms: Some(time_ms), ..LinkFact::default() });
        }
        Ok(!earlier)
    }

    /// Adds a trait stated under it; returns whether it was news.
    pub fn add_trait(&self, state: &mut dyn State, said: &TraitFact) -> Result<bool, StateError> {
        let sub = keys::trait_named(trait_name(said));
        let known: Option<TraitFact> = get_message(state, &self.actor, &sub)?;
        let news = known.is_none_or(|known| later_trait(said, &known));
        if news {
            put_message(state, &self.actor, &sub, said);
        }
        Ok(news)
    }

    /// Remembers who wants to be told this account's id; returns whether it was new.
    pub fn add_subscriber(&self, state: &mut dyn State, subscriber: &Identifier) -> Result<bool, StateError> {
        let sub = keys::one(keys::SUBSCRIBER, subscriber.hash());
        let new = state.get(&self.actor, &sub)?.is_none();
        if new {
            put_message(state, &self.actor, &sub, subscriber);
        }
        Ok(new)
    }

    /// Everybody who wants to be told this account's id.
    pub fn subscribers(&self, state: &mut dyn State) -> Result<Vec<Identifier>, StateError> {
        let found = tributary_runtime::state::scan_messages(state, &self.actor, &[keys::SUBSCRIBER])?;
        Ok(found.into_iter().map(|(_, subscriber)| subscriber).collect())
    }
}

/// Merges a link into a sub-key; returns whether it was news, and whether there was none before.
fn merge_into(state: &mut dyn State, actor: &ActorKey, sub: &[u8], said: &LinkFact) -> Result<(bool, bool), StateError> {
    let known: Option<LinkFact> = get_message(state, actor, sub)?;
    let new = known.is_none();
    let mut link = known.unwrap_or_else(|| LinkFact { a: said.a.clone(), b: said.b.clone(), ..LinkFact::default() });
    let news = merge_link(&mut link, said) || new;
    if news {
        put_message(state, actor, sub, &link);
    }
    Ok((news, new))
}
