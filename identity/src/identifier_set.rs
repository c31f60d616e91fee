//! What a primary identifier keeps of its events: one [`Observation`] for every set of identifiers that events name.
//!
//! From the observations follow the claims that the identifier makes about itself and about the others it is named with. They are registers
//! with an earliest or a latest value, and the statements by day ([`crate::days`]). An erasure can still remove what it voids, because
//!
//! - an event is void when *any* identifier it names is erased, so that all events of one identifier set are voided by the same erasures;
//! - an erasure voids a prefix of time: of a latest value nothing or all is left;
//! - of an earliest value nothing is left except that something came later, which the hour of the latest event shows. What has been seen
//!   since an erasure counts as first seen at the erasure. Observations within the hour of an erasure are not counted, so that an
//!   observation costs a write only once an hour.

use tributary_proto::{Claim, Day, DayAssertion, Hash128, Identifier, IdentifierSet, LinkFact, Observation, TraitFact};

use crate::days::standing;
use crate::facts::{merge_claim, merge_earliest};
use crate::keys;

/// The identifier set of trusted events that name only the primary identifier. Part of the stored format: do not change.
pub const ALONE: Hash128 = Hash128(0);
/// The identifier set of public events that name only the primary identifier. Part of the stored format: do not change.
pub const PUBLIC_ALONE: Hash128 = Hash128(1);

/// Whether an identifier set names only the primary identifier.
pub fn is_alone(identifier_set: Hash128) -> bool {
    identifier_set == ALONE || identifier_set == PUBLIC_ALONE
}

/// When the first event of a public identifier set was received; if that is not known, as [`first_seen`].
fn first_received(of: &Observation) -> Option<i64> {
    of.received_ms.filter(|_| of.erased_ms.is_none()).or_else(|| first_seen(of))
}

/// When its events were first seen, and first received.
pub fn firsts(of: &Observation) -> (Option<i64>, Option<i64>) {
    (first_seen(of), first_received(of))
}

/// Milliseconds of an hour.
const HOUR_MS: i64 = 3_600_000;

/// When the identifiers were first seen together, milliseconds since 1970-01-01 UTC; `None` if that does not count.
pub fn first_seen(of: &Observation) -> Option<i64> {
    match of.erased_ms {
        None => of.first_ms,
        Some(until_ms) => of.latest_hour.map(|_| until_ms.saturating_add(1)),
    }
}

/// Whether an event at this time is an observation and its touch counts, given the latest erasure of the identifiers it names.
pub fn counts(time_ms: i64, erased_ms: Option<i64>) -> bool {
    erased_ms.is_none_or(|until_ms| time_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS) > until_ms)
}

/// The last time at which touches are void, given an erasure: the end of its hour. So every touch that counts is also an observation, and
/// each identifier it names knows of the event and can pass on a later erasure.
pub fn touches_void_until(erased_ms: i64) -> i64 {
    erased_ms.div_euclid(HOUR_MS).saturating_add(1).saturating_mul(HOUR_MS).saturating_sub(1)
}

/// Adds an event to the observation, for a public one with its time of receipt; returns whether that changed it.
pub fn see(observation: &mut Observation, time_ms: i64, received_ms: Option<i64>) -> bool {
    if !counts(time_ms, observation.erased_ms) {
        return false;
    }
    let hour = Some(time_ms.div_euclid(HOUR_MS));
    let later = observation.latest_hour < hour;
    if later {
        observation.latest_hour = hour;
    }
    if observation.erased_ms.is_some() {
        return later;
    }
    let mut received = first_received(observation);
    let sooner = received_ms.is_some() && merge_earliest(&mut received, received_ms);
    if received_ms.is_some() {
        observation.received_ms = received;
    }
    let earlier = merge_earliest(&mut observation.first_ms, Some(time_ms));
    later | earlier | sooner
}

/// Removes what happened up to `until_ms`.
pub fn void(observation: &mut Observation, until_ms: i64) {
    if observation.erased_ms.is_some_and(|known| known >= until_ms) {
        return;
    }
    observation.erased_ms = Some(until_ms);
    (observation.first_ms, observation.received_ms) = (None, None);
    observation.latest_hour = observation.latest_hour.filter(|hour| hour.saturating_mul(HOUR_MS) > until_ms);
}

/// The account that the events of an identifier set assert: see [`Mentioned::asserted`].
pub fn asserted(identifier_set: &IdentifierSet) -> Option<&Identifier> {
    let IdentifierSet { parent, parent_cleared, account_identifiers, .. } = identifier_set;
    if *parent_cleared { None } else { parent.as_ref().or(account_identifiers.first()) }
}

/// A stored identifier set.
#[derive(Debug, Clone)]
pub struct Mentioned {
    /// Its hash.
    pub hash: Hash128,
    /// The identifiers.
    pub identifier_set: IdentifierSet,
    /// The stored observation of its events.
    pub observation: Observation,
    /// Traits stated in its events.
    pub traits: Vec<TraitFact>,
    /// By day, when its events asserted their account.
    pub accounts: Vec<Day>,
    /// Whether the account that stores this identifier set is deleted in its CRM.
    pub gone: bool,
}

impl Mentioned {
    /// Whether its events name this identifier.
    pub fn names(&self, identifier: &Identifier) -> bool {
        self.all().any(|named| named == identifier)
    }

    /// All identifiers, people first.
    pub fn all(&self) -> impl Iterator<Item = &Identifier> {
        self.identifier_set.identifiers.iter().chain(&self.identifier_set.account_identifiers)
    }

    /// The account that its events assert: the one named first, or for records of accounts the parent. `None` if there is none.
    pub fn asserted(&self) -> Option<&Identifier> {
        asserted(&self.identifier_set)
    }

    /// Whether its events are about accounts only: records of a CRM, or links between accounts.
    pub fn is_of_account(&self) -> bool {
        self.identifier_set.links_accounts && self.identifier_set.identifiers.is_empty()
    }

    /// Whether its claims about others do not count: records of a deleted account. An explicit link between accounts is not part of a
    /// record, and still counts.
    fn is_of_gone(&self) -> bool {
        self.gone && self.is_of_account() && !self.identifier_set.apart && self.observation.explicit.is_none()
    }

    /// Whether any claim of its events counts.
    fn says_anything(&self) -> bool {
        let Observation { latest_hour, explicit, consent, .. } = &self.observation;
        let asserts = self.accounts.iter().any(|day| standing(day).next().is_some());
        latest_hour.is_some() || explicit.is_some() || consent.is_some() || asserts || !self.traits.is_empty()
    }

    /// The claim about one of its identifiers; `None` if it names no such identifier, or nothing counts. Asserted accounts and consent are
    /// claims about the primary identifier.
    pub fn claim(&self, about: &Identifier) -> Option<Claim> {
        if !self.names(about) || !self.says_anything() {
            return None;
        }
        let IdentifierSet { identifiers: people, account_identifiers: accounts, links_accounts, apart, public, .. } =
            &self.identifier_set;
        let gone = self.is_of_gone();
        if gone && accounts.first() != Some(about) {
            return None;
        }
        let seen_ms = first_seen(&self.observation);
        let by_trust = |seen_ms: Option<i64>| if *public { (None, seen_ms) } else { (seen_ms, None) };
        let (earliest_ms, public_ms) = by_trust(seen_ms.filter(|_| !apart || !people.contains(about)));
        let first_ms = by_trust(seen_ms.filter(|_| !apart));
        let received_ms = first_received(&self.observation).filter(|_| *public && !apart);
        let mut claim = Claim { earliest_ms, public_ms, ..Claim::default() };
        let groups = [Some(people), (*links_accounts && !gone).then_some(accounts)];
        for group in groups.into_iter().flatten().filter(|group| group.contains(about)) {
            for other in group.iter().filter(|other| *other != about) {
                let ((a, _), (b, _)) = keys::ordered(about, other);
                let (a, b) = (Some(a.clone()), Some(b.clone()));
                let explicit = self.observation.explicit.clone();
                if first_ms != (None, None) || explicit.is_some() {
                    let (earliest_ms, public_ms) = first_ms;
                    claim.links.push(LinkFact { a, b, earliest_ms, public_ms, received_ms, explicit, generation: 0 });
                }
            }
        }
        if people.first().or_else(|| accounts.first()) == Some(about) {
            let asserted = |day: &Day| DayAssertion {
                account: self.asserted().cloned(),
                day: Some(day.clone()),
                ..DayAssertion::default()
            };
            claim.assertions = self.accounts.iter().map(asserted).collect();
            let consent = if *public { &mut claim.public_consent } else { &mut claim.consent };
            consent.clone_from(&self.observation.consent);
        }
        if bearer(people, accounts, *links_accounts) == Some(about) {
            claim.traits.clone_from(&self.traits);
        }
        Some(claim)
    }
}

/// The identifier that an event's traits describe: the account if the event is about an account, else the primary identifier.
fn bearer<'a>(people: &'a [Identifier], accounts: &'a [Identifier], links_accounts: bool) -> Option<&'a Identifier> {
    if links_accounts { accounts.first() } else { people.first().or_else(|| accounts.first()) }
}

/// All claims of identifier sets about an identifier; `None` if none names it.
pub fn claim_about(identifier_sets: &[Mentioned], about: &Identifier) -> Option<Claim> {
    let mut all = None;
    for claim in identifier_sets.iter().filter_map(|mentioned| mentioned.claim(about)) {
        merge_claim(all.get_or_insert_default(), &claim);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Observations and an erasure give the same result in any order, and the same as if the void events had never arrived.
        #[test]
        fn an_erasure_commutes(times in prop::collection::vec(0i64..12 * HOUR_MS, 0..8), until_ms in 0i64..12 * HOUR_MS, at in 0usize..9) {
            let mut early = Observation::default();
            void(&mut early, until_ms);
            for time_ms in times.iter().filter(|time_ms| **time_ms > until_ms) {
                see(&mut early, *time_ms, Some(time_ms + 5));
            }
            let mut late = Observation::default();
            for (position, time_ms) in times.iter().enumerate() {
                if position == at {
                    void(&mut late, until_ms);
                }
                see(&mut late, *time_ms, Some(time_ms + 5));
            }
            void(&mut late, until_ms);
            prop_assert_eq!(early, late);
        }
    }
}
