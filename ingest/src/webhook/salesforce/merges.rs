//! Merges of records. Change Data Capture does not report them as such: in one transaction it reports the deletion of the losers, and the
//! update of the winner and of the records that referred to the losers. See
//! <https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/apex_triggers_merge_statements.htm>.
//!
//! So the events of a transaction must come in one body, as the streaming clients deliver them, unless the deletion has `MasterRecordId`. A
//! body does not show whether it is only half of a transaction. To wait for the other half, ingest would have to keep every change of a
//! parent, and to take back results whenever more of a transaction arrives.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::event::ChangeEvent;
use super::head::plain;
use crate::normalise::salesforce_id::{ACCOUNT, CONTACT, LEAD, long_form};

/// Salesforce merges at most three records at a time, and one of them stays.
const LOSERS_MAX: usize = 2;

/// Objects whose records can be merged: prefix of their ids, and the fields by which other records refer to them.
const MERGEABLE: [(&str, &str, &[&str]); 3] = [
    ("Contact", CONTACT, &["ContactId", "WhoId"]),
    ("Account", ACCOUNT, &["AccountId", "WhatId"]),
    ("Lead", LEAD, &["LeadId", "WhoId"]),
];

/// The changes of a transaction to the records of one object.
#[derive(Debug, Default)]
struct Changed {
    deleted: BTreeSet<String>,
    updated: BTreeSet<String>,
    /// Records that other records refer to now.
    parents: BTreeSet<String>,
}

/// By transaction and object: the losers of a merge, and its winner.
#[derive(Debug, Default)]
pub(super) struct Merges(BTreeMap<(String, &'static str), (BTreeSet<String>, String)>);

impl Merges {
    /// From the events of one body.
    pub(super) fn of<'a>(events: impl Iterator<Item = &'a ChangeEvent<'a>> + Clone) -> Self {
        let deletes = |event: &&ChangeEvent<'_>| event.change == "DELETE" && event.transaction.is_some();
        if !events.clone().any(|event| deletes(&event)) {
            return Self::default();
        }
        let mut changes: BTreeMap<(String, &'static str), Changed> = BTreeMap::new();
        for event in events {
            let Some(transaction) = &event.transaction else { continue };
            for (entity, prefix, fields) in MERGEABLE {
                let changed = changes.entry((transaction.to_string(), entity)).or_default();
                changed.learn(event, entity, prefix, fields);
            }
        }
        Self(changes.into_iter().filter_map(|(key, changed)| Some((key, changed.merge()?))).collect())
    }

    /// The record that a deleted one was merged into.
    pub(super) fn winner(&self, event: &ChangeEvent<'_>, id: &str) -> Option<&str> {
        let (entity, prefix, _) = MERGEABLE.iter().find(|(entity, ..)| *entity == event.entity)?;
        let (losers, winner) = self.0.get(&(event.transaction.as_ref()?.to_string(), *entity))?;
        losers.contains(&*long_form(id, prefix)).then_some(winner)
    }
}

impl Changed {
    fn learn(&mut self, event: &ChangeEvent<'_>, entity: &str, prefix: &str, fields: &[&'static str]) {
        let long = |id: Cow<'_, str>| long_form(&id, prefix).into_owned();
        if event.entity == entity {
            let ids = event.ids.iter().filter_map(|id| id.clone().text("recordIds").ok().flatten()).map(long);
            match &*event.change {
                "DELETE" => self.deleted.extend(ids),
                "UPDATE" => self.updated.extend(ids),
                _ => {}
            }
        }
        if event.change == "UPDATE" {
            let ids = fields.iter().filter_map(|name| plain(&event.fields, name).ok().flatten());
            // `WhoId` and `WhatId` name records of several objects.
            self.parents.extend(ids.filter(|id| id.starts_with(prefix)).map(long));
        }
    }

    /// Losers and winner of a merge. The winner is the record that the others' references point to now; without such references, the record
    /// that was updated.
    fn merge(self) -> Option<(BTreeSet<String>, String)> {
        let Self { deleted, updated, parents } = self;
        if deleted.is_empty() || deleted.len() > LOSERS_MAX {
            return None;
        }
        let one = |candidates: BTreeSet<String>| {
            let mut left = candidates.into_iter().filter(|id| !deleted.contains(id));
            left.next().filter(|_| left.next().is_none())
        };
        let winner = if parents.is_empty() { one(updated) } else { one(parents) }?;
        Some((deleted, winner))
    }
}
