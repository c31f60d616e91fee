//! Statements by day: asserted accounts, explicit links and unlinks, consents. Only some of a day count, so that the state stays small.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::Event;
use tributary_proto::event::Body;
use xxhash_rust::xxh3::xxh3_128;

use super::name::Name;
use super::void::Void;

const DAY_MS: i64 = 86_400_000;

/// The order of statements: time, then event hash; the later one is greater.
pub type When = (i64, u128);

/// The position of an event in that order.
pub fn when(event: &Event) -> When {
    (event.time_ms, xxh3_128(event.event_id.as_bytes()))
}

/// The UTC day of an event.
pub fn day(event: &Event) -> i64 {
    event.time_ms.div_euclid(DAY_MS)
}

/// What an event states about each pair: an explicit link (false) or an unlink (true).
pub fn word(event: &Event) -> Option<bool> {
    match &event.body {
        Some(Body::Link(_)) => Some(false),
        Some(Body::Unlink(_)) => Some(true),
        _ => None,
    }
}

/// Whether an event is about accounts only.
pub fn is_about_accounts(event: &Event) -> bool {
    matches!(event.body, Some(Body::Account(_))) || (word(event).is_some() && event.identifiers.is_empty())
}

/// The identifiers that an event names, and what else separates identifier sets.
type Mention = (BTreeSet<Name>, BTreeSet<Name>, bool, bool, bool);

fn mention(event: &Event) -> Mention {
    let names = |all: &[tributary_proto::Identifier]| all.iter().map(Name::of).collect();
    let apart = word(event) == Some(true);
    (names(&event.identifiers), names(&event.account_identifiers), is_about_accounts(event), apart, event.public)
}

/// An asserted account: when, its canonical bytes, and its identifier.
pub type Asserted = (When, Vec<u8>, Name);

/// The explicit assertions of each identifier: of one account and day the first and the last, without retracted ones.
///
/// `asserting`: the events of [`asserting`].
pub fn assertions(asserting: &[&Event], void: &Void) -> BTreeMap<Name, BTreeSet<Asserted>> {
    let mut said: BTreeMap<(Name, Name, i64), Vec<&Event>> = BTreeMap::new();
    for event in asserting {
        if let (Some(person), Some(account)) = (event.identifiers.first(), event.account_identifiers.first()) {
            said.entry((Name::of(person), Name::of(account), day(event))).or_default().push(event);
        }
    }
    let mut asserted: BTreeMap<Name, BTreeSet<Asserted>> = BTreeMap::new();
    for ((person, account, _), events) in said {
        let times = || events.iter().map(|event| when(event));
        let ends = [times().min(), times().max()];
        let counts = |event: &&&Event| ends.contains(&Some(when(event))) && !void.is_retracted(event);
        let own = events.iter().filter(counts).map(|event| (when(event), account.bytes(), account.clone()));
        asserted.entry(person).or_default().extend(own);
    }
    asserted
}

/// The events with assertions that are not void, even if retracted. On the day of an erasure of an identifier, only the last one of an
/// identifier set counts; of milestones, all versions do.
pub fn asserting<'a>(events: &[&'a Event], void: &Void) -> Vec<&'a Event> {
    let mut last: BTreeMap<(Mention, i64), When> = BTreeMap::new();
    let asserts = |event: &&&Event| !event.public && !event.identifiers.is_empty() && !event.account_identifiers.is_empty();
    let is_version = |event: &Event| matches!(event.body, Some(Body::Milestone(_)));
    for event in events.iter().filter(asserts).filter(|event| !is_version(event)) {
        let known = last.entry((mention(event), day(event))).or_insert(when(event));
        *known = when(event).max(*known);
    }
    let is_known = |event: &&&Event| {
        let that_day = void.erased_until(event).is_some_and(|until| until.div_euclid(DAY_MS) == day(event));
        !that_day || is_version(event) || last.get(&(mention(event), day(event))) == Some(&when(event))
    };
    events.iter().filter(asserts).filter(is_known).copied().collect()
}

/// The events whose explicit links and consents count: of one identifier set, statement and day the last; none if that was retracted.
pub fn words_and_consents<'a>(events: &[&'a Event], void: &Void) -> Vec<&'a Event> {
    let says = |event: &Event| match &event.body {
        Some(Body::Consent(consent)) => Some(consent.granted),
        _ => word(event),
    };
    let mut last: BTreeMap<(Mention, bool, bool, i64), &Event> = BTreeMap::new();
    for event in events {
        let Some(what) = says(event) else { continue };
        let known = last.entry((mention(event), word(event).is_some(), what, day(event))).or_insert(event);
        if when(event) > when(known) {
            *known = event;
        }
    }
    last.into_values().filter(|event| !void.is_retracted(event)).collect()
}
