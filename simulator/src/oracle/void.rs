//! Events that have no effect, because of an erasure or a retraction.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::Event;
use tributary_proto::event::Body;

use super::name::Name;

/// After an erasure, observations are distinguished by the hour.
const HOUR_MS: i64 = 3_600_000;

/// The actor that stores an event. A retraction must reach the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// The primary identifier, or the first account identifier.
    Identifier(Name),
    /// The milestone, without the number of its occurrence.
    Milestone(String),
    /// The object whose contacts are stated.
    Object(String),
}

impl Speaker {
    /// The actor of an event.
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

/// Erasures and retractions.
#[derive(Debug, Default)]
pub struct Void {
    /// The time up to which each identifier is erased.
    erased: BTreeMap<Name, i64>,
    /// Retracted events: their actors and ids.
    retracted: BTreeSet<(Speaker, String)>,
}

impl Void {
    /// From all events.
    pub fn of(events: &[Event]) -> Self {
        let mut void = Self::default();
        // The time up to which the statements of each CRM record are retracted.
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

    /// The time up to which events that name this identifier are void.
    pub fn until(&self, name: &Name) -> Option<i64> {
        self.erased.get(name).copied()
    }

    /// The latest erasure of any identifier that the event names.
    pub fn erased_until(&self, event: &Event) -> Option<i64> {
        event.identifiers.iter().filter_map(|identifier| self.until(&Name::of(identifier))).max()
    }

    /// Whether the event was retracted. Its observation and traits still count, everything else is void.
    pub fn is_retracted(&self, event: &Event) -> bool {
        Speaker::of(event).is_some_and(|speaker| self.retracted.contains(&(speaker, event.event_id.clone())))
    }

    /// Whether an event is void: erasures and retractions themselves, and events that name an identifier erased later. Versions of
    /// milestones are void up to the end of the erasure's hour.
    pub fn is_void(&self, event: &Event) -> bool {
        let version = matches!(event.body, Some(Body::Milestone(_)));
        let voids = |until| event.time_ms <= until || (version && !is_of_a_later_hour(event, until));
        matches!(event.body, Some(Body::Erase(_) | Body::Retract(_))) || self.erased_until(event).is_some_and(voids)
    }

    /// Whether the event's touch is void: touches are void up to the end of the erasure's hour.
    pub fn is_void_touch(&self, event: &Event) -> bool {
        let voids = |until| !is_of_a_later_hour(event, until);
        self.is_void(event) || self.is_retracted(event) || self.erased_until(event).is_some_and(voids)
    }

    /// The time of an event's observation, if it counts as one. After an erasure, only events of a later hour do, and they count as seen
    /// right after the erasure.
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
