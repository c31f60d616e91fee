//! `tributary erase`: makes void what events say of somebody.

use clap::Args;
use serde_json::json;

use crate::args::Global;
use crate::outcome::Usage;
use crate::pipeline::Pipeline;
use crate::statement::statement;
use crate::stdout::outln;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Every event that names one of the identifiers and happened at or before the time becomes void, wherever it is and whenever it comes; credit
is given anew without it. ARCHITECTURE.md says what stays. This cannot be undone, and other identifiers of the same person are not erased by
it: `tributary profile IDENTIFIER` shows them. Raw topics and dead letters keep what they have for their retention.
On the embedded log the service must be stopped meanwhile.

Example:
  tributary erase email:zhang@b-corp.example phone:+8613800001111 --yes";

/// The arguments of `erase`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct EraseArgs {
    /// Identifiers of the person, kind:value or kind|scope|value
    #[arg(value_name = "IDENTIFIER", required = true)]
    identifiers: Vec<String>,
    /// Up to when events become void (default: now)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Do it; without, only say what would be done
    #[arg(long)]
    yes: bool,
}

/// Runs `erase`.
///
/// # Errors
/// When an identifier cannot be read or the statement not be sent.
pub fn run(args: &EraseArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    let erase = statement("erase", &args.identifiers, args.until.as_deref(), &pipeline)?;
    if args.yes {
        erase.send(&settings)?;
    }
    let (count, until_ms) = (erase.event.identifiers.len(), erase.event.time_ms);
    if global.json {
        return Ok(table::print_json(&json!({"identifiers": count, "until_ms": until_ms, "sent": args.yes}))?);
    }
    let what = format!("an erasure of {count} identifiers, of all up to {}", table::minute(until_ms));
    if args.yes {
        outln!("sent: {what}")?;
    } else {
        outln!("would send: {what}; --yes does it, and cannot be undone")?;
    }
    Ok(())
}
