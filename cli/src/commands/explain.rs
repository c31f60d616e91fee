//! `tributary explain`: why a milestone has the credit it has.

use clap::Args;
use tributary_pipeline::explain::{ExplainError, Explanation, Freshness, explain};
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::state::Snapshot;

use crate::answers::print_explanation;
use crate::ask;
use crate::global::Global;
use crate::outcome::Usage;
use crate::{logging, stdout, table};

const AFTER_HELP: &str = "\
Reads the embedded log in state.path, whether the service runs or not. On Kafka it asks the processes that hold the partitions
(admin.listen), from any machine; if none runs, it reads the disk of this machine. If the answer does not include all records, the first
line says how current it is. `tributary replay --explain` answers the same over files. The answer contains personal data: mind where you
write it. Exit code 1: no event has reported the milestone.

Example:
  tributary explain closed_won:006X --model w_shaped --set state.path=/var/lib/tributary";

/// The arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ExplainArgs {
    /// The milestone's id, kind:object_id
    #[arg(value_name = "MILESTONE_ID")]
    milestone: String,
    /// Only the credit of this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

/// Runs `explain`.
///
/// # Errors
/// When the milestone is unknown, or the state cannot be read.
pub fn run(args: &ExplainArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    let mut states = ask::open(&settings)?;
    let found = explain(&mut states, &pipeline, &args.milestone, args.model.as_deref());
    let freshness = states.freshness(&settings);
    match found {
        Ok(explanation) => print(&Explanation { freshness: Some(freshness), ..explanation }, global),
        Err(error) => Err(as_far_as(&freshness, error)),
    }
}

/// Prints the explanation of a milestone over a snapshot.
///
/// # Errors
/// When it is unknown, or the state cannot be read.
pub fn answer(
    snapshot: &mut dyn Snapshot,
    pipeline: &Pipeline,
    milestone_id: &str,
    model: Option<&str>,
    global: &Global,
) -> anyhow::Result<()> {
    print(&explain(snapshot, pipeline, milestone_id, model).map_err(failure)?, global)
}

fn print(explanation: &Explanation, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(explanation)?);
    }
    Ok(print_explanation(explanation, &mut stdout::text())?)
}

/// What is unknown may be in newer records.
pub(super) fn as_far_as(freshness: &Freshness, error: ExplainError) -> anyhow::Error {
    match (error, freshness.line()) {
        (ExplainError::Unknown(why), Some(line)) => anyhow::anyhow!("{why}. {line}"),
        (error, _) => failure(error),
    }
}

/// The error with its exit code: a malformed question is a usage error.
pub(super) fn failure(error: ExplainError) -> anyhow::Error {
    match error {
        ExplainError::Usage(why) => Usage(why).into(),
        other => other.into(),
    }
}
