//! `tributary send`: sends files to the raw topics.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::time::now_ms;
use tributary_runtime::topic::Topic;

use crate::global::Global;
use crate::lines::LineError;
use crate::progress::Progress;
use crate::raw_files::{RawFiles, each_record};
use crate::resume::{Sending, Work};
use crate::sink::SinkError;
use crate::stdout::outln;
use crate::{logging, table};

const AFTER_HELP: &str = "\
Every line becomes one record, unchanged; invalid records appear in the dead letters. If a line is longer than topics.record_bytes_max,
its beginning is sent, and refused like every record that is too large; the log names the line. Files that end in .csv, .tsv or .xlsx
are read as offline rows. `-` is standard input.

After an interruption, the same command continues where it was, and each record is in the topic once. On Kafka FIRST-FILE.sent marks an
unfinished run, on the embedded log a file in the state folder. A completely sent file is sent again if you ask for it, which does no
harm: events count once. Input from a pipe cannot be resumed.

Example:
  tributary send --set kafka.brokers=localhost:9092 --sdk history/sdk.ndjson --offline history/offline.csv";

/// The arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SendArgs {
    #[command(flatten)]
    files: RawFiles,
    /// Send at most this many records per second
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

#[derive(Serialize)]
struct Sent {
    topic: &'static str,
    file: PathBuf,
    records: u64,
    refused_rows: u64,
    /// Rows that an interrupted run had finished. For a file that it had finished completely: all of them, without counting again.
    resumed_after: u64,
}

/// Runs `send`.
///
/// # Errors
/// When a file cannot be read or a record cannot be delivered.
pub fn run(args: &SendArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let files = args.files.list()?;
    let named: Vec<(Topic, &Path)> = files.iter().map(|(topic, file)| (*topic, file.as_path())).collect();
    let unreadable = |(path, source)| LineError { path, line: 0, source };
    let work = Work::of(&named, "send", &settings.log_name(), ".sent").map_err(unreadable)?;
    let mut sending = Sending::begin(&settings, work.as_ref())?;
    let mut progress = Progress::new("send", None);
    let pace = Pace::new(args.rate);
    let mut sent = Vec::new();
    sending.attempt(|sending| {
        for (at, (topic, file)) in named.iter().enumerate() {
            sent.push(send_file((at, *topic, file), &settings, sending, &mut progress, &pace)?);
        }
        Ok(())
    })?;
    let unfinished = sending.complete()?;
    progress.finish();
    let printed = print(&sent, &progress, global);
    if let Some(unfinished) = unfinished {
        unfinished.confirm_at_exit();
    }
    printed
}

fn print(sent: &[Sent], progress: &Progress, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(&sent)?);
    }
    let mut rows = table::table(&["topic", "file", "records", "rows refused"]);
    for Sent { topic, file, records, refused_rows, .. } in sent {
        rows.add_row([(*topic).to_owned(), file.display().to_string(), records.to_string(), refused_rows.to_string()]);
    }
    table::print(&rows)?;
    if sent.iter().any(|sent| sent.resumed_after > 0) {
        outln!("continued where an interrupted run had stopped; records it had sent are neither sent again nor counted here")?;
    }
    outln!("{} records, {} a second", progress.done(), progress.per_second())?;
    Ok(())
}

fn send_file(
    (at, topic, file): (usize, Topic, &Path),
    settings: &Settings,
    sending: &mut Sending,
    progress: &mut Progress,
    pace: &Pace,
) -> anyhow::Result<Sent> {
    let done = sending.done_of(at);
    let before = sending.earlier().clone();
    let mut sent = Sent { topic: topic.name(), file: file.to_owned(), records: 0, refused_rows: 0, resumed_after: done };
    if done == u64::MAX {
        return Ok(sent);
    }
    let (sent_before, refused_before) = if done > 0 { (before.sent, before.refused) } else { (0, 0) };
    let mut rows = 0;
    each_record(topic, file, settings, &mut |record| {
        rows += 1;
        if rows <= done {
            return Ok(());
        }
        if let Some(record) = record {
            progress.add(1);
            pace.wait(progress.done(), sending)?;
            sending.send(topic, record, now_ms())?;
            sent.records += 1;
        } else {
            sent.refused_rows += 1;
        }
        Ok(sending.passed(at, rows, sent_before + sent.records, refused_before + sent.refused_rows)?)
    })?;
    Ok(sent)
}

/// Limits the number of records per second.
struct Pace {
    rate: Option<u32>,
    started: Instant,
}

impl Pace {
    fn new(rate: Option<u32>) -> Self {
        Self { rate, started: Instant::now() }
    }

    /// Waits until it is time for record number `sent`; earlier records are delivered meanwhile.
    fn wait(&self, sent: u64, sending: &mut Sending) -> Result<(), SinkError> {
        let Some(rate) = self.rate else { return Ok(()) };
        let due = Duration::from_micros(sent.saturating_mul(1_000_000) / u64::from(rate));
        let early = due.saturating_sub(self.started.elapsed());
        if early > Duration::from_millis(2) {
            sending.store()?;
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
        Ok(())
    }
}
