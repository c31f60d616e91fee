//! The demo's tables.

use std::collections::BTreeMap;

use comfy_table::Table;
use serde::Serialize;
use tributary_pipeline::credit_table::{CreditTable, Row};
use tributary_pipeline::time::minute;

use crate::stdout::outln;
use crate::table::{self, align_right, grouped, percent};

/// The credit of a channel under a model, over all won deals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// The model.
    pub model: String,
    /// The channel.
    pub channel: String,
    /// ISO 4217.
    pub currency: String,
    /// Minor units.
    pub value_minor: i64,
}

/// Prints the touches of one milestone with each model's share in percent.
///
/// # Errors
/// When it cannot be printed.
pub fn journey(table: &CreditTable, milestone_id: &str, models: &[String]) -> std::io::Result<()> {
    let mut touches: BTreeMap<(i64, &str), BTreeMap<&str, Row<'_>>> = BTreeMap::new();
    for row in table.rows().filter(|row| row.milestone_id == milestone_id) {
        touches.entry((row.touch_time_ms, row.touch_id)).or_default().insert(row.model, row);
    }
    let first = touches.values().flat_map(BTreeMap::iter).next();
    let value: i64 =
        first.map_or(0, |(model, _)| touches.values().filter_map(|touch| touch.get(model)).map(|row| row.value_minor).sum());
    let currency = first.map_or("", |(_, row)| row.currency);
    outln!("The deal {milestone_id}, {} {currency}: who earned it, in percent by model", major(value))?;
    let mut rows = titled(&["touch", "channel", "source"], models);
    for ((time_ms, _), shares) in &touches {
        let Some(any) = shares.values().next() else { continue };
        let mut cells = vec![minute(*time_ms), any.channel.to_string(), any.source.to_string()];
        cells.extend(
            models.iter().map(|model| shares.get(model.as_str()).map_or(String::new(), |row| percent(row.weight_nano))),
        );
        rows.add_row(cells);
    }
    align_right(&mut rows, 3..);
    table::print(&rows)
}

/// The sums of the won deals' value by channel and model.
pub fn totals(table: &CreditTable) -> Vec<Total> {
    let mut sums: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for row in table.rows().filter(|row| row.milestone_kind == "closed_won") {
        *sums.entry((row.channel, row.model, row.currency)).or_default() += row.value_minor;
    }
    let total = |((channel, model, currency), value_minor): ((&str, &str, &str), i64)| Total {
        model: model.to_owned(),
        channel: channel.to_owned(),
        currency: currency.to_owned(),
        value_minor,
    };
    sums.into_iter().map(total).collect()
}

/// Prints the totals: one row per channel and currency, one column per model.
///
/// # Errors
/// When they cannot be printed.
pub fn totals_by_channel(totals: &[Total], models: &[String]) -> std::io::Result<()> {
    let mut channels: BTreeMap<(&str, &str), BTreeMap<&str, i64>> = BTreeMap::new();
    for total in totals {
        channels.entry((&total.channel, &total.currency)).or_default().insert(&total.model, total.value_minor);
    }
    outln!("Closed-won value by channel and model")?;
    let mut rows = titled(&["channel", ""], models);
    for ((channel, currency), values) in &channels {
        let mut cells = vec![(*channel).to_owned(), (*currency).to_owned()];
        cells.extend(models.iter().map(|model| values.get(model.as_str()).map_or(String::new(), |value| major(*value))));
        rows.add_row(cells);
    }
    align_right(&mut rows, 2..);
    table::print(&rows)
}

/// A table with two-line titles for models, so that ten of them fit.
fn titled(left: &[&str], models: &[String]) -> Table {
    let titles: Vec<String> =
        left.iter().map(|title| (*title).to_owned()).chain(models.iter().map(|model| model.replacen('_', "\n", 1))).collect();
    table::table(&titles.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whole units with thousands separated. The currencies of the generated history have two decimals.
fn major(value_minor: i64) -> String {
    grouped(&(value_minor / 100).to_string())
}
