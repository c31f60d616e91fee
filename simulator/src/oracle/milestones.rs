//! Milestones: each decided from all its versions.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::event::Body;
use tributary_proto::{Decimal, Event, Message, Milestone, MilestoneVersion};

use super::facts::Name;
use super::statements::{When, when};
use super::void::Void;

struct Version<'a> {
    public: bool,
    at: When,
    said: &'a MilestoneVersion,
    account: Option<Name>,
    person: Option<Name>,
    /// The order of two versions with the same event id and time.
    bytes: Vec<u8>,
    /// Equal for copies of one version.
    sent: Vec<u8>,
}

/// The milestones that the events report, each with the identifier that anchors it.
pub fn of(events: &[Event], void: &Void, rules: &Settings) -> Vec<(Option<Name>, Milestone)> {
    let mut versions: BTreeMap<&str, Vec<Version<'_>>> = BTreeMap::new();
    for event in events.iter().filter(|event| !void.is_void(event) && !void.is_retracted(event)) {
        if let Some(Body::Milestone(said)) = &event.body {
            versions.entry(&said.milestone_id).or_default().push(Version {
                public: event.public,
                at: when(event),
                said,
                account: event.account_identifiers.first().map(Name::of),
                person: event.identifiers.first().map(Name::of),
                bytes: event.encode_to_vec(),
                sent: Event { received_ms: 0, ..event.clone() }.encode_to_vec(),
            });
        }
    }
    let mut milestones = Vec::new();
    for (id, mut versions) in versions {
        versions.sort_by_key(|version| (version.at, version.bytes.clone()));
        // If trusted events report that it was reached, public ones do not count.
        if versions.iter().any(|version| reaches(version) && !version.public) {
            versions.retain(|version| !version.public);
        }
        let days = versions.first().and_then(|version| rules.reentry_after_days.get(&version.said.kind));
        let numbers = numbers(&versions, days.map(|days| i64::from(*days) * 86_400_000));
        let different: BTreeSet<u32> = numbers.iter().copied().collect();
        for number in different {
            let mut own: Vec<&Version<'_>> =
                versions.iter().zip(&numbers).filter(|(_, of)| **of == number).map(|(own, _)| own).collect();
            // Trusted versions come last, so they decide.
            own.sort_by_key(|version| !version.public);
            let id = if number == 1 { id.to_owned() } else { format!("{id}#{number}") };
            milestones.extend(decide(&id, &rules.currency, &own));
        }
    }
    milestones
}

fn reaches(version: &Version<'_>) -> bool {
    !version.said.amends && !version.said.withdrawn
}

/// The number of the occurrence that each version belongs to.
fn numbers(versions: &[Version<'_>], again_ms: Option<i64>) -> Vec<u32> {
    let taken: BTreeSet<u32> = versions.iter().map(|version| version.said.occurrence).collect();
    // Position and number of each occurrence's beginning.
    let mut begins: BTreeMap<usize, u32> = BTreeMap::new();
    for number in taken.iter().filter(|number| **number > 0) {
        let first = versions.iter().position(|version| version.said.occurrence == *number && reaches(version));
        begins.extend(first.map(|first| (first, *number)));
    }
    let is_silent = |(_, version): &(usize, &Version<'_>)| reaches(version) && version.said.occurrence == 0;
    let silent: Vec<(usize, i64)> =
        versions.iter().enumerate().filter(is_silent).map(|(at, version)| (at, version.at.0)).collect();
    let mut next = 1;
    for (nth, (at, time_ms)) in silent.iter().enumerate() {
        let is_new = match nth.checked_sub(1).and_then(|before| silent.get(before)) {
            Some((_, before_ms)) => again_ms.is_some_and(|again_ms| time_ms - before_ms >= again_ms),
            None => begins.range(..at).next().is_none(),
        };
        if is_new {
            while taken.contains(&next) {
                next += 1;
            }
            begins.insert(*at, next);
            next += 1;
        }
    }
    let belongs = |(at, version): (usize, &Version<'_>)| match version.said.occurrence {
        0 => begins.range(..=at).next_back().or(begins.first_key_value()).map_or(1, |(_, number)| *number),
        said => said,
    };
    versions.iter().enumerate().map(belongs).collect()
}

/// Applies the rules one after the other to the versions in their order.
fn decide(milestone_id: &str, default: &str, versions: &[&Version<'_>]) -> Option<(Option<Name>, Milestone)> {
    let first = versions.first()?;
    let mut words: Vec<&Version<'_>> = Vec::new();
    for version in versions {
        if version.said.withdrawn || !version.said.amends {
            words.push(version);
        } else if version.said.restored {
            // A version that cancels withdrawals removes those since it was last reached.
            while words.pop_if(|before| before.said.withdrawn).is_some() {}
        }
    }
    // Amendments and withdrawals alone do not make a milestone.
    let reached_ms = words.iter().find(|version| reaches(version))?.at.0;
    let withdrawn = words.last().is_some_and(|version| version.said.withdrawn);
    let last_withdrawal = words.iter().rposition(|version| version.said.withdrawn).filter(|_| !withdrawn);
    let not_before_ms = last_withdrawal.and_then(|at| words.get(at)).map_or(i64::MIN, |version| version.at.0);
    let since = words.get(last_withdrawal.map_or(0, |at| at + 1)..).unwrap_or_default();
    let mut occurred =
        versions.iter().filter(|version| version.said.occurred_at_cleared || version.said.occurred_at_ms.is_some());
    let heeded = |version: &&&Version<'_>| version.said.occurred_at_ms.is_none_or(|time_ms| time_ms >= not_before_ms);
    let occurred_ms = occurred.rfind(heeded).and_then(|version| version.said.occurred_at_ms);
    let began_ms = since.iter().find(|version| reaches(version)).map_or(reached_ms, |version| version.at.0);

    let (mut value, mut currency) = (0, String::new());
    for Version { said, .. } in versions {
        let told = said.value.as_ref().map(|amount| exact(amount).max(0));
        value = told.unwrap_or(if said.value_cleared { 0 } else { value });
        let Some(refund) = &said.refund else {
            if said.currency_cleared || !said.currency.is_empty() {
                currency.clone_from(&said.currency);
            }
            continue;
        };
        let own = if currency.is_empty() { default } else { &currency };
        if ["", own].contains(&said.currency.as_str()) {
            value = (value - exact(refund).max(0)).max(0);
        }
    }
    if currency.is_empty() {
        currency = default.to_owned();
    }
    let different: BTreeSet<&[u8]> = versions.iter().map(|version| version.sent.as_slice()).collect();
    let latest = |of: fn(&Version<'_>) -> Option<Name>| versions.iter().rev().find_map(|version| of(version));
    let account = versions.iter().enumerate().rev().find_map(|(at, version)| {
        // An account counts from the version that names it until a version takes the milestone off it.
        let left = |later: &&Version<'_>| later.said.former_account.as_ref().map(Name::of) == version.account;
        let rest = versions.get(at..).unwrap_or_default();
        version.account.clone().filter(|_| !rest.iter().any(left))
    });
    let anchor = account.or(latest(|version| version.person.clone()));
    let milestone = Milestone {
        milestone_id: milestone_id.to_owned(),
        kind: first.said.kind.clone(),
        object_id: first.said.object_id.clone(),
        time_ms: occurred_ms.unwrap_or(began_ms),
        value_minor: in_minor_units(value, &currency),
        currency,
        withdrawn,
        public: !versions.iter().any(|version| reaches(version) && !version.public),
        gone: false,
        dimensions: dimensions(versions),
        versions: u32::try_from(different.len()).unwrap_or(u32::MAX),
    };
    Some((anchor, milestone))
}

/// The latest value of each dimension, less what was cleared and not given again.
fn dimensions(versions: &[&Version<'_>]) -> BTreeMap<String, String> {
    let given = versions.iter().flat_map(|version| &version.said.dimensions);
    let mut latest: BTreeMap<String, String> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    latest.retain(|_, value| !value.is_empty());
    latest
}

/// In units of 10^-18.
fn exact(amount: &Decimal) -> i128 {
    (amount.scale..18).fold(i128::from(amount.digits), |amount, _| amount * 10)
}

/// Decimal places by ISO 4217: yen have none, all other currencies of the histories two.
fn in_minor_units(amount: i128, currency: &str) -> i64 {
    let unit = if currency == "JPY" { 1_000_000_000_000_000_000 } else { 10_000_000_000_000_000 };
    let (whole, rest) = (amount / unit, amount % unit);
    i64::try_from(whole + i128::from(rest * 2 >= unit)).unwrap_or(i64::MAX)
}
