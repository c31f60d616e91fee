//! Milestones: each decided from all its versions.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::event::Body;
use tributary_proto::{Decimal, Event, Message, Milestone, MilestoneVersion};
use xxhash_rust::xxh3::xxh3_128;

use super::facts::{Name, When};

struct Version<'a> {
    at: When,
    said: &'a MilestoneVersion,
    account: Option<Name>,
    person: Option<Name>,
    /// What comes later of two versions under one event id and time.
    bytes: Vec<u8>,
}

/// The milestones that the events report, each with the identifier that anchors it.
pub fn of(events: &[&Event], rules: &Settings) -> Vec<(Option<Name>, Milestone)> {
    let mut versions: BTreeMap<&str, Vec<Version<'_>>> = BTreeMap::new();
    for event in events {
        if let Some(Body::Milestone(said)) = &event.body {
            let at = (event.time_ms, xxh3_128(event.event_id.as_bytes()));
            versions.entry(&said.milestone_id).or_default().push(Version {
                at,
                said,
                account: event.account_identifiers.first().map(Name::of),
                person: event.identifiers.first().map(Name::of),
                bytes: event.encode_to_vec(),
            });
        }
    }
    let mut milestones = Vec::new();
    for (id, mut versions) in versions {
        versions.sort_by_key(|version| (version.at, version.bytes.clone()));
        let days = versions.first().and_then(|version| rules.reentry_after_days.get(&version.said.kind));
        let numbers = numbers(&versions, days.map(|days| i64::from(*days) * 86_400_000));
        let different: BTreeSet<u32> = numbers.iter().copied().collect();
        for number in different {
            let own: Vec<&Version<'_>> =
                versions.iter().zip(&numbers).filter(|(_, of)| **of == number).map(|(own, _)| own).collect();
            let id = if number == 1 { id.to_owned() } else { format!("{id}#{number}") };
            milestones.extend(decide(&id, &rules.currency, &own));
        }
    }
    milestones
}

/// Which time it is that each version speaks of.
fn numbers(versions: &[Version<'_>], again_ms: Option<i64>) -> Vec<u32> {
    let reaches = |version: &Version<'_>| !version.said.amends && !version.said.withdrawn;
    let taken: BTreeSet<u32> = versions.iter().map(|version| version.said.occurrence).collect();
    // Position and number of each beginning.
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

/// By the rules, one after the other, over the versions in their order.
fn decide(milestone_id: &str, default: &str, versions: &[&Version<'_>]) -> Option<(Option<Name>, Milestone)> {
    let first = versions.first()?;
    let is_reaching = |version: &&&Version<'_>| !version.said.amends && !version.said.withdrawn;
    // Amendments and withdrawals alone make no milestone.
    let reached_ms = versions.iter().find(is_reaching)?.at.0;
    let is_word = |version: &Version<'_>| version.said.withdrawn || !version.said.amends;
    let withdrawn = versions.iter().rev().find(|version| is_word(version)).is_some_and(|version| version.said.withdrawn);
    let last_withdrawal = versions.iter().rposition(|version| version.said.withdrawn).filter(|_| !withdrawn);
    let not_before_ms = last_withdrawal.and_then(|at| versions.get(at)).map_or(i64::MIN, |version| version.at.0);
    let since = versions.get(last_withdrawal.map_or(0, |at| at + 1)..).unwrap_or_default();
    let mut occurred =
        versions.iter().filter(|version| version.said.occurred_at_cleared || version.said.occurred_at_ms.is_some());
    let heeded = |version: &&&Version<'_>| version.said.occurred_at_ms.is_none_or(|time_ms| time_ms >= not_before_ms);
    let occurred_ms = occurred.rfind(heeded).and_then(|version| version.said.occurred_at_ms);
    let began_ms = since.iter().find(is_reaching).map_or(reached_ms, |version| version.at.0);

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
    let latest = |of: fn(&Version<'_>) -> Option<Name>| versions.iter().rev().find_map(|version| of(version));
    let anchor = latest(|version| version.account.clone()).or(latest(|version| version.person.clone()));
    let milestone = Milestone {
        milestone_id: milestone_id.to_owned(),
        kind: first.said.kind.clone(),
        object_id: first.said.object_id.clone(),
        time_ms: occurred_ms.unwrap_or(began_ms),
        value_minor: in_minor_units(value, &currency),
        currency,
        withdrawn,
    };
    Some((anchor, milestone))
}

/// In units of 10^-18.
fn exact(amount: &Decimal) -> i128 {
    (amount.scale..18).fold(i128::from(amount.digits), |amount, _| amount * 10)
}

/// By ISO 4217: yen have no parts, all other currencies of the histories a hundred.
fn in_minor_units(amount: i128, currency: &str) -> i64 {
    let unit = if currency == "JPY" { 1_000_000_000_000_000_000 } else { 10_000_000_000_000_000 };
    let (whole, rest) = (amount / unit, amount % unit);
    i64::try_from(whole + i128::from(rest * 2 >= unit)).unwrap_or(i64::MAX)
}
