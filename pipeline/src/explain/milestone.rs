//! Why a milestone has the credit it has.

use std::collections::BTreeMap;

use tributary_attributor::read::{Emitted, Explained, Inclusion, Portion, emitted, milestone as in_unit};
use tributary_identity::read::{MilestoneFacts, milestone as facts_of};
use tributary_proto::event::Body;
use tributary_proto::vocabulary::{self, MODELS};
use tributary_proto::{Event, Identifier, Milestone, MilestoneVersion, Touch};
use tributary_runtime::state::{Snapshot, StateError};

use super::answer::{Credit, Explanation, MembershipWhy, MilestoneAnswer, Owner, StageReached, TouchRow, Version, Via};
use super::person::People;
use super::{ExplainError, words};
use crate::stages::{Pipeline, StageName};
use crate::time::minute;

/// Explains a milestone; with `model`, the credit of one model only.
///
/// # Errors
/// When the milestone or the model is unknown, or the state cannot be read.
pub fn explain(
    snapshot: &mut dyn Snapshot,
    pipeline: &Pipeline,
    milestone_id: &str,
    model: Option<&str>,
) -> Result<Explanation, ExplainError> {
    let Some(facts) = facts_of(snapshot, pipeline.rules(), milestone_id)? else {
        return Err(unknown(snapshot, pipeline, milestone_id)?);
    };
    let attributor = StageName::Attributor.log().stage;
    let emitted = emitted(snapshot.owner_of(attributor, milestone_id.as_bytes())?, milestone_id)?.unwrap_or_default();
    let mut people = People::new(pipeline.rules());
    let unit = match &facts.told.told_anchor {
        Some(anchor) => people.of(snapshot, anchor)?.and_then(|person| person.record.placement.clone()),
        None => None,
    };
    let explained = match &unit {
        Some(placement) => {
            let state = snapshot.owner_of(attributor, placement.unit.as_bytes())?;
            in_unit(state, &placement.unit, milestone_id, pipeline.plan())?
        }
        None => None,
    };
    let milestone = milestone_answer(milestone_id, &facts, &emitted, explained.as_ref());
    let touches = touch_rows(snapshot, &mut people, explained.as_ref())?;
    let credit = credit_rows(&emitted, explained.as_ref(), &milestone.currency);
    let placed = explained.is_some() || facts.told.told_anchor.is_none();
    let current = placed && credit.iter().all(|row| row.current) && credit.len() == count(explained.as_ref());
    Ok(Explanation {
        stages: explained.as_ref().map(stages).unwrap_or_default(),
        owners: owners(snapshot, &mut people, &facts, explained.as_ref(), pipeline)?,
        credit: of_model(credit, explained.as_ref(), model)?,
        milestone,
        touches,
        current,
        freshness: None,
    })
}

/// The error for a milestone that no event has reported.
fn unknown(snapshot: &mut dyn Snapshot, pipeline: &Pipeline, asked: &str) -> Result<ExplainError, StateError> {
    let object_id = asked.split_once(':').map_or(asked, |(_, object_id)| object_id);
    let mut same_object = Vec::new();
    for kind in pipeline.plan().kinds() {
        let id = format!("{kind}:{object_id}");
        if facts_of(snapshot, pipeline.rules(), &id)?.is_some() {
            same_object.push(id);
        }
    }
    let hint = if same_object.is_empty() {
        let kinds: Vec<&str> = pipeline.plan().kinds().collect();
        format!("an id is written kind:object_id, such as closed_won:006X; kinds are {}", kinds.join(", "))
    } else {
        format!("did you mean {}?", same_object.join(" or "))
    };
    Ok(ExplainError::Unknown(format!("no event has reported the milestone {asked:?}; {hint}")))
}

fn milestone_answer(id: &str, facts: &MilestoneFacts, emitted: &Emitted, explained: Option<&Explained>) -> MilestoneAnswer {
    let told = explained.map(|explained| &explained.milestone).or(facts.told.told.as_ref());
    let Milestone { kind, time_ms, value_minor, currency, withdrawn, .. } = told.unwrap_or(&facts.decided).clone();
    let is_reaching = |version: &MilestoneVersion| !version.amends && !version.withdrawn;
    let reached = told.is_some() || facts.versions.iter().any(|event| version_of(event).is_some_and(is_reaching));
    MilestoneAnswer {
        milestone_id: id.to_owned(),
        kind,
        time_ms,
        value_minor,
        currency,
        withdrawn,
        reached,
        erased: facts.versions.is_empty() && facts.erased_ms.is_some(),
        erased_until_ms: facts.erased_ms,
        anchor: facts.told.told_anchor.as_ref().map(Identifier::display),
        account_id: explained.map_or_else(|| emitted.head.account_id.clone(), |explained| explained.account_id.clone()),
        window_start_ms: explained.map(|explained| explained.window_start_ms),
        beyond_horizon: explained.is_some_and(|explained| explained.beyond_horizon),
        versions: facts.versions.iter().map(version).collect(),
    }
}

fn version_of(event: &Event) -> Option<&MilestoneVersion> {
    if let Some(Body::Milestone(version)) = &event.body { Some(version) } else { None }
}

fn version(event: &Event) -> Version {
    let body = version_of(event).cloned().unwrap_or_default();
    Version {
        event_id: event.event_id.clone(),
        time_ms: event.time_ms,
        occurred_at_ms: body.occurred_at_ms,
        value: body.value.map(|amount| amount.to_string()).or(body.value_cleared.then(|| "none".to_owned())),
        currency: body.currency,
        refund: body.refund.map(|amount| amount.to_string()),
        withdrawn: body.withdrawn,
        amends: body.amends,
        dimensions: body.dimensions,
        public: event.public,
        identifiers: event.identifiers.iter().chain(&event.account_identifiers).map(Identifier::display).collect(),
    }
}

fn touch_rows(
    snapshot: &mut dyn Snapshot,
    people: &mut People<'_>,
    explained: Option<&Explained>,
) -> Result<Vec<TouchRow>, StateError> {
    let mut rows = Vec::new();
    let Some(explained) = explained else { return Ok(rows) };
    for (at, of) in explained.touches.iter().enumerate() {
        let Touch { channel, source, medium, campaign, public, dimensions, .. } = of.touch.touch.clone().unwrap_or_default();
        let (standing, why) = inclusion(of.inclusion, of.hits, explained);
        let time_ms = of.touch.time_ms;
        let then = match &of.by {
            Some(by) => people.account_then(snapshot, by, time_ms)?.unwrap_or_default(),
            None => MembershipWhy::default(),
        };
        rows.push(TouchRow {
            number: at + 1,
            touch_id: of.touch.event_id.clone(),
            time_ms,
            channel,
            source,
            medium,
            campaign,
            dimensions: dimensions.map(|own| own.values).unwrap_or_default(),
            profile_id: of.profile_id.clone(),
            identifier: of.by.as_ref().map(Identifier::display).unwrap_or_default(),
            account_id: then.account_id,
            account_why: then.why,
            public,
            in_journey: of.inclusion == Inclusion::InJourney,
            standing,
            why,
        });
    }
    Ok(rows)
}

fn inclusion(of: Inclusion, hits: usize, explained: &Explained) -> (&'static str, String) {
    match of {
        Inclusion::InJourney if hits > 1 => ("in_journey", format!("in the journey: a visit of {hits} hits")),
        Inclusion::InJourney => ("in_journey", "in the journey".to_owned()),
        Inclusion::Revoked => ("revoked", "out: the profile's consent is revoked".to_owned()),
        Inclusion::BeforeWindow => {
            let start = minute(explained.window_start_ms);
            ("before_window", format!("out: before the window, which begins {start}"))
        }
        Inclusion::AfterMilestone => ("after_milestone", "out: after the milestone".to_owned()),
        Inclusion::Duplicate(first) => ("duplicate", format!("out: the same event as #{}", first + 1)),
        Inclusion::Visit(first) => ("visit", format!("a hit of the visit that began with #{}", first + 1)),
        Inclusion::Unnamed => ("unnamed", "out: of somebody whom the deal does not name (attribution.contacts)".to_owned()),
        Inclusion::Overlong => ("overlong", "out: beyond attribution.max_journey".to_owned()),
    }
}

fn stages(explained: &Explained) -> Vec<StageReached> {
    let touch_id = |at: usize| explained.touches.get(at).map(|of| of.touch.event_id.clone());
    let reached = explained.stages.iter().map(|stage| StageReached {
        stage: stage.kind.clone(),
        time_ms: stage.moment_ms,
        touch_id: stage.touch.and_then(touch_id),
    });
    reached.collect()
}

/// The number of rows that follow from the current state.
fn count(explained: Option<&Explained>) -> usize {
    explained.map_or(0, |explained| explained.models.iter().map(|(_, _, portions)| portions.len()).sum())
}

/// The rows as emitted, each with the reason for the same row under the current state.
fn credit_rows(emitted: &Emitted, explained: Option<&Explained>, currency: &str) -> Vec<Credit> {
    let mut portions: BTreeMap<(&str, &str), &Portion> = BTreeMap::new();
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    if let Some(explained) = explained {
        for (at, (model, _, of_model)) in explained.models.iter().enumerate() {
            order.insert(model, at);
            for portion in of_model {
                let touch = portion.touch.and_then(|at| explained.touches.get(at));
                let touch_id = touch.map_or(tributary_proto::UNATTRIBUTED, |of| of.touch.event_id.as_str());
                portions.insert((model, touch_id), portion);
            }
        }
    }
    let row = |of: &tributary_attributor::read::EmittedRow| {
        let portion = portions.get(&(of.model.model.as_str(), of.touch.event_id.as_str()));
        let same = |portion: &&&Portion| (portion.weight_nano, portion.value_minor) == (of.weight_nano, of.value_minor);
        let current = portion.filter(same);
        let rationale = current.map(|portion| portion.rationale.clone());
        Credit {
            model: of.model.model.clone(),
            model_version: of.model.version.clone(),
            touch_id: of.touch.event_id.clone(),
            touch: portion.and_then(|portion| portion.touch).map(|at| at + 1),
            channel: of.touch.touch.as_ref().map(|touch| touch.channel.clone()).unwrap_or_default(),
            weight_nano: of.weight_nano,
            value_minor: of.value_minor,
            currency: currency.to_owned(),
            anchors: rationale.as_ref().map(|rationale| rationale.anchors.clone()).unwrap_or_default(),
            reason: rationale
                .map_or_else(|| "does not follow from the current state (any more)".to_owned(), |rationale| rationale.words),
            current: current.is_some(),
        }
    };
    let mut rows: Vec<(i64, Credit)> = emitted.rows.iter().map(|of| (of.touch.time_ms, row(of))).collect();
    rows.sort_by_cached_key(|(time_ms, row)| {
        (
            order.get(row.model.as_str()).copied().unwrap_or(usize::MAX),
            row.model.clone(),
            row.touch,
            *time_ms,
            row.touch_id.clone(),
        )
    });
    rows.into_iter().map(|(_, row)| row).collect()
}

fn of_model(rows: Vec<Credit>, explained: Option<&Explained>, model: Option<&str>) -> Result<Vec<Credit>, ExplainError> {
    let Some(model) = model else { return Ok(rows) };
    let mut known: Vec<&str> = explained.into_iter().flat_map(|of| &of.models).map(|(name, ..)| name.as_str()).collect();
    known.extend(rows.iter().map(|row| row.model.as_str()));
    let by_its_name = || vocabulary::find(&MODELS, model).and_then(|term| known.iter().find(|known| **known == term.name));
    let asked = known.iter().find(|known| known.eq_ignore_ascii_case(model)).or_else(by_its_name);
    if let Some(asked) = asked.map(|asked| (*asked).to_owned()) {
        return Ok(rows.into_iter().filter(|row| row.model == asked).collect());
    }
    known.sort_unstable();
    known.dedup();
    Err(ExplainError::Usage(format!("no model {model:?} gives credit for this milestone; models are {}", known.join(", "))))
}

/// The profiles of the identifiers that brought the touches, and of the anchor.
fn owners(
    snapshot: &mut dyn Snapshot,
    people: &mut People<'_>,
    facts: &MilestoneFacts,
    explained: Option<&Explained>,
    pipeline: &Pipeline,
) -> Result<Vec<Owner>, ExplainError> {
    let rules = pipeline.rules();
    let brought = explained.into_iter().flat_map(|of| &of.touches).filter_map(|touch| touch.by.clone());
    let mut identifiers: Vec<Identifier> = Vec::new();
    for identifier in brought.chain(facts.told.told_anchor.clone()) {
        if !identifiers.contains(&identifier) {
            identifiers.push(identifier);
        }
    }
    let mut owners: Vec<Owner> = Vec::new();
    for identifier in identifiers {
        let Some(person) = people.of(snapshot, &identifier)?.cloned() else { continue };
        let via = Via { identifier: identifier.display(), path: words::path(&person, &identifier, rules) };
        let placement = &person.placement;
        let reached_ms = facts.decided.time_ms;
        let account_id = placement.at(reached_ms).1;
        let same = |owner: &&mut Owner| owner.profile_id == placement.profile_id && owner.account_id == account_id;
        if let Some(owner) = owners.iter_mut().find(same) {
            owner.identifiers.push(via);
            continue;
        }
        owners.push(Owner {
            profile_id: placement.profile_id.clone(),
            account_id: account_id.to_owned(),
            role: placement.role.clone(),
            account_why: people.account_why(snapshot, &person, reached_ms)?,
            memberships: people.memberships(snapshot, &person)?,
            revoked: placement.revoked,
            quarantined: person.quarantined,
            identifiers: vec![via],
            refused: person.refused.iter().map(|of| words::refused(of, rules)).collect(),
        });
    }
    Ok(owners)
}
