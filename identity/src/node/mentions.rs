//! What an identifier keeps of its events, by mention: see [`crate::mention`].

use std::collections::BTreeMap;

use tributary_proto::{ConsentFact, Erasure, Hash128, Mention, Sighting, TraitFact, Word};
use tributary_runtime::state::{State, StateError, get_message, put_message, scan_messages};

use super::{Node, put_later_trait};
use crate::days::{Stated, stored_earlier};
use crate::facts::{merge_consent, merge_word, trait_name};
use crate::keys;
use crate::mention::{self, ALONE, Mentioned, PUBLIC_ALONE, is_alone};

impl Node {
    /// What is kept of the events of a mention; `None` for a mention that is new.
    pub fn sighting(&self, state: &mut dyn State, mention: Hash128) -> Result<Option<Sighting>, StateError> {
        match mention {
            ALONE => Ok(self.state.alone.clone()),
            PUBLIC_ALONE => Ok(self.state.public_alone.clone()),
            _ => get_message(state, &self.actor, &keys::one(keys::SIGHTING, mention)),
        }
    }

    /// Writes what is kept of the events of a mention, or that nothing is.
    pub fn put_sighting(&mut self, state: &mut dyn State, mention: Hash128, sighting: Option<Sighting>) {
        match mention {
            ALONE => return self.edit().alone = sighting,
            PUBLIC_ALONE => return self.edit().public_alone = sighting,
            _ => {}
        }
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
        let gone = self.is_gone(state)?;
        let mut all = Vec::new();
        for (hash, sighting) in [(ALONE, &self.state.alone), (PUBLIC_ALONE, &self.state.public_alone)] {
            let Some(sighting) = sighting.clone() else { continue };
            let (own, none) = (vec![self.identifier.clone()], Vec::new());
            let account = tributary_proto::kind::is_account(&self.identifier.kind);
            let (identifiers, account_identifiers) = if account { (none, own) } else { (own, none) };
            let public = hash == PUBLIC_ALONE;
            let mention = Mention { identifiers, account_identifiers, public, ..Mention::default() };
            let traits = traits.remove(&hash).unwrap_or_default();
            all.push(Mentioned { hash, mention, sighting, traits, accounts: Vec::new(), gone });
        }
        for (sub, mention) in scan_messages::<Mention>(state, &self.actor, &[keys::MENTION])? {
            let hash = hash_in(&sub);
            let sighting = self.sighting(state, hash)?.unwrap_or_default();
            let mut accounts = self.days(state, hash, Stated::Account)?;
            if !sighting.by_day {
                let earlier = stored_earlier(&sighting.assertion).and_then(|assertion| assertion.day);
                accounts.extend(earlier);
            }
            let traits = traits.remove(&hash).unwrap_or_default();
            all.push(Mentioned { hash, mention, sighting, traits, accounts, gone });
        }
        Ok(all)
    }

    /// The latest word in the events of a mention; of two in the same event, the one that forbids.
    pub fn word(&self, state: &mut dyn State, mention: Hash128) -> Result<Option<Word>, StateError> {
        let mut latest = None;
        for (join, what) in [(true, Stated::Joined), (false, Stated::Apart)] {
            if let Some(at) = self.latest(state, mention, what)? {
                merge_word(&mut latest, Some(&Word { join, at: Some(at) }));
            }
        }
        Ok(latest)
    }

    /// The latest consent in the events of a mention; of two in the same event, the revocation.
    pub fn consent(&self, state: &mut dyn State, mention: Hash128) -> Result<Option<ConsentFact>, StateError> {
        let mut latest = None;
        for (granted, what) in [(true, Stated::Granted), (false, Stated::Revoked)] {
            if let Some(at) = self.latest(state, mention, what)? {
                merge_consent(&mut latest, Some(&ConsentFact { granted, at: Some(at) }));
            }
        }
        Ok(latest)
    }

    /// Takes out of a mention what happened up to `until_ms`.
    pub fn void_mention(&mut self, state: &mut dyn State, mentioned: &mut Mentioned, until_ms: i64) -> Result<(), StateError> {
        self.by_day(state, mentioned.hash, &mut mentioned.sighting)?;
        mention::void(&mut mentioned.sighting, until_ms);
        let stated = self.void_days(state, mentioned.hash, until_ms)?;
        mentioned.sighting.word = self.word(state, mentioned.hash)?;
        mentioned.sighting.consent = self.consent(state, mentioned.hash)?;
        let actor = self.actor;
        mentioned.traits.retain(|fact| {
            let stands = fact.at.as_ref().is_some_and(|at| at.time_ms > until_ms);
            if !stands {
                state.delete(&actor, &keys::mention_trait(mentioned.hash, trait_name(fact)));
            }
            stands
        });
        let left = mentioned.sighting.latest_hour.is_some() || stated || !mentioned.traits.is_empty();
        self.put_sighting(state, mentioned.hash, left.then(|| mentioned.sighting.clone()));
        // What the identifier brought under any mention is void up to its own erasure: no need to say it again.
        if !is_alone(mentioned.hash) && self.state.erased_ms.is_none_or(|whole| whole < until_ms) {
            let mention = mentioned.hash.head();
            let erasures = &mut self.edit().erasures;
            match erasures.iter_mut().find(|known| known.mention == mention) {
                Some(known) => known.until_ms = known.until_ms.max(until_ms),
                None => erasures.push(Erasure { mention, until_ms, event: 0 }),
            }
        }
        Ok(())
    }

    /// Adds a trait stated in the events of a mention; returns whether it was news.
    pub fn add_mention_trait(&self, state: &mut dyn State, mention: Hash128, said: &TraitFact) -> Result<bool, StateError> {
        put_later_trait(state, &self.actor, &keys::mention_trait(mention, trait_name(said)), said)
    }
}

/// The hash after the tag of a sub-key.
fn hash_in(sub: &[u8]) -> Hash128 {
    sub.get(1..17).and_then(Hash128::from_bytes).unwrap_or_default()
}
