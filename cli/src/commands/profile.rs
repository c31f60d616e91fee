//! `tributary profile`: shows what is known of an identifier.

use clap::Args;
use tributary_pipeline::explain::{Profile, profile};
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::state::Snapshot;

use super::explain::{as_far_as, failure};
use crate::answers::print_profile;
use crate::ask;
use crate::global::Global;
use crate::outcome::Usage;
use crate::{logging, stdout, table};

const AFTER_HELP: &str = "\
An identifier is written kind|scope|value as in profiles.ndjson, or kind:value (kind:scope:value where the kind has a scope), or is the
id p_... of a profile; account:001B and domain:b-corp.example ask for an account. What is not written with | is normalised first.
Reads the embedded log in state.path, beside a running service or without; on Kafka it asks the processes that hold the partitions
(admin.listen), from any machine, and where none runs it reads the disk of this machine. The first line says how fresh the answer is where
it is not of all that there is. `tributary replay --profile` answers the same over files.
The answer holds personal data: mind where you write it. Exit code 1: no event has named the identifier.

Example:
  tributary profile email:zhang@b-corp.example --set state.path=/var/lib/tributary";

/// The arguments of `profile`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ProfileArgs {
    /// The identifier, or a profile's id
    #[arg(value_name = "IDENTIFIER")]
    identifier: String,
}

/// Runs `profile`.
///
/// # Errors
/// When the identifier is unknown, or the state cannot be read.
pub fn run(args: &ProfileArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let pipeline = Pipeline::compile(&settings).map_err(Usage::from)?;
    let mut states = ask::open(&settings)?;
    let found = profile(&mut states, &pipeline, &args.identifier);
    let freshness = states.freshness(&settings);
    match found {
        Ok(profile) => print(&Profile { freshness: Some(freshness), ..profile }, global),
        Err(error) => Err(as_far_as(&freshness, error)),
    }
}

/// Prints the profile of an identifier over a snapshot.
///
/// # Errors
/// When it is unknown, or the state cannot be read.
pub fn answer(snapshot: &mut dyn Snapshot, pipeline: &Pipeline, identifier: &str, global: &Global) -> anyhow::Result<()> {
    print(&profile(snapshot, pipeline, identifier).map_err(failure)?, global)
}

fn print(found: &Profile, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(found)?);
    }
    Ok(print_profile(found, &mut stdout::text())?)
}
