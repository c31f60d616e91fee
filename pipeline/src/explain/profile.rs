//! What is known of an identifier.

use std::collections::BTreeSet;

use tributary_attributor::read::brought;
use tributary_identity::group::seen_first_ms;
use tributary_identity::read::Person;
use tributary_identity::stamp::stamp_key;
use tributary_proto::{Identifier, TraitFact};
use tributary_runtime::state::{Snapshot, StateError};

use super::answer::{Anchor, Brought, Consent, Identified, Profile, TraitAnswer};
use super::person::People;
use super::{ExplainError, asked, history, words};
use crate::stages::{Pipeline, StageName};

/// Everything about the profile of an identifier or of a profile id.
///
/// # Errors
/// When the question is in no known form, nothing is stored about it, or the state cannot be read.
pub fn profile(snapshot: &mut dyn Snapshot, pipeline: &Pipeline, asked: &str) -> Result<Profile, ExplainError> {
    let identifier = asked::identifier(asked, pipeline, snapshot)?;
    let mut people = People::new(pipeline.rules());
    let Some(person) = people.of(snapshot, &identifier)?.cloned() else {
        let kind = &identifier.kind;
        return Err(ExplainError::Unknown(format!(
            "no event has named this {kind}; check the spelling, and whether its events have arrived (dead letters say why not)"
        )));
    };
    let account_why = people.account_why(snapshot, &person, i64::MAX)?;
    let memberships = people.memberships(snapshot, &person)?;
    let rules = pipeline.rules();
    let placement = person.record.placement.as_ref().unwrap_or(&person.placement);
    let row = person.row.clone().unwrap_or_default();
    let mut answer = Profile {
        asked: identifier.display(),
        profile_id: placement.profile_id.clone(),
        account_id: placement.at(i64::MAX).1.to_owned(),
        unit: placement.at(i64::MAX).0.to_owned(),
        role: placement.role.clone(),
        account_why,
        memberships,
        parent_id: row.parent_id,
        root_id: row.root_id,
        people: row.people,
        people_count: row.people_count,
        links: person.links.iter().map(|of| words::link(of, rules)).collect(),
        refused: person.refused.iter().map(|of| words::refused(of, rules)).collect(),
        traits: person.traits.iter().filter_map(trait_answer).collect(),
        consent: person.consent.as_ref().map(|of| Consent { granted: of.granted, time_ms: stamp_key(of.at.as_ref()).0 }),
        quarantined: person.quarantined,
        former: history::former(&person),
        erased_until_ms: person.record.erased_ms,
        present: person.record.present,
        // An identifier that no event names any more gets no messages.
        current: !person.record.present || person.is_settled(),
        freshness: None,
        identifiers: Vec::new(),
    };
    if person.record.present {
        let units: BTreeSet<&str> = placement.stays().map(|stay| stay.unit).collect();
        answer.identifiers = identifiers(snapshot, &person, &units)?;
    }
    Ok(answer)
}

fn identifiers(snapshot: &mut dyn Snapshot, person: &Person, units: &BTreeSet<&str>) -> Result<Vec<Identified>, StateError> {
    let mut all = Vec::new();
    for (identifier, member) in &person.members {
        all.push(Identified {
            identifier: identifier.display(),
            earliest_ms: seen_first_ms(member),
            shared: member.shared,
            brought: brought_by(snapshot, identifier, units)?,
        });
    }
    Ok(all)
}

/// What an identifier has brought to its units.
fn brought_by(snapshot: &mut dyn Snapshot, identifier: &Identifier, units: &BTreeSet<&str>) -> Result<Brought, StateError> {
    let anchor =
        |of: tributary_proto::Milestone| Anchor { milestone_id: of.milestone_id, time_ms: of.time_ms, withdrawn: of.withdrawn };
    let mut all = Brought::default();
    for unit in units {
        let state = snapshot.owner_of(StageName::Attributor.log().stage, unit.as_bytes())?;
        let found = brought(state, unit, &identifier.hash().to_bytes())?;
        all.touches += found.touches;
        all.first_ms = all.first_ms.into_iter().chain(found.first_ms).min();
        all.last_ms = all.last_ms.max(found.last_ms);
        all.milestones.extend(found.milestones.into_iter().map(anchor));
    }
    Ok(all)
}

fn trait_answer(of: &TraitFact) -> Option<TraitAnswer> {
    let named = of.r#trait.clone()?;
    Some(TraitAnswer { name: named.name, value: named.value, time_ms: stamp_key(of.at.as_ref()).0 })
}
