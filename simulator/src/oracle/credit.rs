//! The credit table, straight from touches, milestones, and where each belongs.

use std::collections::BTreeMap;

use tributary_attributor::settings::{Contacts as Whose, ModelSettings, Settings};
use tributary_proto::{CreditUpdate, Milestone, UNATTRIBUTED};

use super::contacts::Contacts;
use super::journey::{Journey, body, own_dimensions};
use super::models;
use super::people::Home;
use super::placed::{Brought, Reached};
use super::rates;

/// Milestone, model, touch.
pub type RowKey = (String, String, String);
/// The latest rows, without how they came about (deltas, revision, reason) and without the version of the model.
pub type CreditTable = BTreeMap<RowKey, CreditUpdate>;

const WHOLE: u128 = 1_000_000_000;

/// A row in the form of the table.
pub fn as_row(update: &CreditUpdate) -> CreditUpdate {
    CreditUpdate {
        model_version: String::new(),
        delta_weight_nano: 0,
        delta_value_minor: 0,
        delta_reporting_value_minor: 0,
        revision: 0,
        reason: 0,
        ..update.clone()
    }
}

/// The credit table of all milestones, without roles in deals.
pub fn table(touches: &[Brought], milestones: &[Reached], settings: &Settings) -> CreditTable {
    table_with(touches, milestones, &Contacts::default(), settings)
}

/// The credit table of all milestones.
pub fn table_with(touches: &[Brought], milestones: &[Reached], contacts: &Contacts, settings: &Settings) -> CreditTable {
    let mut table = CreditTable::new();
    for Reached { milestone: of, home } in milestones.iter().filter(|reached| !reached.milestone.withdrawn) {
        let live: Vec<&Milestone> = milestones
            .iter()
            .filter(|other| other.home.unit == home.unit && !other.milestone.withdrawn)
            .map(|other| &other.milestone)
            .collect();
        let consented = touches.iter().filter(|touch| touch.home.unit == home.unit && !touch.home.revoked);
        let known: Vec<Brought> = consented.filter_map(|touch| as_in_deal(touch, of, contacts, settings)).collect();
        let journey = Journey::to(of, &known.iter().collect::<Vec<_>>(), &live, settings);
        for model in models_of(&of.kind, settings) {
            let milestone = CreditUpdate {
                milestone_id: of.milestone_id.clone(),
                milestone_kind: of.kind.clone(),
                model: model.name.clone(),
                account_id: home.account_id.clone(),
                milestone_time: of.time_ms,
                currency: of.currency.clone(),
                milestone_dimensions: of.dimensions.clone(),
                ..CreditUpdate::default()
            };
            let worth = rates::worth(of, &settings.currency.reporting);
            let milestone = CreditUpdate {
                reporting_currency: worth.map(|_| settings.currency.reporting.clone()).unwrap_or_default(),
                reporting_value_minor: worth.unwrap_or(0),
                ..milestone
            };
            let nanos = models::nanos(model, (of, &live), &journey, settings);
            for row in rows(nanos, &journey, of.value_minor, &milestone) {
                table.insert((row.milestone_id.clone(), row.model.clone(), row.touch_id.clone()), row);
            }
        }
    }
    table
}

/// A touch with its profile's role in the milestone's object; `None` if only named people count and its profile is not named.
fn as_in_deal(touch: &Brought, of: &Milestone, contacts: &Contacts, settings: &Settings) -> Option<Brought> {
    let Home { unit, profile_id, .. } = &touch.home;
    let is_named = contacts.names(profile_id, &of.object_id) || !contacts.names_any(unit, &of.object_id);
    let role = contacts.role(profile_id, &of.object_id).unwrap_or(&touch.home.role).clone();
    let counts = settings.contacts == Whose::Account || is_named;
    counts.then(|| Brought { home: Home { role, ..touch.home.clone() }, ..touch.clone() })
}

fn models_of<'s>(kind: &str, settings: &'s Settings) -> Vec<&'s ModelSettings> {
    let chosen = settings.milestones.get(kind).and_then(|kind| kind.models.as_ref());
    settings.models.iter().filter(|model| chosen.is_none_or(|names| names.contains(&model.name))).collect()
}

fn rows(nanos: Option<Vec<u128>>, journey: &Journey, value_minor: i64, milestone: &CreditUpdate) -> Vec<CreditUpdate> {
    let Some(nanos) = nanos else {
        return vec![CreditUpdate {
            touch_id: UNATTRIBUTED.to_owned(),
            channel: UNATTRIBUTED.to_owned(),
            weight_nano: number(WHOLE),
            value_minor,
            ..milestone.clone()
        }];
    };
    let values = models::shares(&nanos, u128::from(value_minor.unsigned_abs()));
    let reported = models::shares(&nanos, u128::from(milestone.reporting_value_minor.unsigned_abs()));
    let row = |(((touch, nano), value), reported): (((&Brought, &u128), u128), u128)| {
        let of = body(touch);
        CreditUpdate {
            touch_id: touch.touch.event_id.clone(),
            profile_id: touch.home.profile_id.clone(),
            channel: of.channel.clone(),
            source: of.source.clone(),
            medium: of.medium.clone(),
            campaign: of.campaign.clone(),
            content: of.content.clone(),
            term: of.term.clone(),
            dimensions: own_dimensions(of),
            touch_time: touch.touch.time_ms,
            weight_nano: number(*nano),
            value_minor: number(value),
            reporting_value_minor: number(reported),
            ..milestone.clone()
        }
    };
    let rows = journey.touches.iter().zip(&nanos).zip(values).zip(reported).map(row);
    rows.filter(|row| row.weight_nano > 0).collect()
}

fn number(share: u128) -> i64 {
    i64::try_from(share).unwrap_or(i64::MAX)
}
