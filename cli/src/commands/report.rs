//! `tributary report`: reports over the credit, for people.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use tributary_pipeline::units::{OnPublicEvidence, on_public_evidence};

use crate::answers::money;
use crate::global::Global;
use crate::raw_files::RawFiles;
use crate::stdout::outln;
use crate::table::{align_right, table};
use crate::whole::{Whole, look_at};
use crate::{logging, table};

/// The arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tributary report public-evidence --kind closed_won")]
pub struct ReportArgs {
    #[command(subcommand)]
    report: Report,
}

/// The reports.
#[derive(Debug, Subcommand)]
enum Report {
    /// Milestones whose journeys have only public touches
    PublicEvidence(PublicEvidenceArgs),
}

const PUBLIC_EVIDENCE_HELP: &str = "\
Public events came through a write key in web pages, or a pixel: anybody could have sent them (docs/trust.md). Lists the milestones whose
journeys have touches but none from a trusted event, the highest values first. If a deal looks suspicious, start here. Without raw files it
reads the state of the configured service.

Example:
  tributary report public-evidence --kind closed_won";

/// The arguments of `report public-evidence`.
#[derive(Debug, Args)]
#[command(after_help = PUBLIC_EVIDENCE_HELP)]
struct PublicEvidenceArgs {
    /// Only milestones of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    #[command(flatten)]
    files: RawFiles,
}

/// Runs `report`.
///
/// # Errors
/// When its input cannot be read.
pub fn run(args: &ReportArgs, global: &Global) -> anyhow::Result<()> {
    let Report::PublicEvidence(args) = &args.report;
    let settings = global.settings()?;
    logging::start(&settings.log);
    let mut found = look_at(&args.files, &settings, |whole| {
        let mut progress = whole.progress("units");
        let Whole { snapshot, units, pipeline } = whole;
        Ok(on_public_evidence(snapshot, units, pipeline.plan(), &mut || progress.add(1))?)
    })?;
    found.retain(|of| args.kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(&of.kind)));
    if global.json {
        return Ok(table::print_json(&found)?);
    }
    print(&found)
}

fn print(found: &[OnPublicEvidence]) -> anyhow::Result<()> {
    if found.is_empty() {
        outln!("no milestone has only public touches")?;
        return Ok(());
    }
    let mut rows = table(&["milestone", "time", "account", "value", "touches", "channels"]);
    for of in found {
        let time = Timestamp::from_millisecond(of.time_ms).map_or_else(|_| of.time_ms.to_string(), |time| time.to_string());
        let value = if of.value_minor == 0 { String::new() } else { money(of.value_minor, &of.currency) };
        let channels = of.channels.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        rows.add_row([of.milestone_id.clone(), time, of.account_id.clone(), value, of.touches.to_string(), channels]);
    }
    align_right(&mut rows, 3..5);
    Ok(table::print(&rows)?)
}
