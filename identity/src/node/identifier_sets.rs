//! Observations of an identifier, by identifier set: see [`crate::identifier_set`].

use std::collections::BTreeMap;

use tributary_proto::{ConsentFact, Erasure, ExplicitLink, Hash128, IdentifierSet, Observation, TraitFact};
use tributary_runtime::state::{State, StateError, get_message, put_message, scan_messages};

use super::{Node, put_later_trait};
use crate::days::{Stated, stored_earlier};
use crate::facts::{merge_consent, merge_explicit, trait_name};
use crate::identifier_set::{self, ALONE, Mentioned, PUBLIC_ALONE, is_alone};
use crate::keys;

impl Node {
    /// The observation of an identifier set; `None` if the set is new.
    pub fn observation(&self, state: &mut dyn State, identifier_set: Hash128) -> Result<Option<Observation>, StateError> {
        match identifier_set {
            ALONE => Ok(self.state.alone.clone()),
            PUBLIC_ALONE => Ok(self.state.public_alone.clone()),
            _ => get_message(state, &self.actor, &keys::one(keys::OBSERVATION, identifier_set)),
        }
    }

    /// Writes the observation of an identifier set, or deletes it.
    pub fn put_observation(&mut self, state: &mut dyn State, identifier_set: Hash128, observation: Option<Observation>) {
        match identifier_set {
            ALONE => return self.edit().alone = observation,
            PUBLIC_ALONE => return self.edit().public_alone = observation,
            _ => {}
        }
        let sub = keys::one(keys::OBSERVATION, identifier_set);
        match observation {
            Some(observation) => put_message(state, &self.actor, &sub, &observation),
            None => {
                state.delete(&self.actor, &sub);
                state.delete(&self.actor, &keys::one(keys::IDENTIFIER_SET, identifier_set));
            }
        }
    }

    /// Writes the identifiers of an identifier set.
    pub fn put_identifier_set(&self, state: &mut dyn State, hash: Hash128, identifier_set: &IdentifierSet) {
        put_message(state, &self.actor, &keys::one(keys::IDENTIFIER_SET, hash), identifier_set);
    }

    /// All identifier sets with their observations.
    pub fn identifier_sets(&self, state: &mut dyn State) -> Result<Vec<Mentioned>, StateError> {
        let mut traits: BTreeMap<Hash128, Vec<TraitFact>> = BTreeMap::new();
        for (sub, fact) in scan_messages::<TraitFact>(state, &self.actor, &[keys::MENTION_TRAIT])? {
            traits.entry(hash_in(&sub)).or_default().push(fact);
        }
        let gone = self.is_gone(state)?;
        let mut all = Vec::new();
        for (hash, observation) in [(ALONE, &self.state.alone), (PUBLIC_ALONE, &self.state.public_alone)] {
            let Some(observation) = observation.clone() else { continue };
            let (own, none) = (vec![self.identifier.clone()], Vec::new());
            let account = tributary_proto::kind::is_account(&self.identifier.kind);
            let (identifiers, account_identifiers) = if account { (none, own) } else { (own, none) };
            let public = hash == PUBLIC_ALONE;
            let identifier_set = IdentifierSet { identifiers, account_identifiers, public, ..IdentifierSet::default() };
            let traits = traits.remove(&hash).unwrap_or_default();
            all.push(Mentioned { hash, identifier_set, observation, traits, accounts: Vec::new(), gone });
        }
        for (sub, identifier_set) in scan_messages::<IdentifierSet>(state, &self.actor, &[keys::IDENTIFIER_SET])? {
            let hash = hash_in(&sub);
            let observation = self.observation(state, hash)?.unwrap_or_default();
            let mut accounts = self.days(state, hash, Stated::Account)?;
            if !observation.by_day {
                let earlier = stored_earlier(&observation.assertion).and_then(|assertion| assertion.day);
                accounts.extend(earlier);
            }
            let traits = traits.remove(&hash).unwrap_or_default();
            all.push(Mentioned { hash, identifier_set, observation, traits, accounts, gone });
        }
        Ok(all)
    }

    /// The latest explicit link in the events of an identifier set; of two in the same event, the unlink.
    pub fn explicit(&self, state: &mut dyn State, identifier_set: Hash128) -> Result<Option<ExplicitLink>, StateError> {
        let mut latest = None;
        for (join, what) in [(true, Stated::Joined), (false, Stated::Apart)] {
            if let Some(at) = self.latest(state, identifier_set, what)? {
                merge_explicit(&mut latest, Some(&ExplicitLink { join, at: Some(at) }));
            }
        }
        Ok(latest)
    }

    /// The latest consent in the events of an identifier set; of two in the same event, the revocation.
    pub fn consent(&self, state: &mut dyn State, identifier_set: Hash128) -> Result<Option<ConsentFact>, StateError> {
        let mut latest = None;
        for (granted, what) in [(true, Stated::Granted), (false, Stated::Revoked)] {
            if let Some(at) = self.latest(state, identifier_set, what)? {
                merge_consent(&mut latest, Some(&ConsentFact { granted, at: Some(at) }));
            }
        }
        Ok(latest)
    }

    /// Deletes from an identifier set what happened up to `until_ms`.
    pub fn void_mention(&mut self, state: &mut dyn State, mentioned: &mut Mentioned, until_ms: i64) -> Result<(), StateError> {
        self.by_day(state, mentioned.hash, &mut mentioned.observation)?;
        identifier_set::void(&mut mentioned.observation, until_ms);
        let stated = self.void_days(state, mentioned.hash, until_ms)?;
        mentioned.observation.explicit = self.explicit(state, mentioned.hash)?;
        mentioned.observation.consent = self.consent(state, mentioned.hash)?;
        let actor = self.actor;
        mentioned.traits.retain(|fact| {
            let stands = fact.at.as_ref().is_some_and(|at| at.time_ms > until_ms);
            if !stands {
                state.delete(&actor, &keys::mention_trait(mentioned.hash, trait_name(fact)));
            }
            stands
        });
        let left = mentioned.observation.latest_hour.is_some() || stated || !mentioned.traits.is_empty();
        self.put_observation(state, mentioned.hash, left.then(|| mentioned.observation.clone()));
        // The erasure of the identifier itself already voids everything it brought up to that time.
        if !is_alone(mentioned.hash) && self.state.erased_ms.is_none_or(|whole| whole < until_ms) {
            let identifier_set = mentioned.hash.head();
            let erasures = &mut self.edit().erasures;
            match erasures.iter_mut().find(|known| known.identifier_set == identifier_set) {
                Some(known) => known.until_ms = known.until_ms.max(until_ms),
                None => erasures.push(Erasure { identifier_set, until_ms, event: 0 }),
            }
        }
        Ok(())
    }

    /// Adds a trait stated in the events of an identifier set; returns whether it changed anything.
    pub fn add_mention_trait(
        &self,
        state: &mut dyn State,
        identifier_set: Hash128,
        said: &TraitFact,
    ) -> Result<bool, StateError> {
        put_later_trait(state, &self.actor, &keys::mention_trait(identifier_set, trait_name(said)), said)
    }
}

/// The hash after the tag of a sub-key.
fn hash_in(sub: &[u8]) -> Hash128 {
    sub.get(1..17).and_then(Hash128::from_bytes).unwrap_or_default()
}
