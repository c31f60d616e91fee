//! Statements by day: of the statements of an identifier set on one UTC day the first and the last count.
//!
//! A person's accounts are a timeline, so the latest assertion is not enough. A statement may be retracted, so the latest explicit link or
//! consent is not enough either. Kept by day, the state stays small. The first and the last of a day are taken over all statements: a
//! retracted one is still stored, has no effect, and hides those between the two. So the state is a function of the set of events, in
//! whatever order statements and retractions arrive.

use tributary_proto::{Assertion, Day, DayAssertion, Hash128, Identifier, Stamp};

use crate::keys;
use crate::stamp::stamp_key;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What an event states, apart from an observation. The letters are part of the stored format: do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stated {
    /// The account of its primary identifier, or the parent of its account.
    Account = b'a',
    /// Its identifiers belong to one person or account.
    Joined = b'j',
    /// They do not.
    Apart = b'n',
    /// Consent was given.
    Granted = b'g',
    /// Consent was revoked.
    Revoked = b'r',
    /// The account exists in a CRM.
    Here = b'h',
    /// The CRM has deleted the account.
    Gone = b'x',
}

impl Stated {
    /// All values.
    pub const ALL: [Self; 7] = [Self::Account, Self::Joined, Self::Apart, Self::Granted, Self::Revoked, Self::Here, Self::Gone];
}

/// The UTC day of a time, counted from 1970-01-01.
pub fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS)
}

/// The beginning of the day of a time.
pub fn midnight_before(time_ms: i64) -> i64 {
    day_of(time_ms) * DAY_MS
}

/// One statement of a day.
pub fn one(at: &Stamp, retracted: bool) -> Day {
    Day { first: Some(at.clone()), last: Some(at.clone()), first_retracted: retracted, last_retracted: retracted }
}

/// Merges two sets of statements of one day: keeps the first and the last.
pub fn merge_day(known: &mut Day, said: &Day) -> bool {
    let before = known.clone();
    let (first, other) = (stamp_key(known.first.as_ref()), stamp_key(said.first.as_ref()));
    if said.first.is_some() && (known.first.is_none() || other < first) {
        (known.first, known.first_retracted) = (said.first.clone(), said.first_retracted);
    } else if other == first {
        known.first_retracted |= said.first_retracted;
    }
    let (last, other) = (stamp_key(known.last.as_ref()), stamp_key(said.last.as_ref()));
    if other > last {
        (known.last, known.last_retracted) = (said.last.clone(), said.last_retracted);
    } else if other == last {
        known.last_retracted |= said.last_retracted;
    }
    *known != before
}

/// The statements of a day that were not retracted.
pub fn standing(day: &Day) -> impl Iterator<Item = &Stamp> {
    let first = day.first.as_ref().filter(|_| !day.first_retracted);
    let last = day.last.as_ref().filter(|_| !day.last_retracted);
    first.into_iter().chain(last.filter(|last| Some(*last) != first))
}

/// Keeps only the last statement. On the day of an erasure some earlier ones are void, and which were between them is not stored.
pub(crate) fn only_last(day: &mut Day) {
    (day.first, day.first_retracted) = (day.last.clone(), day.last_retracted);
}

/// The latest of the last statements of days that count.
pub(crate) fn latest(days: impl Iterator<Item = Day>) -> Option<Stamp> {
    let lasts = days.filter(|day| !day.last_retracted).filter_map(|day| day.last);
    lasts.max_by(|a, b| stamp_key(Some(a)).cmp(&stamp_key(Some(b))))
}

/// Whether the last statement of the day is at or before `until_ms`.
pub(crate) fn is_over(day: &Day, until_ms: i64) -> bool {
    stamp_key(day.last.as_ref()).0 <= until_ms
}

/// The account and the day of an assertion: its merge key.
fn of_day(assertion: &DayAssertion) -> (Option<&Identifier>, i64) {
    let at = assertion.day.as_ref().and_then(|day| day.first.as_ref());
    (assertion.account.as_ref(), day_of(at.map_or(0, |at| at.time_ms)))
}

/// Merges assertions by account and day.
pub fn merge_assertions(known: &mut Vec<DayAssertion>, said: &[DayAssertion]) -> bool {
    let mut news = false;
    for assertion in said {
        let same = known.iter_mut().find(|have| of_day(have) == of_day(assertion));
        match (same, &assertion.day) {
            (Some(have), Some(day)) => news |= merge_day(have.day.get_or_insert_default(), day),
            (None, Some(_)) => {
                known.push(assertion.clone());
                news = true;
            }
            (_, None) => {}
        }
    }
    news
}

/// The assertion that an earlier version of this program stored, which kept one only.
pub fn stored_earlier(assertion: &Option<Assertion>) -> Option<DayAssertion> {
    let Assertion { account, at } = assertion.clone()?;
    Some(DayAssertion { account, day: Some(one(&at?, false)), ..DayAssertion::default() })
}

/// The sub-key under which a root stores what a member asserts of an account on a day.
pub fn assertion_key(member: Hash128, assertion: &DayAssertion) -> Vec<u8> {
    let (account, day) = of_day(assertion);
    let mut key = keys::two(keys::ASSERTION, member, account.map(Identifier::hash).unwrap_or_default());
    keys::push_day(&mut key, day);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Statements and retractions of a day give the same in any order.
        #[test]
        fn days_merge_to_the_same_in_any_order(said in prop::collection::vec((0i64..5, any::<bool>()), 1..6), at in 0usize..6) {
            let all: Vec<Day> =
                said.iter().map(|(time_ms, retracted)| one(&Stamp { time_ms: *time_ms, event_hash: vec![1; 16] }, *retracted)).collect();
            let merged = |order: &mut dyn Iterator<Item = &Day>| order.fold(Day::default(), |mut day, said| { merge_day(&mut day, said); day });
            let turned = merged(&mut all.iter().cycle().skip(at).take(all.len()));
            prop_assert_eq!(merged(&mut all.iter()), turned);
        }
    }
}
