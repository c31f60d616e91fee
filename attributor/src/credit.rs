//! A journey's credit under every model of a plan.

use tributary_proto::{DesiredRow, Message, Milestone, Share, StoredTouch, Touch, UNATTRIBUTED, WHOLE_NANO};

use crate::journey::Journey;
use crate::plan::Plan;
use crate::share;

/// The rows that the milestone `of` should have under the models of `plan` chosen for its kind: `Share::model` is the position in
/// [`Plan::models_of`]. A withdrawn milestone has none; one without any touch has the row `unattributed`.
///
/// For every model the weights sum to exactly [`WHOLE_NANO`] and the values to the milestone's value.
pub fn rows(journey: &Journey<'_>, of: &Milestone, plan: &Plan) -> Vec<DesiredRow> {
    if of.withdrawn || plan.models_of(&of.kind).next().is_none() {
        return Vec::new();
    }
    let value_minor = of.value_minor.max(0).unsigned_abs();
    if journey.touches.is_empty() {
        return vec![unattributed(plan.models_of(&of.kind).count(), value_minor)];
    }
    let mut rows: Vec<DesiredRow> = journey
        .touches
        .iter()
        .map(|touch| DesiredRow {
            touch: touch.encoded().into_owned(),
            profile_id: touch.profile.to_owned(),
            shares: Vec::new(),
        })
        .collect();
    for (position, model) in (0u32..).zip(plan.models_of(&of.kind)) {
        let weights = model.multipliers.apply(&journey.touches, model.rule.weigh(journey));
        let weights_nano = share::nano(&weights);
        let values_minor = share::minor(&weights_nano, value_minor);
        for (row, (weight_nano, value)) in rows.iter_mut().zip(weights_nano.into_iter().zip(values_minor)) {
            if weight_nano > 0 {
                row.shares.push(Share { model: position, weight_nano, value_minor: signed(value) });
            }
        }
    }
    rows.retain(|row| !row.shares.is_empty());
    rows
}

/// The one row of an empty journey.
fn unattributed(models: usize, value_minor: u64) -> DesiredRow {
    let touch = StoredTouch {
        event_id: UNATTRIBUTED.to_owned(),
        time_ms: 0,
        touch: Some(Touch { channel: UNATTRIBUTED.to_owned(), ..Touch::default() }),
        mention: 0,
    };
    let share = |(model, _)| Share { model, weight_nano: WHOLE_NANO, value_minor: signed(value_minor) };
    DesiredRow { touch: touch.encode_to_vec(), profile_id: String::new(), shares: (0u32..).zip(0..models).map(share).collect() }
}

/// A part of a value that came from an `i64`.
fn signed(value_minor: u64) -> i64 {
    i64::try_from(value_minor).unwrap_or(i64::MAX)
}
