//! The credit table, straight from touches, milestones, and where each belongs.

use std::collections::BTreeMap;

use tributary_attributor::settings::{ModelSettings, Settings};
use tributary_proto::{CreditUpdate, Milestone, StoredTouch, UNATTRIBUTED};

use super::journey::{Journey, body};
use super::models;
use super::people::Home;

/// A touch and where its identifier belongs.
#[derive(Debug, Clone)]
pub struct Brought {
    /// The touch.
    pub touch: StoredTouch,
    /// Where it belongs.
    pub home: Home,
    /// The browser or device it came from, else the identifier that brought it.
    pub device: u64,
}

/// A milestone and where its anchor belongs.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The milestone.
    pub milestone: Milestone,
    /// Where it belongs.
    pub home: Home,
}

/// Milestone, model, touch.
pub type RowKey = (String, String, String);
/// The latest rows: everything a row says, less how it came about (deltas, revision, reason) and the digest of its model's settings.
pub type CreditTable = BTreeMap<RowKey, CreditUpdate>;

const WHOLE: u128 = 1_000_000_000;

/// A row as the table holds it.
pub fn as_row(update: &CreditUpdate) -> CreditUpdate {
    CreditUpdate {
        model_version: String::new(),
        delta_weight_nano: 0,
        delta_value_minor: 0,
        revision: 0,
        reason: 0,
        ..update.clone()
    }
}

/// The credit table of all milestones.
pub fn table(touches: &[Brought], milestones: &[Reached], settings: &Settings) -> CreditTable {
    let mut table = CreditTable::new();
    for Reached { milestone: of, home } in milestones.iter().filter(|reached| !reached.milestone.withdrawn) {
        let live: Vec<&Milestone> = milestones
            .iter()
            .filter(|other| other.home.unit == home.unit && !other.milestone.withdrawn)
            .map(|other| &other.milestone)
            .collect();
        let consented: Vec<&Brought> =
            touches.iter().filter(|touch| touch.home.unit == home.unit && !touch.home.revoked).collect();
        let journey = Journey::to(of, &consented, &live, settings);
        for model in models_of(&of.kind, settings) {
            let milestone = CreditUpdate {
                milestone_id: of.milestone_id.clone(),
                milestone_kind: of.kind.clone(),
                model: model.name.clone(),
                account_id: home.account_id.clone(),
                milestone_time: of.time_ms,
                currency: of.currency.clone(),
                ..CreditUpdate::default()
            };
            for row in rows(model, &journey, of.value_minor, &milestone) {
                table.insert((row.milestone_id.clone(), row.model.clone(), row.touch_id.clone()), row);
            }
        }
    }
    table
}

fn models_of<'s>(kind: &str, settings: &'s Settings) -> Vec<&'s ModelSettings> {
    let chosen = settings.milestones.get(kind).and_then(|kind| kind.models.as_ref());
    settings.models.iter().filter(|model| chosen.is_none_or(|names| names.contains(&model.name))).collect()
}

fn rows(model: &ModelSettings, journey: &Journey, value_minor: i64, milestone: &CreditUpdate) -> Vec<CreditUpdate> {
    if journey.touches.is_empty() {
        return vec![CreditUpdate {
            touch_id: UNATTRIBUTED.to_owned(),
            channel: UNATTRIBUTED.to_owned(),
            weight_nano: number(WHOLE),
            value_minor,
            ..milestone.clone()
        }];
    }
    let nanos = models::shares(&models::weights(model, journey), WHOLE);
    let values = models::shares(&nanos, u128::from(value_minor.unsigned_abs()));
    let row = |((touch, nano), value): ((&Brought, &u128), u128)| {
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
            touch_time: touch.touch.time_ms,
            weight_nano: number(*nano),
            value_minor: number(value),
            ..milestone.clone()
        }
    };
    let rows = journey.touches.iter().zip(&nanos).zip(values).map(row);
    rows.filter(|row| row.weight_nano > 0).collect()
}

fn number(share: u128) -> i64 {
    i64::try_from(share).unwrap_or(i64::MAX)
}
