//! A journey's credit under every model of a plan.

use tributary_proto::{CreditRow, Message, Milestone, ModelCredit, Reporting, StoredTouch, Touch, UNATTRIBUTED, WHOLE_NANO};

use crate::apportion;
use crate::journey::Journey;
use crate::plan::Plan;

/// The credit rows of milestone `of` under the models of `plan` for its kind: `Share::model` is the position in [`Plan::models_of`]. A
/// withdrawn milestone has none; one without any touch has the row `unattributed`.
///
/// For every model the weights sum to exactly [`WHOLE_NANO`] and the values to the milestone's value.
pub fn rows(journey: &Journey<'_>, of: &Milestone, plan: &Plan) -> Vec<CreditRow> {
    if of.withdrawn || plan.models_of(&of.kind).next().is_none() {
        return Vec::new();
    }
    let value_minor = of.value_minor.max(0).unsigned_abs();
    let reporting_minor = reporting(of, plan).map_or(0, |reporting| reporting.value_minor.unsigned_abs());
    let mut rows: Vec<CreditRow> = journey
        .touches
        .iter()
        .map(|touch| CreditRow {
            touch: touch.encoded().into_owned(),
            profile_id: touch.profile.to_owned(),
            credits: Vec::new(),
        })
        .collect();
    let mut without = Vec::new();
    for (position, model) in (0u32..).zip(plan.models_of(&of.kind)) {
        let Some(weights_nano) = model.shares(journey, of) else {
            without.push(position);
            continue;
        };
        let values_minor = apportion::minor(&weights_nano, value_minor);
        // The total is shared by the same weights, not converted share by share: so the shares sum to the milestone's value in this
        // currency, too.
        let reported = if reporting_minor > 0 { apportion::minor(&weights_nano, reporting_minor) } else { Vec::new() };
        let reported = reported.into_iter().chain(std::iter::repeat(0));
        for ((row, (weight_nano, value)), reported) in
            rows.iter_mut().zip(weights_nano.into_iter().zip(values_minor)).zip(reported)
        {
            if weight_nano > 0 {
                let (value_minor, reporting_minor) = (signed(value), signed(reported));
                row.credits.push(ModelCredit { model: position, weight_nano, value_minor, reporting_minor });
            }
        }
    }
    rows.retain(|row| !row.credits.is_empty());
    if !without.is_empty() {
        rows.push(unattributed(&without, value_minor, reporting_minor));
    }
    rows
}

/// The value of a milestone in the reporting currency of `plan`; `None` if there is no such currency, or no rate is known.
pub fn reporting(of: &Milestone, plan: &Plan) -> Option<Reporting> {
    plan.rates.as_ref()?.report(of)
}

/// The only row of an empty journey, under these models.
fn unattributed(models: &[u32], value_minor: u64, reporting_minor: u64) -> CreditRow {
    let touch = StoredTouch {
        event_id: UNATTRIBUTED.to_owned(),
        time_ms: 0,
        touch: Some(Touch { channel: UNATTRIBUTED.to_owned(), ..Touch::default() }),
        ..StoredTouch::default()
    };
    let (value_minor, reporting_minor) = (signed(value_minor), signed(reporting_minor));
    let share = |model: &u32| ModelCredit { model: *model, weight_nano: WHOLE_NANO, value_minor, reporting_minor };
    CreditRow { touch: touch.encode_to_vec(), profile_id: String::new(), credits: models.iter().map(share).collect() }
}

/// A part of a value that was an `i64`, so it fits.
fn signed(value_minor: u64) -> i64 {
    i64::try_from(value_minor).unwrap_or(i64::MAX)
}
