//! `tributary unlink`: states that two identifiers do not belong to one person, or not to one account.

use clap::Args;
use serde_json::json;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::minute;

use crate::global::Global;
use crate::outcome::Usage;
use crate::statement::statement;
use crate::stdout::outln;
use crate::{logging, table};

const AFTER_HELP: &str = "\
From then on the two are never joined, whatever events name both; if they were joined, they are separated, and credit is recomputed. An
explicit link with a later time overrides it. On the embedded log the service must be stopped meanwhile.

Example:
  tributary unlink crm_contact:003Z phone:+8613800001111";

/// The arguments of `unlink`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct UnlinkArgs {
    /// An identifier, kind:value or kind|scope|value
    #[arg(value_name = "IDENTIFIER")]
    one: String,
    /// The other identifier
    #[arg(value_name = "IDENTIFIER")]
    other: String,
    /// As of this time (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Runs `unlink`.
///
/// # Errors
/// When an identifier cannot be read or the statement cannot be sent.
pub fn run(args: &UnlinkArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    let about = [args.one.clone(), args.other.clone()];
    let unlink = statement("unlink", &about, args.at.as_deref(), &pipeline)?;
    unlink.send(&settings)?;
    if global.json {
        return Ok(table::print_json(&json!({"at_ms": unlink.event.time_ms, "sent": true}))?);
    }
    outln!("sent: an unlink as of {}", minute(unlink.event.time_ms))?;
    Ok(())
}
