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
An identifier is written as kind|scope|value as in profiles.ndjson, or as kind:value (kind:scope:value if the kind has a scope), or is a
profile's id p_...; account:001B and domain:b-corp.example stand for accounts. Forms without | are normalised first.
Reads the embedded log in state.path, whether the service runs or not. On Kafka it asks the processes that hold the partitions
(admin.listen), from any machine; if none runs, it reads the disk of this machine. If the answer does not include all records, the first
line says how current it is. `tributary replay --profile` answers the same over files.
The answer contains personal data: mind where you write it. Exit code 1: no event has named the identifier.

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
