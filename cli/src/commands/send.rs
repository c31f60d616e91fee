//! `tributary send`: files to the raw topics.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use tributary_ingest::Decoder;
use tributary_runtime::topic::Topic;

use crate::args::Global;
use crate::lines::Lines;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::rows::Rows;
use crate::settings::Settings;
use crate::sink::{self, RawSink};
use crate::{logging, table};

const AFTER_HELP: &str = "\
Every line becomes one record, as it is; what is wrong with it shows in the dead letters. Files that end in .csv are read as
offline rows. Duplicates do no harm: a file may be sent twice.

Example:
  tributary send --set kafka.brokers=localhost:9092 --sdk history/sdk.ndjson --offline history/offline.csv";

/// The arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SendArgs {
    /// NDJSON of Segment-spec messages
    #[arg(long, value_name = "FILE")]
    sdk: Vec<PathBuf>,
    /// NDJSON of landing hits
    #[arg(long, value_name = "FILE")]
    utm: Vec<PathBuf>,
    /// NDJSON of provider pushes
    #[arg(long, value_name = "FILE")]
    webhook: Vec<PathBuf>,
    /// NDJSON of native records, or CSV
    #[arg(long, value_name = "FILE")]
    offline: Vec<PathBuf>,
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
    let sources = [&args.sdk, &args.utm, &args.webhook, &args.offline];
    let files: Vec<(Topic, &PathBuf)> =
        Topic::RAW.into_iter().zip(sources).flat_map(|(topic, files)| files.iter().map(move |file| (topic, file))).collect();
    if files.is_empty() {
        return Err(Usage("nothing to send: give --sdk, --utm, --webhook or --offline".into()).into());
    }
    let mut sink = sink::open(&settings)?;
    let mut progress = Progress::new("send", None);
    let mut sent = Vec::new();
    for (topic, file) in files {
        sent.push(send_file(topic, file, &settings, sink.as_mut(), &mut progress)?);
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
    println!("{} records, {} a second", progress.done(), progress.per_second());
    Ok(())
}

fn send_file(
    topic: Topic,
    file: &Path,
    settings: &Settings,
    sink: &mut dyn RawSink,
    progress: &mut Progress,
) -> anyhow::Result<Sent> {
    let mut sent = Sent { topic: topic.name(), file: file.to_owned(), records: 0, refused_rows: 0 };
    if topic == Topic::Offline && is_csv(file) {
        for row in Rows::open(file, &Decoder::new(&settings.ingest)?)?.iter() {
            match row {
                Ok((_, record)) => {
                    sink.send(topic, &[], record.as_bytes(), now_ms())?;
                    sent.records += 1;
                    progress.add(1);
                }
                Err(problem) => {
                    tracing::warn!(file = %file.display(), line = problem.line, column = problem.column, "{}", problem.reason);
                    sent.refused_rows += 1;
                }
            }
        }
        return Ok(sent);
    }
    let mut lines = Lines::open(file, u64::from(settings.topics.record_bytes_max))?;
    while let Some(line) = lines.next_line()? {
        sink.send(topic, &[], line, now_ms())?;
        sent.records += 1;
        progress.add(1);
    }
    Ok(sent)
}

/// Whether the file's name ends in `.csv`.
pub fn is_csv(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// The time of sending, which is when the records are received.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
