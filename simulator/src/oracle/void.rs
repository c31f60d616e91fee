//! Events that have no effect, because of an erasure or a retraction.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::Event;
use tributary_proto::event::Body;

use super::name::Name;

/// Sightings are told apart by the hour where somebody was erased.
const HOUR_MS: i64 = 3_600_000;

/// Who says what an event says: whoever takes something back must say it in the same place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// The primary identifier, or the first one of an account.
    Identifier(Name),
    /// The milestone, without its number.
    Milestone(String),
    /// The object whose contacts are told.
    Object(String),
}

impl Speaker {
    /// Who says an event.
    pub fn of(event: &Event) -> Option<Self> {
        match &event.body {
            Some(Body::Milestone(version)) => return Some(Self::Milestone(version.milestone_id.clone())),
            Some(Body::ObjectContacts(object)) => return Some(Self::Object(object.object_id.clone())),
            Some(Body::Retract(back)) if !back.milestone_id.is_empty() => {
                return Some(Self::Milestone(back.milestone_id.clone()));
            }
            Some(Body::Retract(back)) if !back.object_id.is_empty() => return Some(Self::Object(back.object_id.clone())),
            _ => {}
        }
        event.identifiers.first().or(event.account_identifiers.first()).map(Name::of).map(Self::Identifier)
    }
}

/// What was erased, and what was taken back.
#[derive(Debug, Default)]
pub struct Void {
    /// Until when each identifier was erased.
    erased: BTreeMap<Name, i64>,
    /// The events taken back: by whom, and their ids.
    retracted: BTreeSet<(Speaker, String)>,
}

impl Void {
    /// What the events make void among them.
    pub fn of(events: &[Event]) -> Self {
        let mut void = Self::default();
        // Until when what each record of a CRM has said is taken back.
        let mut deleted: BTreeMap<&str, i64> = BTreeMap::new();
        for event in events {
            match &event.body {
                Some(Body::Erase(_)) => {
                    for name in event.identifiers.iter().map(Name::of) {
                        let until = void.erased.entry(name).or_insert(event.time_ms);
                        *until = event.time_ms.max(*until);
                    }
                }
                Some(Body::Retract(back)) if !back.record.is_empty() => {
                    let until = deleted.entry(back.record.as_str()).or_insert(event.time_ms);
                    *until = event.time_ms.max(*until);
                }
                Some(Body::Retract(_)) if !event.public => {
                    void.retracted.extend(Speaker::of(event).map(|speaker| (speaker, event.event_id.clone())));
                }
                _ => {}
            }
        }
        for event in events.iter().filter(|event| !matches!(event.body, Some(Body::Retract(_)))) {
            if deleted.get(event.record.as_str()).is_some_and(|until| event.recorded_ms <= *until) {
                void.retracted.extend(Speaker::of(event).map(|speaker| (speaker, event.event_id.clone())));
            }
        }
        void
    }

    /// Up to when events that name this identifier are void.
    pub fn until(&self, name: &Name) -> Option<i64> {
        self.erased.get(name).copied()
    }

    /// The latest erasure of anybody the event names.
    pub fn erased_until(&self, event: &Event) -> Option<i64> {
        event.identifiers.iter().filter_map(|identifier| self.until(&Name::of(identifier))).max()
    }

    /// Whether the event was taken back: it was seen, and its traits were stated, but all else that it says is void.
    pub fn is_retracted(&self, event: &Event) -> bool {
        Speaker::of(event).is_some_and(|speaker| self.retracted.contains(&(speaker, event.event_id.clone())))
    }

    /// Whether an event counts for nothing: it asks for an erasure or takes something back, or somebody it names was erased since. A
    /// milestone's version counts for nothing in the hour of the erasure either.
    pub fn is_void(&self, event: &Event) -> bool {
        let version = matches!(event.body, Some(Body::Milestone(_)));
        let voids = |until| event.time_ms <= until || (version && !is_of_a_later_hour(event, until));
        matches!(event.body, Some(Body::Erase(_) | Body::Retract(_))) || self.erased_until(event).is_some_and(voids)
    }

    /// Whether the event's touch counts for nothing: of somebody who was erased, those of the same hour do not count either.
    pub fn is_void_touch(&self, event: &Event) -> bool {
        let voids = |until| !is_of_a_later_hour(event, until);
        self.is_void(event) || self.is_retracted(event) || self.erased_until(event).is_some_and(voids)
    }

    /// When an event that is not void was seen. Where somebody it names was erased, it is a sighting only if its whole hour is later, and
    /// counts as seen right after the erasure.
    pub fn sighting_ms(&self, event: &Event) -> Option<i64> {
        match self.erased_until(event) {
            None => Some(event.time_ms),
            Some(until) => is_of_a_later_hour(event, until).then_some(until + 1),
        }
    }
}

fn is_of_a_later_hour(event: &Event, until: i64) -> bool {
    event.time_ms.div_euclid(HOUR_MS) * HOUR_MS > until
}
