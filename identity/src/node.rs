//! The record of an identifier, while it is being changed.

pub(crate) mod days;
mod identifier_sets;
mod links;

use prost::Message;
use tributary_proto::{Claim, Erasure, Hash128, Identifier, IdentifierState, Stamp, Subscribe, TraitFact, kind};
use tributary_runtime::state::{ActorKey, State, StateError, get_message, put_message, scan_messages};

use crate::facts::{later_trait, merge_claim, trait_name};
use crate::identifier_set::touches_void_until;
use crate::keys;
use crate::names::lone_placement;
use crate::settings::Rules;
use crate::stamp::head_of;

/// An identifier and its stored record.
pub struct Node {
    /// The identifier.
    pub identifier: Identifier,
    /// Its hash.
    pub hash: Hash128,
    /// Its record.
    pub state: IdentifierState,
    pub(crate) actor: ActorKey,
    changed: bool,
}

impl Node {
    /// Reads the record of the identifier with this hash, or begins one.
    pub fn load(state: &mut dyn State, identifier: &Identifier, hash: Hash128) -> Result<Self, StateError> {
        let actor = keys::identifier(hash);
        let record: Option<IdentifierState> = get_message(state, &actor, keys::NODE)?;
        if record.is_none() {
            state.begins(&actor);
        }
        let record = record.unwrap_or_default();
        Ok(Self { identifier: identifier.clone(), hash, state: record, actor, changed: false })
    }

    /// Whether it is the root of its component.
    pub fn is_root(&self) -> bool {
        self.state.parent.is_none()
    }

    /// The rank of its component: the binary logarithm of its size.
    pub fn rank(&self) -> u32 {
        self.state.members.max(1).ilog2()
    }

    /// The record for editing; marks it as changed.
    pub fn edit(&mut self) -> &mut IdentifierState {
        self.changed = true;
        &mut self.state
    }

    /// Marks the record as changed, where it was changed in place.
    pub fn touch(&mut self, changed: bool) {
        self.changed |= changed;
    }

    /// Writes its name into the record if an erasure has removed it.
    pub fn name(&mut self) {
        if self.state.identifier.is_none() {
            self.edit().identifier = Some(self.identifier.clone());
        }
    }

    /// Removes its name from the record. If it is a root, others know it by its address.
    pub fn forget_name(&mut self) {
        let account = self.is_account();
        let record = self.edit();
        (record.identifier, record.nameless_account) = (None, account);
    }

    /// Whether it is an account identifier. If its name was removed, the record has that.
    pub fn is_account(&self) -> bool {
        kind::is_account(&self.identifier.kind) || (self.identifier.is_address() && self.state.nameless_account)
    }

    /// Writes the record if it was changed.
    pub fn save(&self, state: &mut dyn State) {
        if self.changed {
            put_message(state, &self.actor, keys::NODE, &self.state);
        }
    }

    /// Whether a trusted event names it.
    pub fn is_trusted(&self) -> bool {
        self.state.earliest_ms.is_some()
    }

    /// Whether the event of a stamp was retracted.
    pub fn has_retracted(&self, at: &Stamp) -> bool {
        self.state.erasures.iter().any(|known| known.event != 0 && head_of(at) == Some(known.event))
    }

    /// The time up to which an identifier is erased, if this node was notified of it.
    pub fn erased_ms(&self, state: &mut dyn State, of: Hash128) -> Result<Option<i64>, StateError> {
        if of == self.hash {
            return Ok(self.state.erased_ms);
        }
        let erasure: Option<Erasure> = get_message(state, &self.actor, &keys::one(keys::ERASURE, of))?;
        Ok(erasure.map(|erasure| erasure.until_ms))
    }

    /// The latest erasure of any of these people that this node was notified of.
    pub fn erased_of(&self, state: &mut dyn State, people: &[Identifier]) -> Result<Option<i64>, StateError> {
        let mut latest = None;
        for identifier in people {
            latest = latest.max(self.erased_ms(state, identifier.hash())?);
        }
        Ok(latest)
    }

    /// Stores the erasure of an identifier.
    pub fn put_erased(&mut self, state: &mut dyn State, of: Hash128, until_ms: i64) {
        if of == self.hash {
            self.edit().erased_ms = Some(until_ms);
        } else {
            // A node's record must exist before its other keys.
            self.touch(true);
            put_message(state, &self.actor, &keys::one(keys::ERASURE, of), &Erasure { until_ms, ..Erasure::default() });
        }
    }

    /// The erasures that void touches of this identifier, for its unit.
    pub fn erasures(&self) -> Vec<Erasure> {
        let whole = self.state.erased_ms.map(|until_ms| Erasure { until_ms, ..Erasure::default() });
        let all = whole.into_iter().chain(self.state.erasures.iter().copied());
        let of_touches = |erasure: Erasure| match erasure.event {
            0 => Erasure { until_ms: touches_void_until(erasure.until_ms), ..erasure },
            _ => erasure,
        };
        all.map(of_touches).collect()
    }

    /// Merges a claim with the earlier ones of its speaker; returns whether it changed anything.
    pub fn add_claim(&self, state: &mut dyn State, speaker: Hash128, said: &Claim) -> Result<bool, StateError> {
        let sub = keys::one(keys::CLAIM, speaker);
        let known: Option<Claim> = get_message(state, &self.actor, &sub)?;
        let new = known.is_none();
        let mut claim =
            known.unwrap_or_else(|| Claim { by: said.by.clone(), milestone_id: said.milestone_id.clone(), ..Claim::default() });
        let news = merge_claim(&mut claim, said) || new;
        if news {
            put_message(state, &self.actor, &sub, &claim);
        }
        Ok(news)
    }

    /// Replaces the claims of a speaker, or deletes them.
    pub fn replace_claim(&self, state: &mut dyn State, speaker: Hash128, said: Option<Claim>) {
        let sub = keys::one(keys::CLAIM, speaker);
        match said {
            Some(said) => {
                put_message(state, &self.actor, &sub, &Claim { about: None, erased_ms: None, anew: false, ..said });
            }
            None => state.delete(&self.actor, &sub),
        }
    }

    /// The claims of all other identifiers.
    pub fn claims(&self, state: &mut dyn State) -> Result<Vec<Claim>, StateError> {
        Ok(scan_messages(state, &self.actor, &[keys::CLAIM])?.into_iter().map(|(_, claim)| claim).collect())
    }

    /// Adds a trait; returns whether it changed anything.
    pub fn add_trait(&self, state: &mut dyn State, said: &TraitFact) -> Result<bool, StateError> {
        put_later_trait(state, &self.actor, &keys::trait_named(trait_name(said)), said)
    }

    /// Replaces all facts that follow from claims.
    pub fn replace_facts(&mut self, state: &mut dyn State, all: &Claim, rules: &Rules) -> Result<(), StateError> {
        for tag in [keys::LINK, keys::TRAIT] {
            let mut gone = Vec::new();
            state.scan(&self.actor, &[tag], &[tag + 1], &mut |sub, _| {
                gone.push(sub.to_vec());
                true
            })?;
            for sub in gone {
                state.delete(&self.actor, &sub);
            }
        }
        let record = self.edit();
        (record.earliest_ms, record.public_ms) = (all.earliest_ms, all.public_ms);
        record.assertion = None;
        record.consent.clone_from(&all.consent);
        record.public_consent.clone_from(&all.public_consent);
        (record.links, record.strong_links, record.public_links, record.public_strong_links) = (0, 0, 0, 0);
        record.generation += 1;
        for link in &all.links {
            self.add_link(state, link, rules)?;
        }
        for fact in &all.traits {
            self.add_trait(state, fact)?;
        }
        Ok(())
    }

    /// Adds or removes a subscriber to this account's id; returns whether it is a new one.
    pub fn add_subscriber(&self, state: &mut dyn State, said: &Subscribe) -> Result<bool, StateError> {
        let Some(subscriber) = &said.subscriber else { return Ok(false) };
        let sub = keys::one(keys::SUBSCRIBER, subscriber.hash());
        let known: Option<Subscribe> = get_message(state, &self.actor, &sub)?;
        if known.as_ref().is_some_and(|known| known.epoch > said.epoch) {
            return Ok(false);
        }
        let new = !said.end && known.is_none_or(|known| known.end || known.epoch < said.epoch);
        if new || said.end {
            let subscriber = said.subscriber.clone().filter(|_| !said.end);
            put_message(state, &self.actor, &sub, &Subscribe { account: None, subscriber, ..said.clone() });
        }
        Ok(new)
    }

    /// All subscribers to this account's id.
    pub fn subscribers(&self, state: &mut dyn State) -> Result<Vec<Identifier>, StateError> {
        let found = scan_messages::<Subscribe>(state, &self.actor, &[keys::SUBSCRIBER])?;
        Ok(found.into_iter().filter_map(|(_, subscribe)| subscribe.subscriber).collect())
    }

    /// Gives it a placement of its own until its root sends one.
    pub fn place_alone(&mut self) {
        if self.state.placement.is_none() {
            let alone = lone_placement(&self.identifier, self.hash);
            self.edit().placement = Some(alone);
        }
    }
}

/// Writes a trait if it is later than the stored one; returns whether it was.
fn put_later_trait(state: &mut dyn State, actor: &ActorKey, sub: &[u8], said: &TraitFact) -> Result<bool, StateError> {
    let known = state.get(actor, sub)?.and_then(|bytes| TraitFact::decode(bytes).ok());
    let news = known.is_none_or(|known| later_trait(said, &known));
    if news {
        put_message(state, actor, sub, said);
    }
    Ok(news)
}
