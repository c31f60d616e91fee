//! `tributary replay`: the whole pipeline over files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use tributary_pipeline::replay::{Replay, Results};
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::now_ms;

use super::{explain, profile};
use crate::global::Global;
use crate::outcome::Usage;
use crate::raw_files::{RawFiles, feed};
use crate::stdout::outln;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Writes into the folder: credits.ndjson (all updates, in order), credit-table.ndjson (the rows that have credit, by key),
touchpoints.ndjson, milestones.ndjson, profiles.ndjson, accounts.ndjson, spend.ndjson and dead-letters.ndjson. The
results do not depend on --partitions or --shuffle.

Example:
  tributary replay --sdk history/sdk.ndjson --utm history/utm.ndjson --webhook history/webhook.ndjson \\
      --offline history/offline.ndjson --offline history/offline.csv --out results";

/// The arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ReplayArgs {
    #[command(flatten)]
    files: RawFiles,
    /// Folder for the results; created if missing. Required unless --explain or --profile is given
    #[arg(long, value_name = "DIR", required_unless_present_any = ["explain", "profile"])]
    out: Option<PathBuf>,
    /// Partitions of every topic
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    partitions: u32,
    /// Read the records in a random order with this seed, which holds them all in memory
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// The receive time of records without one, milliseconds since 1970-01-01 UTC; default: now
    #[arg(long, value_name = "MS")]
    received_ms: Option<i64>,
    /// Instead of the summary, show why a milestone has its credit (see `tributary explain`); may be repeated
    #[arg(long, value_name = "MILESTONE_ID")]
    explain: Vec<String>,
    /// With --explain: only the credit of this model
    #[arg(long, value_name = "NAME", requires = "explain")]
    model: Option<String>,
    /// Instead of the summary, show an identifier's profile (see `tributary profile`); may be repeated
    #[arg(long, value_name = "IDENTIFIER")]
    profile: Vec<String>,
}

#[derive(Serialize)]
struct Summary {
    raw_records: u64,
    dead_letters: usize,
    profiles: usize,
    accounts: usize,
    credit_updates: u64,
    credit_rows: usize,
    imbalances: usize,
    seconds: f64,
    records_per_second: u64,
}

/// Runs `replay`.
///
/// # Errors
/// When a file cannot be read or written, or a stage fails.
pub fn run(args: &ReplayArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let files = args.files.list()?;
    let started = Instant::now();
    let mut replay = Replay::new(&settings, args.partitions).map_err(Usage::from)?.in_threads();
    let failure = match &args.out {
        Some(folder) => Some(write_updates(&mut replay, folder)?),
        None => None,
    };
    let received_ms = args.received_ms.unwrap_or_else(now_ms);
    feed(&mut replay, &files, args.shuffle, received_ms, &settings)?;
    replay.run()?;
    let answered = answer(args, &mut replay, &settings, global);
    let results = replay.results()?;
    let Some(folder) = &args.out else { return answered };
    // Beside `credits.ndjson`.
    results.write(folder)?;
    replay.wait_for_updates()?;
    if let Some(Ok(error)) = failure.map(|failure| failure.try_recv()) {
        return Err(anyhow::Error::from(error).context("credits.ndjson cannot be written"));
    }
    let imbalances = results.table().imbalances();
    for found in &imbalances {
        tracing::error!(milestone = found.milestone_id, model = found.model, "{}", found.what);
    }
    let seconds = started.elapsed().as_secs_f64();
    if args.asks() { answered } else { print(&summary(&results, imbalances.len(), seconds), folder, global) }
}

impl ReplayArgs {
    fn asks(&self) -> bool {
        !self.explain.is_empty() || !self.profile.is_empty()
    }
}

/// `credits.ndjson`, which gets every update. The first error goes to a channel, also that of what is written at the end.
struct Updates {
    out: BufWriter<File>,
    /// `None` after an error.
    failed: Option<Sender<io::Error>>,
}

impl Updates {
    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        let Some(failed) = &self.failed else { return };
        if let Err(error) = write(&mut self.out) {
            // The channel lives until it was looked at.
            let _ = failed.send(error);
            self.failed = None;
        }
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        self.write(Write::flush);
    }
}

/// Writes every update to `credits.ndjson` in a folder; the channel returns an error.
fn write_updates(replay: &mut Replay, folder: &Path) -> anyhow::Result<Receiver<io::Error>> {
    fs::create_dir_all(folder)?;
    let (failed, failure) = channel();
    let mut updates = Updates { out: BufWriter::new(File::create(folder.join("credits.ndjson"))?), failed: Some(failed) };
    replay.on_update(move |update| {
        updates.write(|out| {
            serde_json::to_writer(&mut *out, update)?;
            out.write_all(b"\n")
        });
    });
    Ok(failure)
}

/// Answers the questions from the state after all files.
fn answer(
    args: &ReplayArgs,
    replay: &mut Replay,
    settings: &tributary_pipeline::settings::Settings,
    global: &Global,
) -> anyhow::Result<()> {
    if !args.asks() {
        return Ok(());
    }
    let pipeline = Pipeline::compile(settings).map_err(Usage::from)?;
    for milestone_id in &args.explain {
        explain::answer(replay.snapshot(), &pipeline, milestone_id, args.model.as_deref(), global)?;
    }
    for asked in &args.profile {
        profile::answer(replay.snapshot(), &pipeline, asked, global)?;
    }
    Ok(())
}

fn summary(results: &Results, imbalances: usize, seconds: f64) -> Summary {
    Summary {
        raw_records: results.raw_records,
        dead_letters: results.dead_letters.len(),
        profiles: results.profiles.len(),
        accounts: results.accounts.len(),
        credit_updates: results.table().updates(),
        credit_rows: results.table().rows().count(),
        imbalances,
        seconds,
        records_per_second: (results.raw_records as f64 / seconds.max(0.001)) as u64,
    }
}

fn print(summary: &Summary, folder: &Path, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(summary)?);
    }
    let mut rows = table::table(&["", "count"]);
    for (name, count) in [
        ("raw records", summary.raw_records),
        ("dead letters", summary.dead_letters as u64),
        ("profiles", summary.profiles as u64),
        ("accounts", summary.accounts as u64),
        ("credit updates", summary.credit_updates),
        ("credit rows", summary.credit_rows as u64),
        ("imbalances", summary.imbalances as u64),
    ] {
        rows.add_row([name.to_owned(), count.to_string()]);
    }
    table::print(&rows)?;
    outln!("{} records a second, {:.1} s; results in {}", summary.records_per_second, summary.seconds, folder.display())?;
    Ok(())
}
