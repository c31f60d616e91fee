//! Milestones: each decided from all its versions.

use std::collections::BTreeMap;

use tributary_proto::event::Body;
use tributary_proto::{Event, Milestone, MilestoneVersion};
use xxhash_rust::xxh3::xxh3_128;

use super::facts::{Name, When};

struct Version<'a> {
    at: When,
    said: &'a MilestoneVersion,
    names: Option<Name>,
}

/// The milestones that the events report, each with the identifier that anchors it.
pub fn of(events: &[&Event]) -> Vec<(Option<Name>, Milestone)> {
    let mut versions: BTreeMap<&str, Vec<Version<'_>>> = BTreeMap::new();
    for event in events {
        if let Some(Body::Milestone(said)) = &event.body {
            let at = (event.time_ms, xxh3_128(event.event_id.as_bytes()));
            let names = event.account_identifiers.first().or(event.identifiers.first()).map(Name::of);
            versions.entry(&said.milestone_id).or_default().push(Version { at, said, names });
        }
    }
    versions.into_iter().filter_map(|(id, versions)| decide(id, &versions)).collect()
}

/// Of every field, the latest version that gives it; of two versions under one event id and time, the greater content.
fn decide(milestone_id: &str, versions: &[Version<'_>]) -> Option<(Option<Name>, Milestone)> {
    let first = versions.first()?;
    // Amendments alone make no milestone.
    let reports = || versions.iter().filter(|version| !version.said.amends);
    let earliest = reports().map(|version| version.at.0).min()?;
    let occurred = versions.iter().filter_map(|version| Some((version.at, version.said.occurred_at_ms?))).max();
    let value =
        versions.iter().filter_map(|version| Some((version.at, version.said.value_minor?, &version.said.currency))).max();
    let speaks = |version: &&Version<'_>| version.said.withdrawn || !version.said.amends;
    let withdrawn = versions.iter().filter(speaks).map(|version| (version.at, version.said.withdrawn)).max();
    let anchor = versions.iter().filter_map(|version| {
        let name = version.names.clone()?;
        let (kind, scope, value) = name.text();
        let strong = !version.said.amends || name.is_account();
        Some((strong, version.at, format!("{kind}\u{1f}{scope}\u{1f}{value}"), name))
    });
    let milestone = Milestone {
        milestone_id: milestone_id.to_owned(),
        kind: first.said.kind.clone(),
        object_id: first.said.object_id.clone(),
        time_ms: occurred.map_or(earliest, |(_, time_ms)| time_ms),
        value_minor: value.as_ref().map_or(0, |(_, value, _)| *value),
        currency: value.map(|(.., currency)| currency.clone()).unwrap_or_default(),
        withdrawn: withdrawn.is_some_and(|(_, withdrawn)| withdrawn),
    };
    Some((anchor.max().map(|(.., name)| name), milestone))
}
