//! `tributary state`: the state that a service keeps on this machine.

mod accept_loss;
mod forget;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::time::minute;

use crate::global::Global;
use crate::outcome::verdict;
use crate::progress::Progress;
use crate::state::{Backup, PutBack, back_up, info, put_back, settle, verify};
use crate::stdout::outln;
use crate::table::{align_right, grouped, table};
use crate::{logging, table};

const AFTER_HELP: &str = "\
On Kafka the changelog topics are the authoritative copy of the state, and a backup saves the time of a restore. On the embedded log the
state is the only copy.

Example:
  tributary state info --config tributary.toml
  tributary state backup /backups/tributary-monday --config tributary.toml";

/// The arguments of `state`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct StateArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the stores with their sizes and offsets; the service may be running
    #[command(after_help = "Example:\n  tributary state info --json")]
    Info,
    /// Read everything and check every checksum; the service may be running
    #[command(after_help = "\
What cannot be read is marked: on Kafka the next start sets it aside and restores it from the changelog.

Example:
  tributary state verify")]
    Verify,
    /// Copy the state of a stopped service, with its input offsets
    #[command(after_help = "Example:\n  tributary state backup /backups/tributary-monday")]
    Backup {
        /// The folder to create
        #[arg(value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Restore a backup, if it fits
    #[command(after_help = "\
Refused: while the service runs; a backup with any changed byte (SHA-256); a backup of other partitions, topics or consumer groups; offsets
that the group has not committed; a backup older than the changelog's tombstones. The backup is copied beside its target and verified
completely before anything is replaced; the former state stays as FOLDER.replaced. If this is interrupted, the old or the new state is in
place, complete, and the next command says which.

Example:
  tributary state restore /backups/tributary-monday")]
    Restore {
        /// The backup's folder
        #[arg(value_name = "FOLDER")]
        from: PathBuf,
        /// Move the current state aside
        #[arg(long)]
        replace: bool,
    },
    /// Delete the raw data of erased people and rewrite the files now (stopped service, embedded log)
    Forget(forget::ForgetArgs),
    /// Show what an embedded log has lost, and continue without it
    #[command(after_help = "\
Lost records were confirmed to their senders, who must send them again. If there is a backup, `state restore` may lose less.

Example:
  tributary state accept-loss
  tributary state accept-loss --yes")]
    AcceptLoss {
        /// Accept what is left as the whole log
        #[arg(long)]
        yes: bool,
    },
}

/// Runs `state`.
///
/// # Errors
/// When the state cannot be read or copied, is damaged, or does not fit.
pub fn run(args: &StateArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    if !matches!(args.action, Action::Restore { .. }) {
        settle(&settings.state.folder_of_process())?;
    }
    match &args.action {
        Action::Info => show_info(&settings, global.json),
        Action::Verify => show_verify(&settings, global.json),
        Action::Backup { to } => show_backup("copied", &back_up(&settings, to)?, &[], global.json),
        Action::Restore { from, replace } => {
            let PutBack { backup, kept } = put_back(&settings, from, *replace)?;
            show_backup("put back", &backup, &kept, global.json)
        }
        Action::Forget(args) => forget::run(args, &settings, global),
        Action::AcceptLoss { yes } => accept_loss::accept_loss(&settings, *yes, global.json),
    }
}

fn show_info(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let found = info(settings)?;
    if json {
        return Ok(table::print_json(&found)?);
    }
    let mut rows = table(&["stage", "partition", "bytes", "changelog", "as of", "inputs"]);
    for store in &found {
        let number = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        rows.add_row([
            store.stage.to_owned(),
            number(store.partition.map(u64::from)),
            grouped(&store.bytes.to_string()),
            number(store.changelog_next),
            store.as_of_ms.and_then(|at| i64::try_from(at).ok()).map_or(String::new(), minute),
            store.inputs.clone(),
        ]);
    }
    align_right(&mut rows, 1..4);
    Ok(table::print(&rows)?)
}

fn show_verify(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let mut progress = Progress::new("bytes", None);
    let found = verify(settings, &mut |bytes| progress.add(bytes));
    progress.finish();
    let printed = if json {
        table::print_json(&found)
    } else {
        let mut rows = table(&["stage", "partition", "values", "bytes", "fault"]);
        for store in &found {
            let partition = store.partition.map_or(String::new(), |partition| partition.to_string());
            let (values, bytes) = (grouped(&store.values.to_string()), grouped(&store.bytes.to_string()));
            rows.add_row([store.stage.to_owned(), partition, values, bytes, store.fault.clone().unwrap_or_default()]);
        }
        align_right(&mut rows, 1..4);
        table::print(&rows)
    };
    verdict(found.iter().all(|store| store.fault.is_none()), printed.map_err(Into::into))
}

/// A backup as printed: its files are listed in the manifest.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    backup: Backup,
    bytes: u64,
    kept: &'a [PathBuf],
}

fn show_backup(verb: &str, backup: &Backup, kept: &[PathBuf], json: bool) -> anyhow::Result<()> {
    let bytes = backup.files.iter().map(|file| file.bytes).sum();
    if json {
        let backup = Backup { files: Vec::new(), ..backup.clone() };
        return Ok(table::print_json(&Shown { backup, bytes, kept })?);
    }
    match backup.embedded {
        true => outln!("{verb}: the embedded log, {} bytes", grouped(&bytes.to_string()))?,
        false => outln!("{verb}: {} stores, {} bytes", backup.stores.len(), grouped(&bytes.to_string()))?,
    }
    for folder in kept {
        outln!("what was there before is in {}; remove it once it is not needed any more", folder.display())?;
    }
    Ok(())
}
