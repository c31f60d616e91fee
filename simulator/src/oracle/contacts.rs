//! Who is in which deal, and in which role.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::event::Body;
use tributary_proto::{Contact, Event};

use super::name::Name;
use super::people::People;
use super::statements::{When, when};
use super::void::Void;

/// The contacts of all objects.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    /// By profile and object: the role, if one was stated.
    people: BTreeMap<(String, String), Option<String>>,
    /// By unit and object: the unit's profiles in the object.
    units: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Contacts {
    /// From the events, for identifiers that belong to somebody.
    pub fn of(events: &[Event], void: &Void, people: &People<'_>) -> Self {
        let mut contacts = Self::default();
        // In the order of the identifiers' hashes: of several roles of a profile the first counts.
        for ((name, object), (_, removed, role)) in latest(events, void) {
            let Some((profile_id, units)) = people.units(&name).filter(|_| !removed) else { continue };
            let said = contacts.people.entry((profile_id.clone(), object.clone())).or_default();
            *said = said.take().or(Some(role).filter(|role| !role.is_empty()));
            for unit in units {
                contacts.units.entry((unit, object.clone())).or_default().insert(profile_id.clone());
            }
        }
        contacts
    }

    /// Whether the object names a profile.
    pub fn names(&self, profile_id: &str, object_id: &str) -> bool {
        self.people.contains_key(&(profile_id.to_owned(), object_id.to_owned()))
    }

    /// Whether the object names any profile of the unit.
    pub fn names_any(&self, unit: &str, object_id: &str) -> bool {
        self.units.contains_key(&(unit.to_owned(), object_id.to_owned()))
    }

    /// The unit's profiles that the object names.
    pub fn named(&self, unit: &str, object_id: &str) -> Vec<String> {
        self.units.get(&(unit.to_owned(), object_id.to_owned())).into_iter().flatten().cloned().collect()
    }

    /// The role of a profile in the object.
    pub fn role(&self, profile_id: &str, object_id: &str) -> Option<&String> {
        self.people.get(&(profile_id.to_owned(), object_id.to_owned()))?.as_ref()
    }
}

/// The latest statement on an identifier in an object: when, whether it removes it, and its role.
fn latest(events: &[Event], void: &Void) -> BTreeMap<(Name, String), (When, bool, String)> {
    let mut latest = BTreeMap::new();
    let counts = |event: &&Event| !event.public && !void.is_void(event) && !void.is_retracted(event);
    for event in events.iter().filter(counts) {
        let object = match &event.body {
            Some(Body::Milestone(version)) => &version.object_id,
            Some(Body::ObjectContacts(object)) => &object.object_id,
            _ => continue,
        };
        for Contact { identifier, role, removed } in &event.contacts {
            let name = Name::of(&identifier.clone().unwrap_or_default());
            if void.until(&name).is_some_and(|until| event.time_ms <= until) {
                continue;
            }
            let said = (when(event), *removed, role.clone());
            let known = latest.entry((name, object.clone())).or_insert_with(|| said.clone());
            if said > *known {
                *known = said;
            }
        }
    }
    latest
}
