//! `tributary state accept-loss`: continues without the records that an embedded log has lost.

use anyhow::bail;
use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_runtime::embedded::{EmbeddedLog, Missing};

use crate::outcome::Usage;
use crate::stdout::outln;
use crate::table::{self, align_right, table};

#[derive(Serialize)]
struct Shown {
    accepted: bool,
    transactions: u64,
    records: Vec<Lost>,
}

#[derive(Serialize)]
struct Lost {
    topic: &'static str,
    partition: u32,
    /// The current and the former end of the partition.
    ends: u64,
    ended: u64,
}

/// Shows what is missing; with `yes`, accepts what is left as the whole log.
///
/// # Errors
/// On Kafka; when nothing can be read; when something is missing that was not accepted.
pub fn accept_loss(settings: &Settings, yes: bool, json: bool) -> anyhow::Result<()> {
    if !settings.kafka.is_embedded() {
        return Err(Usage(
            "this is for the embedded log: on Kafka what is missing on this machine is restored by itself".to_owned(),
        )
        .into());
    }
    let folder = settings.state.folder_of_log();
    if !EmbeddedLog::is_in(&folder) {
        // Nothing can be read; opening it gives the reason.
        EmbeddedLog::open_read_only(&folder)?;
    }
    let missing = if yes { EmbeddedLog::accept_losses(&folder)? } else { EmbeddedLog::losses(&folder)? };
    show(missing.as_ref(), yes, json)?;
    if missing.is_some() && !yes {
        bail!("nothing was changed; to go on without it: tributary state accept-loss --yes");
    }
    Ok(())
}

fn show(missing: Option<&Missing>, accepted: bool, json: bool) -> anyhow::Result<()> {
    let records = missing.map_or(&[][..], |missing| &missing.records);
    if json {
        let records = records.iter().map(|lost| Lost {
            topic: lost.topic.name(),
            partition: lost.partition,
            ends: lost.found,
            ended: lost.expected,
        });
        let transactions = missing.map_or(0, |missing| missing.transactions);
        return Ok(table::print_json(&Shown { accepted, transactions, records: records.collect() })?);
    }
    let Some(missing) = missing else { return Ok(outln!("nothing is known to be missing")?) };
    let mut rows = table(&["topic", "partition", "ends at", "ended at"]);
    for lost in records {
        rows.add_row([
            lost.topic.name().to_owned(),
            lost.partition.to_string(),
            lost.found.to_string(),
            lost.expected.to_string(),
        ]);
    }
    align_right(&mut rows, 1..4);
    table::print(&rows)?;
    let verb = if accepted { "given up" } else { "missing" };
    Ok(outln!("{verb}: {missing}")?)
}
