//! `tributary state forget`: deletes erased people at once, as the running service does by itself.

use clap::Args;
use serde_json::json;
use tributary_identity::read::person;
use tributary_pipeline::explain::parse_identifier;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_runtime::embedded::{EmbeddedLog, Forgotten};
use tributary_runtime::stage::Erasure;

use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::stdout::outln;
use crate::{forget, state, table};

const AFTER_HELP: &str = "\
For the embedded log of a stopped service, which otherwise does this by itself. Deletes processed raw records and dead letters that name an
identifier whose erasure is pending, or an erased identifier given here. Also compacts the compacted topics, deletes processed records of the
inboxes and records older than their retention, and rewrites the files that contain deleted bytes. A record that also names others is
deleted completely: it was processed, so its effect on the others stays in the state. `audit` shows how many were deleted. Backups are not
changed. Exit code 1: an erasure is still pending because records are not processed yet; run the service until they are.

Example:
  tributary erase email:zhang@b-corp.example --yes && tributary run --until-idle 1 && tributary state forget";

/// The arguments of `state forget`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ForgetArgs {
    /// Erased identifiers to search for once more
    #[arg(value_name = "IDENTIFIER")]
    identifiers: Vec<String>,
}

/// Runs `state forget`.
///
/// # Errors
/// When the log is in use or cannot be written, an identifier was not erased, or an erasure is not finished.
pub fn run(args: &ForgetArgs, settings: &Settings, global: &Global) -> anyhow::Result<()> {
    if !settings.kafka.is_embedded() {
        let why = "`state forget` is for the embedded log; Kafka's topics are their operator's: `tributary erase --verify` shows what they hold";
        return Err(Usage(why.to_owned()).into());
    }
    let pipeline = Pipeline::compile(settings).map_err(Usage::from)?;
    let folder = settings.state.folder_of_log();
    anyhow::ensure!(
        EmbeddedLog::is_in(&folder),
        "there is no embedded log in {}; set state.path to the folder of the service",
        folder.display()
    );
    let log = state::open_embedded(settings)?;
    let mut again = Vec::new();
    for identifier in &args.identifiers {
        let of = parse_identifier(identifier, &pipeline).map_err(|error| Usage(error.to_string()))?;
        let found = person(&mut log.states(), &of, pipeline.rules())?;
        let until_ms = found.and_then(|found| found.record.erased_ms);
        let not_erased =
            || Usage(format!("this {} was not erased: `tributary erase` it first, and let the service run", of.kind));
        again.push(Erasure { until_ms: until_ms.ok_or_else(not_erased)?, of });
    }
    log.forget(&again)?;
    let mut upkeep = forget::upkeep(&log, settings, &pipeline);
    let (forgotten, all) = upkeep.finish()?;
    upkeep.clean()?;
    let left = log.to_be_forgotten()?.len();
    let unread = StageName::ALL.iter().map(|stage| log.lag(&stage.log())).sum::<Result<u64, _>>()?;
    let printed = if global.json {
        table::print_json(&json!({"forgotten": forgotten, "left": left, "unread": unread})).map_err(Into::into)
    } else {
        say(&forgotten, left, unread)
    };
    verdict(all && unread == 0, printed)
}

fn say(forgotten: &Forgotten, left: usize, unread: u64) -> anyhow::Result<()> {
    outln!(
        "raw data of {} identifiers deleted; {} records that named them were dropped",
        forgotten.identifiers,
        forgotten.records
    )?;
    if left > 0 || unread > 0 {
        outln!(
            "{left} erasures are pending, and {unread} records are not processed yet, which may name more: `tributary run --until-idle 1`, \
             and then this once more"
        )?;
    }
    Ok(())
}
