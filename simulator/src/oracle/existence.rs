//! Accounts that their CRM has deleted. While an account is deleted, its records name only the account itself.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::event::Body;
use tributary_proto::{Event, Identifier};

use super::name::Name;
use super::statements::{self, When, day, when};
use super::void::Void;

/// The deleted accounts, and the accounts explicitly linked.
#[derive(Debug, Default)]
pub struct Existence {
    gone: BTreeSet<Name>,
    /// Groups of accounts explicitly linked, and whether by a public event.
    joined: BTreeSet<(BTreeSet<Name>, bool)>,
}

/// Whether a CRM states that an account exists (true) or was deleted.
pub fn says(event: &Event) -> Option<bool> {
    let Some(Body::Account(record)) = &event.body else { return None };
    let of_crm = event.account_identifiers.first().is_some_and(|account| account.kind == "crm_account");
    (of_crm && event.identifiers.is_empty() && !event.public).then_some(!record.gone)
}

impl Existence {
    /// From the events that are not void, and those among them whose explicit links count.
    pub fn of(events: &[&Event], words: &[&Event], void: &Void) -> Self {
        let about_accounts =
            words.iter().filter(|event| event.identifiers.is_empty() && statements::word(event) == Some(false));
        let joined = about_accounts.map(|event| (accounts(event), event.public)).collect();
        // Per day only the last event of each set of accounts and parent counts.
        let mut last: BTreeMap<_, &Event> = BTreeMap::new();
        for event in events {
            let (Some(there), Some(Body::Account(record))) = (says(event), &event.body) else { continue };
            let parent = (record.parent.as_ref().map(Name::of), record.parent_cleared);
            let known = last.entry((accounts(event), parent, there, day(event))).or_insert(event);
            if when(event) > when(known) {
                *known = event;
            }
        }
        let mut latest: BTreeMap<Name, (When, bool)> = BTreeMap::new();
        for ((_, _, there, _), event) in last {
            if let Some(own) = event.account_identifiers.first().filter(|_| !void.is_retracted(event)) {
                let word = latest.entry(Name::of(own)).or_insert((when(event), !there));
                *word = (when(event), !there).max(*word);
            }
        }
        let gone = latest.into_iter().filter(|(_, (_, gone))| *gone).map(|(own, _)| own).collect();
        Self { gone, joined }
    }

    /// The accounts that an event names; if the first is deleted, only that one, unless they were explicitly linked.
    pub fn named<'a>(&self, event: &'a Event) -> &'a [Identifier] {
        let all = &event.account_identifiers;
        let about_accounts = event.identifiers.is_empty() && statements::is_about_accounts(event);
        let deleted = all.first().is_some_and(|own| self.gone.contains(&Name::of(own)));
        let apart = statements::word(event) == Some(true);
        if !about_accounts || !deleted || apart || self.is_said_to_be_one(event) {
            return all;
        }
        all.get(..1).unwrap_or_default()
    }

    /// Whether the event's accounts were explicitly linked.
    fn is_said_to_be_one(&self, event: &Event) -> bool {
        let names_parent = match &event.body {
            Some(Body::Account(record)) => record.parent.is_some() || record.parent_cleared,
            _ => false,
        };
        !names_parent && self.joined.contains(&(accounts(event), event.public))
    }
}

fn accounts(event: &Event) -> BTreeSet<Name> {
    event.account_identifiers.iter().map(Name::of).collect()
}
