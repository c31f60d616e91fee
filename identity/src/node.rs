//! The record of an identifier, while it is worked on.

use std::collections::BTreeMap;

use prost::Message;
use tributary_proto::{
    Claim, Erasure, Hash128, Identifier, IdentifierState, LinkFact, Mention, Placement, Sighting, Subscribe, TraitFact,
};
use tributary_runtime::state::{ActorKey, State, StateError, get_message, put_message, scan_messages};

use crate::facts::{later_trait, merge_claim, merge_link, trait_name};
use crate::keys;
use crate::mention::{Mentioned, is_void, touches_void_until};
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
    changed: bool,
}

impl Node {
    /// Reads the record, or begins one.
    pub fn load(state: &mut dyn State, identifier: &Identifier) -> Result<Self, StateError> {
        let hash = identifier.hash();
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

    /// The record, to be changed.
    pub fn edit(&mut self) -> &mut IdentifierState {
        self.changed = true;
        &mut self.state
    }

    /// Marks the record as changed, where it was changed in place.
    pub fn touch(&mut self, changed: bool) {
        self.changed |= changed;
    }

    /// Writes its name into the record, if an erasure has taken it out.
    pub fn name(&mut self) {
        if self.state.identifier.is_none() {
            self.edit().identifier = Some(self.identifier.clone());
        }
    }

    /// Takes its name out of the record: others keep its address, if it is their root.
    pub fn forget_name(&mut self) {
        self.edit().identifier = None;
    }

    /// Writes the record if it was changed.
    pub fn save(mut self, state: &mut dyn State) {
        self.flush(state);
    }

    /// As [`Self::save`], and on it goes.
    pub fn flush(&mut self, state: &mut dyn State) {
        if std::mem::take(&mut self.changed) {
            put_message(state, &self.actor, keys::NODE, &self.state);
        }
    }

    /// What is kept of the events of a mention; `None` for a mention that is new. `None` is the mention of nobody else.
    pub fn sighting(&self, state: &mut dyn State, mention: Option<Hash128>) -> Result<Option<Sighting>, StateError> {
        match mention {
            Some(mention) => get_message(state, &self.actor, &keys::one(keys::SIGHTING, mention)),
            None => Ok(self.state.alone.clone()),
        }
    }

    /// Writes what is kept of the events of a mention, or that nothing is.
    pub fn put_sighting(&mut self, state: &mut dyn State, mention: Option<Hash128>, sighting: Option<Sighting>) {
        let Some(mention) = mention else {
            self.edit().alone = sighting;
            return;
        };
        let sub = keys::one(keys::SIGHTING, mention);
        match sighting {
            Some(sighting) => put_message(state, &self.actor, &sub, &sighting),
            None => {
                state.delete(&self.actor, &sub);
                state.delete(&self.actor, &keys::one(keys::MENTION, mention));
            }
        }
    }

    /// Writes which identifiers a mention is of.
    pub fn put_mention(&self, state: &mut dyn State, hash: Hash128, mention: &Mention) {
        put_message(state, &self.actor, &keys::one(keys::MENTION, hash), mention);
    }

    /// All mentions with what is kept of their events.
    pub fn mentions(&self, state: &mut dyn State) -> Result<Vec<Mentioned>, StateError> {
        let mut traits: BTreeMap<Hash128, Vec<TraitFact>> = BTreeMap::new();
        for (sub, fact) in scan_messages::<TraitFact>(state, &self.actor, &[keys::MENTION_TRAIT])? {
            traits.entry(hash_in(&sub)).or_default().push(fact);
        }
        let mut all = Vec::new();
        if let Some(sighting) = self.state.alone.clone() {
            let (own, none) = (vec![self.identifier.clone()], Vec::new());
            let account = tributary_proto::kind::is_account(&self.identifier.kind);
            let (identifiers, account_identifiers) = if account { (none, own) } else { (own, none) };
            let mention = Mention { identifiers, account_identifiers, links_accounts: false, apart: false };
            let traits = traits.remove(&Hash128::default()).unwrap_or_default();
            all.push(Mentioned { hash: None, mention, sighting, traits });
        }
        for (sub, mention) in scan_messages::<Mention>(state, &self.actor, &[keys::MENTION])? {
            let hash = hash_in(&sub);
            let sighting = self.sighting(state, Some(hash))?.unwrap_or_default();
            all.push(Mentioned { hash: Some(hash), mention, sighting, traits: traits.remove(&hash).unwrap_or_default() });
        }
        Ok(all)
    }

    /// Takes out of a mention what happened up to `until_ms`.
    pub fn void_mention(&mut self, state: &mut dyn State, mentioned: &mut Mentioned, until_ms: i64) {
        crate::mention::void(&mut mentioned.sighting, until_ms);
        let actor = self.actor;
        mentioned.traits.retain(|fact| {
            let stands = fact.at.as_ref().is_some_and(|at| at.time_ms > until_ms);
            if !stands {
                state.delete(&actor, &keys::mention_trait(mentioned.hash.unwrap_or_default(), trait_name(fact)));
            }
            stands
        });
        let left = !is_void(&mentioned.sighting) || !mentioned.traits.is_empty();
        self.put_sighting(state, mentioned.hash, left.then(|| mentioned.sighting.clone()));
        // What the identifier brought under any mention is void up to its own erasure: no need to say it again.
        if let Some(mention) = mentioned.hash.filter(|_| self.state.erased_ms.is_none_or(|whole| whole < until_ms)) {
            let mention = mention.head();
            let erasures = &mut self.edit().erasures;
            match erasures.iter_mut().find(|known| known.mention == mention) {
                Some(known) => known.until_ms = known.until_ms.max(until_ms),
                None => erasures.push(Erasure { mention, until_ms }),
            }
        }
    }

    /// Up to when an identifier is erased, as far as this one has heard.
    pub fn erased_ms(&self, state: &mut dyn State, of: Hash128) -> Result<Option<i64>, StateError> {
        if of == self.hash {
            return Ok(self.state.erased_ms);
        }
        let erasure: Option<Erasure> = get_message(state, &self.actor, &keys::one(keys::ERASURE, of))?;
        Ok(erasure.map(|erasure| erasure.until_ms))
    }

    /// The latest erasure of any of these people, as far as this one has heard.
    pub fn erased_of(&self, state: &mut dyn State, people: &[Identifier]) -> Result<Option<i64>, StateError> {
        let mut latest = None;
        for identifier in people {
            latest = latest.max(self.erased_ms(state, identifier.hash())?);
        }
        Ok(latest)
    }

    /// Notes that an identifier is erased.
    pub fn put_erased(&mut self, state: &mut dyn State, of: Hash128, until_ms: i64) {
        if of == self.hash {
            self.edit().erased_ms = Some(until_ms);
        } else {
            // The record comes before all else of the actor.
            self.touch(true);
            put_message(state, &self.actor, &keys::one(keys::ERASURE, of), &Erasure { mention: 0, until_ms });
        }
    }

    /// All that is void of what it brought, for its unit.
    pub fn erasures(&self) -> Vec<Erasure> {
        let whole = self.state.erased_ms.map(|until_ms| Erasure { mention: 0, until_ms });
        let all = whole.into_iter().chain(self.state.erasures.iter().copied());
        all.map(|erasure| Erasure { until_ms: touches_void_until(erasure.until_ms), ..erasure }).collect()
    }

    /// Takes a claim over what its speaker said before; returns whether that was news.
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

    /// Puts a claim in the place of what its speaker said before, or nothing.
    pub fn replace_claim(&self, state: &mut dyn State, speaker: Hash128, said: Option<Claim>) {
        let sub = keys::one(keys::CLAIM, speaker);
        match said {
            Some(said) => {
                put_message(state, &self.actor, &sub, &Claim { about: None, erased_ms: None, anew: false, ..said });
            }
            None => state.delete(&self.actor, &sub),
        }
    }

    /// All claims of others.
    pub fn claims(&self, state: &mut dyn State) -> Result<Vec<Claim>, StateError> {
        Ok(scan_messages(state, &self.actor, &[keys::CLAIM])?.into_iter().map(|(_, claim)| claim).collect())
    }

    /// Adds what is said of the link to another identifier; returns whether it was news.
    pub fn add_link(&mut self, state: &mut dyn State, said: &LinkFact, rules: &Rules) -> Result<bool, StateError> {
        let Some(other) = self.other_end(said) else { return Ok(false) };
        let sub = keys::one(keys::LINK, other.hash());
        let known: Option<LinkFact> = get_message(state, &self.actor, &sub)?;
        let new = known.is_none();
        let mut link = known.unwrap_or_else(|| LinkFact { a: said.a.clone(), b: said.b.clone(), ..LinkFact::default() });
        let news = merge_link(&mut link, said) || new;
        if news {
            put_message(state, &self.actor, &sub, &link);
        }
        if new {
            let strong = rules.is_strong(&self.identifier, other);
            let record = self.edit();
            record.links += 1;
            record.strong_links += u32::from(strong);
        }
        Ok(news)
    }

    /// The links to other identifiers, by all claims.
    pub fn links(&self, state: &mut dyn State) -> Result<Vec<LinkFact>, StateError> {
        Ok(scan_messages(state, &self.actor, &[keys::LINK])?.into_iter().map(|(_, link)| link).collect())
    }

    /// The other end of a link of this identifier.
    pub fn other_end<'a>(&self, link: &'a LinkFact) -> Option<&'a Identifier> {
        match (&link.a, &link.b) {
            (Some(a), Some(b)) if *a == self.identifier => Some(b),
            (Some(a), Some(_)) => Some(a),
            _ => None,
        }
    }

    /// Whether it is for this end to take the link up to the roots: the end with the smaller hash.
    pub fn speaks_for(&self, link: &LinkFact) -> bool {
        link.a.as_ref() == Some(&self.identifier)
    }

    /// Adds a trait stated in the events of a mention; returns whether it was news.
    pub fn add_mention_trait(
        &self,
        state: &mut dyn State,
        mention: Option<Hash128>,
        said: &TraitFact,
    ) -> Result<bool, StateError> {
        put_later_trait(state, &self.actor, &keys::mention_trait(mention.unwrap_or_default(), trait_name(said)), said)
    }

    /// Adds a trait stated under it; returns whether it was news.
    pub fn add_trait(&self, state: &mut dyn State, said: &TraitFact) -> Result<bool, StateError> {
        put_later_trait(state, &self.actor, &keys::trait_named(trait_name(said)), said)
    }

    /// Puts these facts in the place of all that was known by the claims.
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
        record.earliest_ms = all.earliest_ms;
        record.assertion.clone_from(&all.assertion);
        record.consent.clone_from(&all.consent);
        (record.links, record.strong_links) = (0, 0);
        record.generation += 1;
        for link in &all.links {
            self.add_link(state, link, rules)?;
        }
        for fact in &all.traits {
            self.add_trait(state, fact)?;
        }
        Ok(())
    }

    /// Remembers that somebody wants to be told this account's id, or no longer; returns whether it is somebody new.
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

    /// Everybody who wants to be told this account's id.
    pub fn subscribers(&self, state: &mut dyn State) -> Result<Vec<Identifier>, StateError> {
        let found = scan_messages::<Subscribe>(state, &self.actor, &[keys::SUBSCRIBER])?;
        Ok(found.into_iter().filter_map(|(_, subscribe)| subscribe.subscriber).collect())
    }

    /// Its placement, or one of the identifier alone while its root has told it none.
    pub fn placement_or_alone(&mut self) -> Placement {
        if self.state.placement.is_none() {
            let alone = crate::view::lone_placement(&self.identifier, self.hash);
            self.edit().placement = Some(alone);
        }
        self.state.placement.clone().unwrap_or_default()
    }
}

/// The hash after the tag of a sub-key.
fn hash_in(sub: &[u8]) -> Hash128 {
    sub.get(1..17).and_then(Hash128::from_bytes).unwrap_or_default()
}

/// Writes a trait if it is later than the one that is there; returns whether it was.
fn put_later_trait(state: &mut dyn State, actor: &ActorKey, sub: &[u8], said: &TraitFact) -> Result<bool, StateError> {
    let known = state.get(actor, sub)?.and_then(|bytes| TraitFact::decode(bytes).ok());
    let news = known.is_none_or(|known| later_trait(said, &known));
    if news {
        put_message(state, actor, sub, said);
    }
    Ok(news)
}
