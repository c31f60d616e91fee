//! The rows of touches and of milestones, straight from where each belongs.

use std::collections::{BTreeMap, BTreeSet};

use tributary_attributor::settings::{Contacts as ContactsSetting, Settings};
use tributary_proto::{Milestone, MilestoneRow, Origin, StageMoment, TouchpointRow};

use super::contacts::Contacts;
use super::journey::{body, moment_of_stage, own_dimensions, stages_looked_at};
use super::placed::{Brought, Reached};
use super::rates;

/// The content of a touch's row: all but its key and its revision. Here, rows with the same content are one.
pub fn face(row: &TouchpointRow) -> TouchpointRow {
    TouchpointRow { touchpoint_id: String::new(), revision: 0, ..row.clone() }
}

/// The row of a touch.
pub fn of_touch(touch: &Brought, origin: &Origin) -> TouchpointRow {
    let said = body(touch);
    TouchpointRow {
        touch_id: touch.touch.event_id.clone(),
        touch_time: touch.touch.time_ms,
        profile_id: touch.home.profile_id.clone(),
        account_id: touch.home.account_id.clone(),
        role: touch.home.role.clone(),
        consented: !touch.home.revoked,
        channel: said.channel.clone(),
        source: said.source.clone(),
        medium: said.medium.clone(),
        campaign: said.campaign.clone(),
        content: said.content.clone(),
        term: said.term.clone(),
        touch_type: said.touch_type.clone(),
        url: origin.url.clone(),
        referrer: origin.referrer.clone(),
        input: origin.input,
        public: said.public,
        identified: said.identified,
        digital: said.digital,
        names_source: said.names_source,
        device: format!("{:016x}", touch.device),
        device_named: said.device != 0,
        dimensions: own_dimensions(said),
        ..TouchpointRow::default()
    }
}

/// The rows of all milestones, by id.
pub fn of_milestones(reached: &[Reached], contacts: &Contacts, settings: &Settings) -> BTreeMap<String, MilestoneRow> {
    let row = |of: &Reached| {
        let live: Vec<&Milestone> = reached
            .iter()
            .filter(|other| other.home.unit == of.home.unit && !other.milestone.withdrawn)
            .map(|other| &other.milestone)
            .collect();
        (of.milestone.milestone_id.clone(), of_milestone(of, &live, contacts, settings))
    };
    reached.iter().map(row).collect()
}

fn of_milestone(reached: &Reached, live: &[&Milestone], contacts: &Contacts, settings: &Settings) -> MilestoneRow {
    let Reached { milestone: of, home } = reached;
    let worth = rates::worth(of, &settings.currency.reporting);
    let number = of.milestone_id.rsplit_once('#').and_then(|(_, number)| number.parse().ok());
    let row = MilestoneRow {
        milestone_id: of.milestone_id.clone(),
        milestone_kind: of.kind.clone(),
        object_id: of.object_id.clone(),
        occurrence: number.unwrap_or(1),
        milestone_time: of.time_ms,
        value_minor: of.value_minor,
        currency: of.currency.clone(),
        exponent: if of.currency == "JPY" { 0 } else { 2 },
        reporting_currency: worth.map(|_| settings.currency.reporting.clone()).unwrap_or_default(),
        reporting_value_minor: worth.unwrap_or(0),
        account_id: home.account_id.clone(),
        profile_id: home.profile_id.clone(),
        withdrawn: of.withdrawn,
        public: of.public,
        dimensions: of.dimensions.clone(),
        versions: of.versions,
        ..MilestoneRow::default()
    };
    if of.withdrawn {
        return row;
    }
    // By time, the milestones of its own deal or lead; for a trusted one, public-only ones do not count.
    let mut course: Vec<(i64, &str, &str)> = live
        .iter()
        .filter(|other| other.object_id == of.object_id && (of.public || !other.public))
        .map(|other| (other.time_ms, other.milestone_id.as_str(), other.kind.as_str()))
        .collect();
    course.sort_unstable();
    let own = course.iter().position(|(_, id, _)| *id == of.milestone_id);
    let stage = |at: Option<usize>| {
        at.and_then(|at| course.get(at)).map_or((String::new(), 0), |(time, _, kind)| ((*kind).to_owned(), *time))
    };
    let (stage_before, stage_before_time) = stage(own.and_then(|own| own.checked_sub(1)));
    let (stage_after, stage_after_time) = stage(own.map(|own| own + 1));
    let kinds: BTreeSet<String> = stages_looked_at(settings);
    let moment = |kind: String| Some(StageMoment { time: moment_of_stage(&kind, of, live)?, kind });
    let stages = kinds.into_iter().filter_map(moment).collect();
    let named_only = settings.contacts == ContactsSetting::Named;
    let named_profiles = if named_only { contacts.named(&home.unit, &of.object_id) } else { Vec::new() };
    MilestoneRow { stage_before, stage_before_time, stage_after, stage_after_time, stages, named_profiles, ..row }
}
