//! What is known of an identifier.

use tributary_attributor::read::brought;
use tributary_identity::facts::stamp_key;
use tributary_identity::read::Person;
use tributary_proto::{Identifier, TraitFact};
use tributary_runtime::state::{Snapshot, StateError};

use super::answer::{Anchor, Brought, Consent, Identified, Profile, TraitAnswer};
use super::person::People;
use super::{ExplainError, asked, history, words};
use crate::stages::{Pipeline, StageName};

/// What is known of an identifier, or of the profile of an id.
///
/// # Errors
/// When it is written in a way that names none, nothing is known of it, or the state cannot be read.
pub fn profile(snapshot: &mut dyn Snapshot, pipeline: &Pipeline, asked: &str) -> Result<Profile, ExplainError> {
    let identifier = asked::identifier(asked, pipeline, snapshot)?;
    let mut people = People::new(pipeline.rules());
    let Some(person) = people.of(snapshot, &identifier)?.cloned() else {
        let kind = &identifier.kind;
        return Err(ExplainError::Unknown(format!(
            "no event has named this {kind}; mind how it is written, and whether its events have arrived (dead letters say why not)"
        )));
    };
    let account_why = people.account_why(snapshot, &person)?;
    let rules = pipeline.rules();
    let placement = person.record.placement.as_ref().unwrap_or(&person.placement);
    let mut answer = Profile {
        asked: identifier.display(),
        profile_id: placement.profile_id.clone(),
        account_id: placement.account_id.clone(),
        unit: placement.unit.clone(),
        role: placement.role.clone(),
        account_why,
        links: person.links.iter().map(|of| words::link(of, rules)).collect(),
        refused: person.refused.iter().map(|of| words::refused(of, rules)).collect(),
        traits: person.traits.iter().filter_map(trait_answer).collect(),
        consent: person.consent.as_ref().map(|of| Consent { granted: of.granted, time_ms: stamp_key(of.at.as_ref()).0 }),
        quarantined: person.quarantined,
        former: history::former(&person),
        erased_until_ms: person.record.erased_ms,
        present: person.record.present,
        // Nobody is told of who is no more.
        current: !person.record.present || person.is_settled(),
        freshness: None,
        identifiers: Vec::new(),
    };
    if person.record.present {
        answer.identifiers = identifiers(snapshot, &person, &answer.unit)?;
    }
    Ok(answer)
}

fn identifiers(snapshot: &mut dyn Snapshot, person: &Person, unit: &str) -> Result<Vec<Identified>, StateError> {
    let mut all = Vec::new();
    for (identifier, member) in &person.members {
        all.push(Identified {
            identifier: identifier.display(),
            earliest_ms: member.earliest_ms,
            shared: member.shared,
            brought: brought_by(snapshot, identifier, unit)?,
        });
    }
    Ok(all)
}

fn brought_by(snapshot: &mut dyn Snapshot, identifier: &Identifier, unit: &str) -> Result<Brought, StateError> {
    let state = snapshot.owner_of(StageName::Attributor.log().stage, unit.as_bytes())?;
    let found = brought(state, unit, &identifier.hash().to_bytes())?;
    let anchor =
        |of: tributary_proto::Milestone| Anchor { milestone_id: of.milestone_id, time_ms: of.time_ms, withdrawn: of.withdrawn };
    Ok(Brought {
        touches: found.touches,
        first_ms: found.first_ms,
        last_ms: found.last_ms,
        milestones: found.milestones.into_iter().map(anchor).collect(),
    })
}

fn trait_answer(of: &TraitFact) -> Option<TraitAnswer> {
    let named = of.r#trait.clone()?;
    Some(TraitAnswer { name: named.name, value: named.value, time_ms: stamp_key(of.at.as_ref()).0 })
}
