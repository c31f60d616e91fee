//! `tributary explain`: why a milestone has the credit it has.

use std::io;

use clap::Args;
use tributary_runtime::state::Snapshot;

use crate::args::Global;
use crate::explain::{ExplainError, explain, open, print_explanation};
use crate::outcome::Usage;
use crate::pipeline::Pipeline;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Reads the state of the service in state.path, which may be running; on Kafka that of the partitions that this machine holds, as it
last reached the disk (at most ten minutes ago). `tributary replay --explain` answers the same over files.
The answer holds personal data: mind where you write it. Exit code 1: no event has reported the milestone.

Example:
  tributary explain closed_won:006X --model w_shaped --set state.path=/var/lib/tributary";

/// The arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ExplainArgs {
    /// The milestone's id, kind:object_id
    #[arg(value_name = "MILESTONE_ID")]
    milestone: String,
    /// The credit of this model only
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Runs `explain`.
///
/// # Errors
/// When nothing is known of the milestone, or the state cannot be read.
pub fn run(args: &ExplainArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    answer(&mut open(&settings)?, &pipeline, &args.milestone, args.model.as_deref(), global)
}

/// Prints the explanation of a milestone over a snapshot.
///
/// # Errors
/// When nothing is known of it, or the state cannot be read.
pub fn answer(
    snapshot: &mut dyn Snapshot,
    pipeline: &Pipeline,
    milestone_id: &str,
    model: Option<&str>,
    global: &Global,
) -> anyhow::Result<()> {
    let explanation = explain(snapshot, pipeline, milestone_id, model).map_err(failure)?;
    if global.json {
        return Ok(table::print_json(&explanation)?);
    }
    Ok(print_explanation(&explanation, &mut io::stdout().lock())?)
}

/// What a wrong question is to the exit code.
pub(super) fn failure(error: ExplainError) -> anyhow::Error {
    match error {
        ExplainError::Usage(why) => Usage(why).into(),
        other => other.into(),
    }
}
