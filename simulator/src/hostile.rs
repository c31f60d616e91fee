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

/// What no public event changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Identifiers that trusted events join are joined.
    TrustedLinks,
    /// Accounts that there were are as they were, but for the people they list: whoever has an address of theirs is one, and may be invented.
    Accounts,
    /// People who were joined with nobody keep their name, account and the traits that trusted events state.
    People,
    /// Milestones that trusted events report are as they were.
    Milestones,
    /// A milestone that trusted events report is in the same account, unless its person was joined with another one.
    Anchors,
    /// People whom public events had joined before the hostile sender came stay joined, unless by an identifier that only public events know,
    /// and that now joins nobody.
    Joins,
}

/// What a public event can still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remains {
    /// People whom nothing keeps apart are joined.
    Joined,
    /// People whom only public events had joined, by way of an identifier that trusted events do not know, are not joined any more: that
    /// identifier is shared now, or one of too many that hang together.
    Parted,
}

/// What came of an attack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What did not hold.
    pub broken: Vec<(Promise, String)>,
    /// What was done that can be done.
    pub remains: BTreeSet<Remains>,
}

/// Who is who, and which milestones there are.
struct Known {
    profiles: Vec<Profile>,
    accounts: BTreeMap<String, Account>,
    /// With the identifier that anchors it, and where that belongs.
    milestones: BTreeMap<String, (Milestone, Option<(Name, Home)>)>,
    trusted: BTreeSet<Name>,
    /// Identifiers that join nobody, because too many are linked to them or hang together with them.
    apart: BTreeSet<Name>,
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
        Self {
            profiles: people.profiles().into_values().collect(),
            accounts: people.accounts(),
            milestones: reached.collect(),
            apart: people.apart(),
            trusted: facts.mentioned.iter().filter(|name| facts.is_trusted(name)).cloned().collect(),
        }
    }

    /// The profile of each identifier that trusted events know, with those of its identifiers that they know.
    fn trusted_groups(&self) -> Vec<(BTreeSet<Name>, &Profile)> {
        let trusts = |identifier: &Identifier| Some(Name::of(identifier)).filter(|name| self.trusted.contains(name));
        let group = |profile: &Profile| profile.identifiers.iter().filter_map(trusts).collect::<BTreeSet<Name>>();
        self.profiles.iter().map(|profile| (group(profile), profile)).filter(|(group, _)| !group.is_empty()).collect()
    }
}

/// Attacks the history of a seed.
pub fn attack(seed: u64) -> Outcome {
    let (events, rules, hostile) = History::attacked(seed);
    judge(&events, &hostile, &rules)
}

/// What changes if a hostile sender says this beside the events.
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

/// An account without its people.
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
            if !joined && !profile.identifiers.iter().any(gone) {
                outcome.broken.push((Promise::Joins, format!("{group:?} is parted")));
            }
            continue;
        };
        // What trusted events state of them, whoever joined them.
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
            of.iter().find(|(group, _)| group.contains(&anchor)).map(|(group, _)| group.clone())
        };
        let is_same = anchor == other && group(&groups.0) == group(&groups.1);
        if is_same && home.unit != now.unit {
            outcome.broken.push((Promise::Anchors, format!("{id} of {home:?}, and then {now:?}")));
        }
    }
}
