//! What a hostile sender with a public write key can change: by the oracle alone, without the stages.
//!
//! A history is judged with and without the sender's events. Each [`Promise`] must hold. [`Remains`] counts what such a sender can still
//! change, so that the documentation can state it.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Account, Event, Identifier, Milestone, Profile};

use crate::history::History;
use crate::oracle::facts::Facts;
use crate::oracle::name::Name;
use crate::oracle::people::{Home, People};
use crate::oracle::void::Void;
use crate::oracle::{Rules, milestones};

/// What public events can never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Identifiers joined by trusted events stay joined.
    TrustedLinks,
    /// Accounts stay as they were, except for their lists of people: anybody with an address of theirs is listed, even invented people.
    Accounts,
    /// People whom the attack joined with nobody keep their id, account and trusted traits.
    People,
    /// Milestones that trusted events report stay as they were.
    Milestones,
    /// A trusted milestone stays in its account, unless its person was joined with another one.
    Anchors,
    /// People whom public events had joined before stay joined, unless they were joined by a public-only identifier that is now shared or
    /// in too large a group, or they are joined with an identifier that was erased once: its later links count as received right after the
    /// erasure.
    Joins,
}

/// What public events can still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remains {
    /// People whom neither a limit nor trusted evidence keeps apart can be joined.
    Joined,
    /// People joined only by a public-only identifier can be separated: by making that identifier shared, or its group too large.
    Parted,
}

/// The result of an attack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Promises that do not hold.
    pub broken: Vec<(Promise, String)>,
    /// Which of the possible changes happened.
    pub remains: BTreeSet<Remains>,
}

/// People, accounts and milestones.
struct Known {
    profiles: Vec<Profile>,
    accounts: BTreeMap<String, Account>,
    /// Each with the identifier that anchors it, and the unit of that.
    milestones: BTreeMap<String, (Milestone, Option<(Name, Home)>)>,
    trusted: BTreeSet<Name>,
    /// Identifiers that trusted events name, also without an observation.
    named: BTreeSet<Name>,
    /// Identifiers that join nobody: shared ones, and those in too large a group.
    apart: BTreeSet<Name>,
    void: Void,
}

impl Known {
    fn of(events: &[Event], rules: &Rules) -> Self {
        let void = Void::of(events);
        let facts = Facts::of(events, &void, &rules.identity);
        let people = People::of(&facts, &rules.identity, rules.kinds.custom_identifiers());
        let reached = milestones::of(events, &void, &rules.identity).into_iter().map(|(anchor, milestone)| {
            let home = anchor.map(|anchor| (anchor.clone(), people.home(&anchor, milestone.time_ms)));
            (milestone.milestone_id.clone(), (milestone, home))
        });
        // An unlink is no observation, but what it states of an account counts.
        let stated = events.iter().filter(|event| !event.public && !void.is_void(event));
        let named = stated.flat_map(|event| &event.identifiers).map(Name::of).collect();
        Self {
            profiles: people.profiles().into_values().collect(),
            accounts: people.accounts(),
            milestones: reached.collect(),
            apart: people.apart(),
            void,
            trusted: facts.mentioned.iter().filter(|name| facts.is_trusted(name)).cloned().collect(),
            named,
        }
    }

    /// Profiles with trusted identifiers, each with the set of these.
    fn trusted_groups(&self) -> Vec<(BTreeSet<Name>, &Profile)> {
        let trusts = |identifier: &Identifier| Some(Name::of(identifier)).filter(|name| self.trusted.contains(name));
        let group = |profile: &Profile| profile.identifiers.iter().filter_map(trusts).collect::<BTreeSet<Name>>();
        self.profiles.iter().map(|profile| (group(profile), profile)).filter(|(group, _)| !group.is_empty()).collect()
    }
}

/// Attacks the history of a seed, and judges the result.
pub fn attack(seed: u64) -> Outcome {
    let (events, rules, hostile) = History::attacked(seed);
    judge(&events, &hostile, &rules)
}

/// Judges what changes if hostile events are added.
pub fn judge(events: &[Event], hostile: &[Event], rules: &Rules) -> Outcome {
    let all: Vec<Event> = events.iter().chain(hostile).cloned().collect();
    let trusted: Vec<Event> = events.iter().filter(|event| !event.public).cloned().collect();
    let (before, after, alone) = (Known::of(events, rules), Known::of(&all, rules), Known::of(&trusted, rules));
    let mut outcome = Outcome::default();
    let whole = after.trusted_groups();
    for (group, _) in alone.trusted_groups() {
        if !whole.iter().any(|(other, _)| group.is_subset(other)) {
            outcome.broken.push((Promise::TrustedLinks, format!("{group:?}")));
        }
    }
    for (id, account) in &before.accounts {
        if after.accounts.get(id).map(itself) != Some(itself(account)) {
            outcome.broken.push((Promise::Accounts, format!("{account:?}, and then {:?}", after.accounts.get(id))));
        }
    }
    people(&before, &after, &alone, &mut outcome);
    reached(&before, &after, &alone, &mut outcome);
    outcome
}

/// An account without its list of people.
fn itself(account: &Account) -> Account {
    Account { people: Vec::new(), people_count: 0, ..account.clone() }
}

fn people(before: &Known, after: &Known, alone: &Known, outcome: &mut Outcome) {
    let (now, stated) = (after.trusted_groups(), alone.trusted_groups());
    for (group, profile) in before.trusted_groups() {
        let Some((_, same)) = now.iter().find(|(other, _)| *other == group) else {
            let joined = now.iter().any(|(other, _)| group.is_subset(other));
            outcome.remains.insert(if joined { Remains::Joined } else { Remains::Parted });
            let gone = |of: &Identifier| after.apart.contains(&Name::of(of)) && !before.apart.contains(&Name::of(of));
            let erased = |of: &Identifier| before.void.until(&Name::of(of)).is_some();
            let parts = after.profiles.iter().filter(|part| part.identifiers.iter().any(|of| profile.identifiers.contains(of)));
            let by_erased = parts.flat_map(|part| &part.identifiers).any(erased);
            if !joined && !by_erased && !profile.identifiers.iter().any(gone) {
                outcome.broken.push((Promise::Joins, format!("{group:?} is parted")));
            }
            continue;
        };
        let is_new = |of: &&Identifier| before.named.contains(&Name::of(of)) && !profile.identifiers.contains(of);
        if same.identifiers.iter().any(|of| is_new(&of)) {
            outcome.remains.insert(Remains::Joined);
            continue;
        }
        // The trusted traits of these identifiers, however they were joined before.
        let parts = stated.iter().filter(|(part, _)| part.is_subset(&group));
        let names: BTreeSet<&String> = parts.flat_map(|(_, part)| &part.traits).map(|stated| &stated.name).collect();
        let traits = |of: &Profile| of.traits.iter().filter(|stated| names.contains(&stated.name)).cloned().collect::<Vec<_>>();
        let shows = |of: &Profile| (of.profile_id.clone(), of.account_id.clone(), traits(of));
        if shows(profile) != shows(same) {
            outcome.broken.push((Promise::People, format!("{:?}, and then {:?}", shows(profile), shows(same))));
        }
    }
}

fn reached(before: &Known, after: &Known, alone: &Known, outcome: &mut Outcome) {
    let groups = (before.trusted_groups(), after.trusted_groups());
    for (id, (milestone, _)) in alone.milestones.iter().filter(|(_, (milestone, _))| !milestone.public) {
        let of = |known: &Known| known.milestones.get(id).cloned();
        let (Some((was, anchor)), Some((is, at))) = (of(before), of(after)) else {
            outcome.broken.push((Promise::Milestones, format!("{milestone:?} is gone")));
            continue;
        };
        if was != is {
            outcome.broken.push((Promise::Milestones, format!("{was:?}, and then {is:?}")));
            continue;
        }
        let (Some((anchor, home)), Some((other, now))) = (anchor, at) else { continue };
        let group = |of: &[(BTreeSet<Name>, &Profile)]| {
            let (group, profile) = of.iter().find(|(group, _)| group.contains(&anchor))?;
            let named = profile.identifiers.iter().map(Name::of).filter(|name| before.named.contains(name));
            Some((group.clone(), named.collect::<BTreeSet<Name>>()))
        };
        let is_same = anchor == other && group(&groups.0) == group(&groups.1);
        if is_same && home.unit != now.unit {
            outcome.broken.push((Promise::Anchors, format!("{id} of {home:?}, and then {now:?}")));
        }
    }
}
