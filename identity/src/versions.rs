//! The events that a milestone or an object keeps, and which of them were retracted.

use std::collections::BTreeSet;

use tributary_proto::{Event, Hash128, Message, Stamp};
use tributary_runtime::state::{ActorKey, State, StateError, scan_messages};

use crate::keys;
use crate::statement::Statement;

/// The events that a milestone or an object keeps, with their sub-keys.
pub(crate) fn stored(state: &mut dyn State, actor: &ActorKey) -> Result<Vec<(Vec<u8>, Event)>, StateError> {
    scan_messages(state, actor, &[keys::OBSERVATION])
}

/// The sub-key of a version. Copies with another time of receipt are one version.
pub(crate) fn version_key(event: &Event) -> Vec<u8> {
    let said = Event { received_ms: 0, ..event.clone() };
    keys::one(keys::OBSERVATION, Hash128::of(&said.encode_to_vec()))
}

/// Those that were not retracted.
pub(crate) fn standing(state: &mut dyn State, actor: &ActorKey) -> Result<Vec<Event>, StateError> {
    let mut marked = BTreeSet::new();
    state.scan(actor, &[keys::RETRACTED], &[keys::RETRACTED + 1], &mut |sub, _| {
        marked.insert(sub.to_vec());
        true
    })?;
    let stands = |event: &Event| marked.is_empty() || !marked.contains(&mark_key(&Statement::of(event).stamp));
    Ok(stored(state, actor)?.into_iter().map(|(_, event)| event).filter(stands).collect())
}

/// The object that a milestone's version is about.
pub(crate) fn object_of(event: &Event) -> Option<&str> {
    match &event.body {
        Some(tributary_proto::event::Body::Milestone(version)) => Some(&version.object_id),
        _ => None,
    }
}

/// Stores that an event was retracted; returns whether that is new.
pub(crate) fn mark(state: &mut dyn State, actor: &ActorKey, of: &Stamp) -> Result<bool, StateError> {
    let news = !is_marked(state, actor, of)?;
    if news {
        state.put(actor, &mark_key(of), &[1]);
    }
    Ok(news)
}

/// Whether a milestone or an object has stored that an event was retracted.
pub(crate) fn is_marked(state: &mut dyn State, actor: &ActorKey, of: &Stamp) -> Result<bool, StateError> {
    Ok(state.get(actor, &mark_key(of))?.is_some())
}

/// The sub-key under which a milestone or an object stores a retraction.
fn mark_key(of: &Stamp) -> Vec<u8> {
    let mut key = vec![keys::RETRACTED];
    key.extend_from_slice(&of.event_hash);
    key
}
