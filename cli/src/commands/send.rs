//! `tributary send`: files to the raw topics.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tributary_ingest::Decoder;
use tributary_runtime::topic::Topic;

use crate::args::Global;
use crate::clock::now_ms;
use crate::commands::replay::RawFiles;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::rows::{Rows, is_table};
use crate::settings::Settings;
use crate::sink::{self, RawSink, SinkError};
use crate::stdout::outln;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Every line becomes one record, as it is; what is wrong with it shows in the dead letters. Files that end in .csv, .tsv or .xlsx are
read as offline rows. Duplicates do no harm: a file may be sent twice.

Example:
  tributary send --set kafka.brokers=localhost:9092 --sdk history/sdk.ndjson --offline history/offline.csv";

/// The arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SendArgs {
    #[command(flatten)]
    files: RawFiles,
    /// Sends at most this many records a second
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

#[derive(Serialize)]
struct Sent {
    topic: &'static str,
    file: PathBuf,
    records: u64,
    refused_rows: u64,
}

/// Runs `send`.
///
/// # Errors
/// When a file cannot be read or a record not be delivered.
pub fn run(args: &SendArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let files = args.files.list()?;
    let mut sink = sink::open(&settings)?;
    let mut progress = Progress::new("send", None);
    let pace = Pace::new(args.rate);
    let mut sent = Vec::new();
    for (topic, file) in files {
        sent.push(send_file(topic, &file, &settings, sink.as_mut(), &mut progress, &pace)?);
    }
    sink.flush()?;
    progress.finish();
    if global.json {
        return Ok(table::print_json(&sent)?);
    }
    let mut rows = table::table(&["topic", "file", "records", "rows refused"]);
    for Sent { topic, file, records, refused_rows } in &sent {
        rows.add_row([(*topic).to_owned(), file.display().to_string(), records.to_string(), refused_rows.to_string()]);
    }
    table::print(&rows)?;
    outln!("{} records, {} a second", progress.done(), progress.per_second())?;
    Ok(())
}

fn send_file(
    topic: Topic,
    file: &Path,
    settings: &Settings,
    sink: &mut dyn RawSink,
    progress: &mut Progress,
    pace: &Pace,
) -> anyhow::Result<Sent> {
    let mut records = 0;
    let refused_rows = each_record(topic, file, settings, &mut |record| {
        records += 1;
        progress.add(1);
        pace.wait(progress.done(), sink)?;
        Ok(sink.send(topic, &[], record, now_ms())?)
    })?;
    Ok(Sent { topic: topic.name(), file: file.to_owned(), records, refused_rows })
}

/// Keeps to a number of records a second.
struct Pace {
    rate: Option<u32>,
    started: Instant,
}

impl Pace {
    fn new(rate: Option<u32>) -> Self {
        Self { rate, started: Instant::now() }
    }

    /// Waits until it is time for the `sent`th record; what was sent before is on its way meanwhile.
    fn wait(&self, sent: u64, sink: &mut dyn RawSink) -> Result<(), SinkError> {
        let Some(rate) = self.rate else { return Ok(()) };
        let due = Duration::from_micros(sent.saturating_mul(1_000_000) / u64::from(rate));
        let early = due.saturating_sub(self.started.elapsed());
        if early > Duration::from_millis(2) {
            sink.flush()?;
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
        Ok(())
    }
}

/// Reads the records of a file: NDJSON, or a table for the offline topic. Returns the number of rows that are not records; each is logged.
///
/// # Errors
/// When the file cannot be read, or `take` fails.
pub(super) fn each_record(
    topic: Topic,
    file: &Path,
    settings: &Settings,
    take: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut refused = 0;
    if topic == Topic::Offline && is_table(file) {
        Rows::open(file, &Decoder::new(&settings.ingest)?)?.each(&mut |row| match row {
            Ok((_, record)) => take(record.as_bytes()),
            Err(problem) => {
                tracing::warn!(file = %file.display(), line = problem.line, column = problem.column, "{}", problem.reason);
                refused += 1;
                Ok(())
            }
        })?;
        return Ok(refused);
    }
    let mut lines = Lines::open(file, u64::from(settings.topics.record_bytes_max))?;
    while let Some(line) = lines.next_line()? {
        take(line)?;
    }
    Ok(refused)
}
