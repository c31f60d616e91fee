//! What became of an event: an audit asks this for each event.

use tributary_proto::event::Body;
use tributary_proto::{Event, Hash128, Message, Observation, RecordState, Retract, TraitFact, occurrence};
use tributary_runtime::state::{ActorKey, State, StateError, get_message};

use super::{LOG, Snapshot, load};
use crate::facts::{later_trait, trait_name};
use crate::identifier_set::{counts, see};
use crate::keys;
use crate::milestone::erased_of;
use crate::node::Node;
use crate::node::days::former_ms;
use crate::statement::Statement;
use crate::versions::{is_marked, stored, version_key};

/// What identity has stored of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Everything it states is stored.
    Here,
    /// Everything it states is stored, and it is a touch of this unit, under the identifier with this hash.
    Touch {
        /// The key of the unit.
        unit: String,
        /// The identifier that brought it.
        by: [u8; 16],
    },
    /// It is void: an identifier it names was erased, or it was retracted.
    Erased,
    /// It is not stored.
    Missing,
}

/// What identity has stored of an event. Compares it with the state; changes nothing.
///
/// # Errors
/// When the state cannot be read.
pub fn kept(snapshot: &mut dyn Snapshot, event: &Event) -> Result<Kept, StateError> {
    let said = Statement::of(event);
    if let Some(Body::Milestone(version)) = &event.body {
        let state = snapshot.owner_of(LOG.stage, version.milestone_id.as_bytes())?;
        let actor = keys::milestone(&version.milestone_id);
        if !counts(said.time_ms, erased_of(state, &actor, said.people)?) {
            return Ok(Kept::Erased);
        }
        let known = state.get(&actor, &version_key(event))?.is_some() || is_known_to_former(state, &actor, event)?;
        return Ok(if known { Kept::Here } else { Kept::Missing });
    }
    if let Some(Body::Erase(_)) = &event.body {
        for identifier in said.people {
            if load(snapshot, identifier)?.state.erased_ms.is_none_or(|until_ms| until_ms < said.time_ms) {
                return Ok(Kept::Missing);
            }
        }
        return Ok(Kept::Here);
    }
    if let Some(Body::ObjectContacts(of)) = &event.body {
        let key = occurrence::object_key(&of.object_id);
        let state = snapshot.owner_of(LOG.stage, key.as_bytes())?;
        let sub = keys::one(keys::OBSERVATION, Hash128::of(&event.encode_to_vec()));
        return Ok(if state.get(&keys::object(&key), &sub)?.is_some() { Kept::Here } else { Kept::Missing });
    }
    if let Some(Body::Retract(of)) = &event.body {
        return is_taken_back(snapshot, of, &said);
    }
    let Some(primary) = said.primary() else { return Ok(Kept::Here) };
    let node = load(snapshot, primary)?;
    heard(snapshot.owner_of(LOG.stage, &primary.key())?, &node, event, &said)
}

/// Whether a milestone has stored the version of an event in the form of an earlier version of this program, which wrote values
/// differently.
fn is_known_to_former(state: &mut dyn State, actor: &ActorKey, event: &Event) -> Result<bool, StateError> {
    let is_former = |known: &Event| matches!(&known.body, Some(Body::Milestone(of)) if of.value_minor.is_some());
    let known = stored(state, actor)?;
    Ok(known.iter().any(|(_, known)| known.event_id == event.event_id && is_former(known)))
}

/// What the primary identifier has stored of an event.
fn heard(state: &mut dyn State, node: &Node, event: &Event, said: &Statement<'_>) -> Result<Kept, StateError> {
    let identifier_set = said.identifier_set();
    let known = match node.observation(state, identifier_set)? {
        Some(known) => known,
        None => Observation { erased_ms: node.erased_of(state, said.people)?, ..Observation::default() },
    };
    let erased_ms = known.erased_ms;
    if erased_ms.is_some_and(|until_ms| said.time_ms <= until_ms) {
        return Ok(Kept::Erased);
    }
    let mut again = known.clone();
    let unseen = said.is_observation() && see(&mut again, said.time_ms, said.received_ms);
    let retracted = node.has_retracted(&said.stamp);
    // An earlier version of this program applied it and did not store it.
    let former = former_ms(&known).is_some_and(|former_ms| said.time_ms <= former_ms);
    for what in said.stated().filter(|_| !former) {
        if node.would_note(state, identifier_set, what, &said.day(retracted), erased_ms)?.1.is_some() {
            return Ok(Kept::Missing);
        }
    }
    if unseen || !traits_are_known(state, node, said)? {
        return Ok(Kept::Missing);
    }
    Ok(match (&event.body, &node.state.placement) {
        (Some(Body::Touch(_)), _) if retracted || !counts(said.time_ms, erased_ms) => Kept::Erased,
        (Some(Body::Touch(_)), Some(placement)) => {
            Kept::Touch { unit: placement.at(said.time_ms).0.to_owned(), by: node.hash.to_bytes() }
        }
        (Some(Body::Touch(_)), None) => Kept::Missing,
        _ => Kept::Here,
    })
}

fn traits_are_known(state: &mut dyn State, node: &Node, said: &Statement<'_>) -> Result<bool, StateError> {
    let identifier_set = said.identifier_set();
    for fact in said.trait_facts() {
        let sub = keys::mention_trait(identifier_set, trait_name(&fact));
        let known: Option<TraitFact> = get_message(state, &keys::identifier(node.hash), &sub)?;
        if known.is_none_or(|known| later_trait(&fact, &known)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a retraction is stored at the actor of the event that it retracts.
fn is_taken_back(snapshot: &mut dyn Snapshot, of: &Retract, said: &Statement<'_>) -> Result<Kept, StateError> {
    if !of.record.is_empty() {
        let key = occurrence::record_key(&of.record);
        let state = snapshot.owner_of(LOG.stage, key.as_bytes())?;
        let deleted: Option<RecordState> = get_message(state, &keys::record(&key), keys::NODE)?;
        let known = deleted.is_some_and(|deleted| deleted.deleted_ms >= said.time_ms);
        return Ok(if known { Kept::Here } else { Kept::Missing });
    }
    let (key, actor) = if of.milestone_id.is_empty() {
        let key = occurrence::object_key(&of.object_id);
        let actor = keys::object(&key);
        (key, actor)
    } else {
        (of.milestone_id.clone(), keys::milestone(&of.milestone_id))
    };
    let known = if of.milestone_id.is_empty() && of.object_id.is_empty() {
        match said.primary() {
            Some(primary) => load(snapshot, primary)?.has_retracted(&said.stamp),
            None => true,
        }
    } else {
        is_marked(snapshot.owner_of(LOG.stage, key.as_bytes())?, &actor, &said.stamp)?
    };
    Ok(if known { Kept::Here } else { Kept::Missing })
}
