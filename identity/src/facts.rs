//! Facts are sets: merging two statements about the same thing, in any order.
//!
//! Every `merge_*` takes the known value and the stated one, sets the known one to the union of both (a minimum, a maximum, or both), and
//! returns whether anything was new. They are commutative, associative and idempotent: that is why arrival order cannot matter.

use std::cmp::Ordering;

use tributary_proto::{Assertion, Claim, ConsentFact, ExplicitLink, LinkFact, Member, Placement, TraitFact};

use crate::days::merge_assertions;
use crate::stamp::stamp_key;

/// Keeps the earlier time.
pub fn merge_earliest(known: &mut Option<i64>, said: Option<i64>) -> bool {
    match (*known, said) {
        (_, None) => false,
        (Some(earlier), Some(time)) if earlier <= time => false,
        _ => {
            *known = said;
            true
        }
    }
}

/// Keeps the greater one, as `later` compares.
fn merge_latest<T: Clone>(known: &mut Option<T>, said: Option<&T>, later: impl Fn(&T, &T) -> bool) -> bool {
    let Some(said) = said else { return false };
    if known.as_ref().is_some_and(|known| !later(said, known)) {
        return false;
    }
    *known = Some(said.clone());
    true
}

/// Keeps the later assertion; of two in the same event, the greater account.
pub fn merge_assertion(known: &mut Option<Assertion>, said: Option<&Assertion>) -> bool {
    fn key(of: &Assertion) -> ((i64, &[u8]), Option<Vec<u8>>) {
        (stamp_key(of.at.as_ref()), of.account.as_ref().map(tributary_proto::Identifier::key))
    }
    merge_latest(known, said, |said, known| key(said) > key(known))
}

/// Keeps the later consent; of two in the same event, the revocation.
pub fn merge_consent(known: &mut Option<ConsentFact>, said: Option<&ConsentFact>) -> bool {
    fn key(of: &ConsentFact) -> ((i64, &[u8]), bool) {
        (stamp_key(of.at.as_ref()), !of.granted)
    }
    merge_latest(known, said, |said, known| key(said) > key(known))
}

fn trait_key(of: &TraitFact) -> (bool, (i64, &[u8]), &str) {
    (!of.public, stamp_key(of.at.as_ref()), of.r#trait.as_ref().map_or("", |named| named.value.as_str()))
}

/// Whether `said` counts before `known`: a trusted statement of a trait before a public one, then the later; of two in the same event, the
/// greater value.
pub fn later_trait(said: &TraitFact, known: &TraitFact) -> bool {
    trait_key(said) > trait_key(known)
}

/// The name of a trait.
pub fn trait_name(of: &TraitFact) -> &str {
    of.r#trait.as_ref().map_or("", |named| named.name.as_str())
}

/// Keeps the latest statement of each trait, sorted by name.
pub fn merge_traits(known: &mut Vec<TraitFact>, said: &[TraitFact]) -> bool {
    let mut news = false;
    for fact in said {
        match known.binary_search_by(|have| trait_name(have).cmp(trait_name(fact))) {
            Ok(at) => {
                if let Some(have) = known.get_mut(at)
                    && later_trait(fact, have)
                {
                    *have = fact.clone();
                    news = true;
                }
            }
            Err(at) => {
                known.insert(at, fact.clone());
                news = true;
            }
        }
    }
    news
}

/// Keeps the earliest observations and the latest explicit link of a pair.
pub fn merge_link(known: &mut LinkFact, said: &LinkFact) -> bool {
    let mut received = received_ms(known);
    let sooner = merge_earliest(&mut received, received_ms(said));
    known.received_ms = received;
    sooner
        | merge_earliest(&mut known.earliest_ms, said.earliest_ms)
        | merge_earliest(&mut known.public_ms, said.public_ms)
        | merge_explicit(&mut known.explicit, said.explicit.as_ref())
}

/// When a pair was first seen together: by a trusted event, else by a public one.
pub fn seen_ms(link: &LinkFact) -> Option<i64> {
    link.earliest_ms.or(link.public_ms)
}

/// When the first public event that has seen a pair together was received.
pub fn received_ms(link: &LinkFact) -> Option<i64> {
    link.received_ms.or(link.public_ms)
}

/// Whether all evidence for a link is public.
pub fn is_public(link: &LinkFact) -> bool {
    link.earliest_ms.is_none() && link.explicit.is_none()
}

/// Keeps the later explicit link; of two in the same event, the unlink.
pub fn merge_explicit(known: &mut Option<ExplicitLink>, said: Option<&ExplicitLink>) -> bool {
    merge_latest(known, said, |said, known| {
        (stamp_key(said.at.as_ref()), !said.join) > (stamp_key(known.at.as_ref()), !known.join)
    })
}

/// Whether the link joins: the pair was seen together or explicitly linked, and is not unlinked.
pub fn is_active(link: &LinkFact) -> bool {
    seen_ms(link).is_some() && !is_forbidden(link)
}

/// Whether the latest explicit link of the pair is an unlink.
pub fn is_forbidden(link: &LinkFact) -> bool {
    link.explicit.as_ref().is_some_and(|explicit| !explicit.join)
}

/// Whether the latest explicit link of the pair joins it.
pub fn is_explicit(link: &LinkFact) -> bool {
    link.explicit.as_ref().is_some_and(|explicit| explicit.join)
}

fn epoch(of: Option<&Placement>) -> Option<u64> {
    of.map(|placement| placement.epoch)
}

/// Merges facts about a member. Facts of a higher generation replace those of a lower one, because something was taken back.
pub fn merge_member(known: &mut Member, said: &Member) -> bool {
    if epoch(said.told.as_ref()) > epoch(known.told.as_ref()) {
        known.told = said.told.clone();
    }
    match said.generation.cmp(&known.generation) {
        Ordering::Less => return false,
        Ordering::Greater => {
            let Member { told, quarantined, large, .. } = std::mem::take(known);
            *known = Member { told, quarantined, large, ..said.clone() };
            return true;
        }
        Ordering::Equal => {}
    }
    let shared = said.shared && !known.shared;
    let present = said.present && !known.present;
    known.shared |= said.shared;
    known.present |= said.present;
    merge_earliest(&mut known.earliest_ms, said.earliest_ms)
        | merge_earliest(&mut known.public_ms, said.public_ms)
        | merge_assertion(&mut known.assertion, said.assertion.as_ref())
        | merge_consent(&mut known.consent, said.consent.as_ref())
        | merge_consent(&mut known.public_consent, said.public_consent.as_ref())
        | merge_traits(&mut known.traits, &said.traits)
        | shared
        | present
}

/// Merges two claims of one speaker, or of several.
pub fn merge_claim(known: &mut Claim, said: &Claim) -> bool {
    let mut news = false;
    for link in &said.links {
        match known.links.iter_mut().find(|have| have.a == link.a && have.b == link.b) {
            Some(have) => news |= merge_link(have, link),
            None => {
                known.links.push(link.clone());
                news = true;
            }
        }
    }
    merge_earliest(&mut known.earliest_ms, said.earliest_ms)
        | merge_earliest(&mut known.public_ms, said.public_ms)
        | merge_assertions(&mut known.assertions, &said.assertions)
        | merge_assertion(&mut known.assertion, said.assertion.as_ref())
        | merge_consent(&mut known.consent, said.consent.as_ref())
        | merge_consent(&mut known.public_consent, said.public_consent.as_ref())
        | merge_traits(&mut known.traits, &said.traits)
        | news
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tributary_proto::{Identifier, Stamp, Trait};

    use super::*;

    fn stamp() -> impl Strategy<Value = Option<Stamp>> {
        (0i64..4, prop::collection::vec(0u8..3, 1)).prop_map(|(time_ms, event_hash)| Some(Stamp { time_ms, event_hash }))
    }

    fn link() -> impl Strategy<Value = LinkFact> {
        let explicit = (any::<bool>(), stamp()).prop_map(|(join, at)| ExplicitLink { join, at });
        (prop::option::of(0i64..5), prop::option::of(explicit)).prop_map(|(earliest_ms, explicit)| LinkFact {
            earliest_ms,
            explicit,
            ..LinkFact::default()
        })
    }

    fn member() -> impl Strategy<Value = Member> {
        let fact = ("[ab]", "[xy]", stamp()).prop_map(|(name, value, at)| TraitFact {
            r#trait: Some(Trait { name, value }),
            at,
            public: false,
        });
        let account =
            ("[ab]", stamp()).prop_map(|(value, at)| Assertion { account: Some(Identifier::new("domain", "", value)), at });
        let consent = (any::<bool>(), stamp()).prop_map(|(granted, at)| ConsentFact { granted, at });
        (
            prop::option::of(0i64..5),
            prop::option::of(account),
            prop::option::of(consent),
            prop::collection::vec(fact, 0..3),
            any::<bool>(),
            0u64..3,
        )
            .prop_map(|(earliest_ms, assertion, consent, traits, shared, generation)| {
                let mut sorted = Vec::new();
                merge_traits(&mut sorted, &traits);
                Member { earliest_ms, assertion, consent, traits: sorted, shared, generation, ..Member::default() }
            })
    }

    proptest! {
        #[test]
        fn links_merge_to_the_same_in_any_order(a in link(), b in link(), c in link()) {
            let mut left = a.clone();
            merge_link(&mut left, &b);
            merge_link(&mut left, &c);
            let mut right = c.clone();
            merge_link(&mut right, &a);
            merge_link(&mut right, &b);
            prop_assert_eq!(&left, &right);
            prop_assert!(!merge_link(&mut left, &b), "what is known is no news");
        }

        #[test]
        fn members_merge_to_the_same_in_any_order(a in member(), b in member(), c in member()) {
            let mut left = a.clone();
            merge_member(&mut left, &b);
            merge_member(&mut left, &c);
            let mut right = c.clone();
            merge_member(&mut right, &b);
            merge_member(&mut right, &a);
            prop_assert_eq!(&left, &right);
            prop_assert!(!merge_member(&mut left, &c), "what is known is no news");
        }
    }
}
