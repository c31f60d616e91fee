//! The audit of a pipeline: what came in, what became of it, and whether the credit adds up.
//!
//! It does not rely on counters. It reads and decodes every raw record again, looks up each refusal in the dead letters and each event in
//! the state, and adds every credit update to the table that BI would have.
//!
//! | what | where |
//! |---|---|
//! | every raw record, and what became of it | `records` |
//! | the states, in running processes or on the disk | [`crate::ask`], `lookup` |
//! | what is on its way to them | `tail` |
//! | what channels have earned | [`Earned`] |
//! | the verdict | [`Verdict`] |

mod earned;
mod lookup;
mod metrics;
mod records;
mod tail;
mod verdict;

use serde::Serialize;
use tributary_pipeline::credit_table::{CreditTable, Imbalance};
use tributary_pipeline::settings::Settings;
use tributary_proto::CreditUpdate;
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format;

use crate::progress::Progress;
use crate::source;

pub use earned::Earned;
pub use metrics::write_metrics;
pub use records::{Account, Place, Records, records};
pub use verdict::Verdict;

/// The audit of the credit updates.
#[derive(Debug, Serialize)]
pub struct Credits {
    /// Updates.
    pub updates: u64,
    /// Milestones with updates.
    pub milestones: usize,
    /// Rows that have credit.
    pub rows: usize,
    /// Violations of "credit adds up".
    pub imbalances: Vec<Imbalance>,
    /// Credit by channel, for the metrics.
    #[serde(skip)]
    pub earned: Earned,
}

/// Reads all credit updates and checks that they add up: for every milestone and model, revisions are consecutive, deltas sum to the latest
/// rows by any column, weights sum to 1, and values to the same under every model.
///
/// # Errors
/// When the topic cannot be read or contains something else.
pub fn credits(settings: &Settings) -> anyhow::Result<Credits> {
    let mut table = CreditTable::default();
    let mut progress = Progress::new("credits", None);
    source::each(settings, Topic::Credits, &mut |found| {
        let Some(value) = &found.value else { return Ok(()) };
        table.add(&format::read::<CreditUpdate>(value)?);
        progress.add(1);
        Ok(())
    })?;
    Ok(Credits {
        updates: table.updates(),
        milestones: table.milestone_count(),
        rows: table.rows().count(),
        imbalances: table.imbalances(),
        earned: Earned::of(table.rows()),
    })
}
