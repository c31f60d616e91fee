//! `tributary export`: the outputs as Parquet files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tributary_export::table::{Table, Which, Written};
use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

use crate::global::Global;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::stdout::outln;
use crate::table::{align_right, grouped, table};
use crate::{logging, results, source, table};

const AFTER_HELP: &str = "\
Writes a file of each output into the folder: credits.parquet, touchpoints.parquet, milestones.parquet, profiles.parquet, accounts.parquet,
spend.parquet, ... Their columns are those of the data dictionary (docs/reference/rows.md): times are timestamps in UTC (null if not
set), days are dates, lists are lists, weights are in billionths and money is in minor units. Each file has the current rows: the latest of
each key, without retracted and erased ones. With --all it has every row that is still in the topic, as needed for summing deltas.

Reads the results of a replay (--results), else the topics of the configured service: only committed records, each topic up to its end at
that time. A file gets its final name when it is complete, and then replaces an older one. The files contain personal data.

Example:
  tributary export --results results --out export";

/// The arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ExportArgs {
    /// Folder for the files; created if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder written by `tributary replay --out`
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// Every row, not only the latest of each key; a replay keeps all rows only of credits
    #[arg(long)]
    all: bool,
    /// Only this output; may be repeated
    #[arg(long = "topic", value_name = "TOPIC", value_parser = output)]
    topics: Vec<Topic>,
}

fn output(name: &str) -> Result<Topic, String> {
    Topic::public().find(|topic| topic.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Topic::public().map(Topic::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

#[derive(Serialize)]
struct Summary {
    rows: Which,
    files: Vec<Written>,
    seconds: f64,
}

/// Runs `export`.
///
/// # Errors
/// When an output cannot be read or a file cannot be written.
pub fn run(args: &ExportArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let started = Instant::now();
    let topics = args.of_which()?;
    fs::create_dir_all(&args.out).with_context(|| format!("{} cannot be made", args.out.display()))?;
    let rows = if args.all { Which::All } else { Which::Latest };
    let mut files = Vec::new();
    for topic in topics {
        let table = Table::begin(&args.out, topic, rows)?;
        let mut progress = Progress::new(topic.name(), None);
        let table = match &args.results {
            Some(folder) => of_results(folder, topic, table, &mut progress)?,
            None => of_service(&settings, topic, table, &mut progress)?,
        };
        progress.finish();
        let mut progress = Progress::new(topic.name(), None);
        files.push(table.finish(&mut |rows| progress.add(rows))?);
    }
    print(&Summary { rows, files, seconds: started.elapsed().as_secs_f64() }, &args.out, global)
}

impl ExportArgs {
    /// The requested outputs; for a replay, those that it has written.
    fn of_which(&self) -> Result<BTreeSet<Topic>, Usage> {
        let there = |topic: &Topic| self.results.as_ref().is_none_or(|folder| results::has(folder, *topic));
        if self.topics.is_empty() {
            let found: BTreeSet<Topic> = Topic::public().filter(there).collect();
            return match (&self.results, found.is_empty()) {
                (Some(folder), true) => Err(Usage(format!(
                    "--results {}: no results of a replay are there; `tributary replay --out` writes them",
                    folder.display()
                ))),
                _ => Ok(found),
            };
        }
        match self.topics.iter().find(|topic| !there(topic)) {
            Some(topic) => Err(Usage(format!("--topic {}: the results have no {}.ndjson", topic.name(), topic.name()))),
            None => Ok(self.topics.iter().copied().collect()),
        }
    }
}

fn of_results(folder: &Path, topic: Topic, mut table: Table, progress: &mut Progress) -> anyhow::Result<Table> {
    results::each(folder, topic, &mut |line, row| {
        progress.add(1);
        // For a compacted topic, a replay's file has one row per key.
        table.take(&line.to_be_bytes(), Some(row)).with_context(|| format!("{}.ndjson, line {line}", topic.name()))
    })?;
    Ok(table)
}

fn of_service(settings: &Settings, topic: Topic, mut table: Table, progress: &mut Progress) -> anyhow::Result<Table> {
    source::each(settings, topic, &mut |found| {
        progress.add(1);
        Ok(table.take(&found.key, found.value.as_deref())?)
    })?;
    Ok(table)
}

fn print(summary: &Summary, folder: &Path, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(summary)?);
    }
    let mut rows = table(&["file", "records", "rows", "bytes"]);
    for of in &summary.files {
        let name = of.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let [records, count, bytes] = [of.records, of.rows, of.bytes].map(|count| grouped(&count.to_string()));
        rows.add_row([name, records, count, bytes]);
    }
    align_right(&mut rows, 1..);
    table::print(&rows)?;
    Ok(outln!("in {}, {:.1} s", folder.display(), summary.seconds)?)
}
