//! What a primary identifier keeps of its events: one [`Sighting`] for every mention, which is the set of identifiers that events name.
//!
//! From the sightings follow the claims that the identifier makes about itself and about the others it is named with. They are
//! registers that keep an earliest or a latest, and yet an erasure can take out of them what it voids, because
//!
//! - an event is void when *any* identifier it names is erased, so that all events of one mention are voided by the same erasures;
//! - an erasure voids a prefix of time: of a latest nothing or all is left;
//! - of the earliest nothing is left but that something came later, which the hour of the latest event tells. What has been seen since
//!   an erasure counts as first seen at the erasure. Sightings within the hour of an erasure are not counted, so that a sighting costs
//!   a write once an hour only.

use tributary_proto::{Claim, Hash128, Identifier, LinkFact, Mention, Sighting, TraitFact};

use crate::facts::{merge_claim, merge_earliest};
use crate::keys;

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// When the identifiers count as first seen together, milliseconds since 1970-01-01 UTC; `None` where they do not.
pub fn first_seen(of: &Sighting) -> Option<i64> {
    match of.erased_ms {
        None => of.first_ms,
        Some(until_ms) => of.latest_hour.map(|_| until_ms.saturating_add(1)),
    }
}

/// Whether an event at this time is a sighting, and its touch counts, given the erasure of the identifiers it names.
pub fn counts(time_ms: i64, erased_ms: Option<i64>) -> bool {
    erased_ms.is_none_or(|until_ms| time_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS) > until_ms)
}

/// The last time at which touches do not count, given an erasure: the end of its hour. A touch that counts is a sighting, so that
/// everybody it names has heard of it, and can tell of a later erasure.
pub fn touches_void_until(erased_ms: i64) -> i64 {
    erased_ms.div_euclid(HOUR_MS).saturating_add(1).saturating_mul(HOUR_MS).saturating_sub(1)
}

/// Notes an event; returns whether that changed the sighting.
pub fn see(sighting: &mut Sighting, time_ms: i64) -> bool {
    if !counts(time_ms, sighting.erased_ms) {
        return false;
    }
    let hour = Some(time_ms.div_euclid(HOUR_MS));
    let later = sighting.latest_hour < hour;
    if later {
        sighting.latest_hour = hour;
    }
    let earlier = sighting.erased_ms.is_none() && merge_earliest(&mut sighting.first_ms, Some(time_ms));
    later | earlier
}

/// Takes out what happened up to `until_ms`.
pub fn void(sighting: &mut Sighting, until_ms: i64) {
    if sighting.erased_ms.is_some_and(|known| known >= until_ms) {
        return;
    }
    sighting.erased_ms = Some(until_ms);
    sighting.first_ms = None;
    sighting.latest_hour = sighting.latest_hour.filter(|hour| hour.saturating_mul(HOUR_MS) > until_ms);
    let stands = |at: Option<&tributary_proto::Stamp>| at.is_some_and(|at| at.time_ms > until_ms);
    sighting.word = sighting.word.take().filter(|word| stands(word.at.as_ref()));
    sighting.assertion = sighting.assertion.take().filter(|assertion| stands(assertion.at.as_ref()));
    sighting.consent = sighting.consent.take().filter(|consent| stands(consent.at.as_ref()));
}

/// Whether nothing is left of a sighting, traits aside.
pub fn is_void(sighting: &Sighting) -> bool {
    sighting.latest_hour.is_none() && sighting.word.is_none() && sighting.assertion.is_none() && sighting.consent.is_none()
}

/// A mention as it stands in the state.
#[derive(Debug, Clone)]
pub struct Mentioned {
    /// Hash of the mention; `None` where an event names one identifier only.
    pub hash: Option<Hash128>,
    /// The identifiers.
    pub mention: Mention,
    /// What is kept of its events.
    pub sighting: Sighting,
    /// Traits stated in its events.
    pub traits: Vec<TraitFact>,
}

impl Mentioned {
    /// Whether its events name this identifier.
    pub fn names(&self, identifier: &Identifier) -> bool {
        self.all().any(|named| named == identifier)
    }

    /// All identifiers, people first.
    pub fn all(&self) -> impl Iterator<Item = &Identifier> {
        self.mention.identifiers.iter().chain(&self.mention.account_identifiers)
    }

    /// What is said of one of its identifiers; `None` where it is not one. Accounts asserted and consent are said of the primary one.
    pub fn claim(&self, about: &Identifier) -> Option<Claim> {
        if !self.names(about) {
            return None;
        }
        let Mention { identifiers: people, account_identifiers: accounts, links_accounts, apart } = &self.mention;
        let seen_ms = first_seen(&self.sighting);
        let earliest_ms = seen_ms.filter(|_| !apart || !people.contains(about));
        let first_ms = seen_ms.filter(|_| !apart);
        let mut claim = Claim { earliest_ms, ..Claim::default() };
        let groups = [Some(people), links_accounts.then_some(accounts)];
        for group in groups.into_iter().flatten().filter(|group| group.contains(about)) {
            for other in group.iter().filter(|other| *other != about) {
                let ((a, _), (b, _)) = keys::ordered(about, other);
                let (a, b) = (Some(a.clone()), Some(b.clone()));
                let word = self.sighting.word.clone();
                if first_ms.is_some() || word.is_some() {
                    claim.links.push(LinkFact { a, b, earliest_ms: first_ms, word, generation: 0 });
                }
            }
        }
        if people.first().or_else(|| accounts.first()) == Some(about) {
            claim.assertion.clone_from(&self.sighting.assertion);
            claim.consent.clone_from(&self.sighting.consent);
        }
        if bearer(people, accounts, *links_accounts) == Some(about) {
            claim.traits.clone_from(&self.traits);
        }
        Some(claim)
    }
}

/// Who an event's traits are about: the account, where the account is what the event is about; else the primary identifier.
fn bearer<'a>(people: &'a [Identifier], accounts: &'a [Identifier], links_accounts: bool) -> Option<&'a Identifier> {
    if links_accounts { accounts.first() } else { people.first().or_else(|| accounts.first()) }
}

/// All that mentions say of an identifier; `None` where none names it.
pub fn claim_about(mentions: &[Mentioned], about: &Identifier) -> Option<Claim> {
    let mut all = None;
    for claim in mentions.iter().filter_map(|mentioned| mentioned.claim(about)) {
        merge_claim(all.get_or_insert_default(), &claim);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Sightings and an erasure give the same in any order, and the same as sightings that were never there.
        #[test]
        fn an_erasure_commutes(times in prop::collection::vec(0i64..12 * HOUR_MS, 0..8), until_ms in 0i64..12 * HOUR_MS, at in 0usize..9) {
            let mut early = Sighting::default();
            void(&mut early, until_ms);
            for time_ms in times.iter().filter(|time_ms| **time_ms > until_ms) {
                see(&mut early, *time_ms);
            }
            let mut late = Sighting::default();
            for (position, time_ms) in times.iter().enumerate() {
                if position == at {
                    void(&mut late, until_ms);
                }
                see(&mut late, *time_ms);
            }
            void(&mut late, until_ms);
            prop_assert_eq!(early, late);
        }
    }
}
