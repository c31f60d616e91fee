//! `tributary generate`: writes a seeded history to files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tributary_runtime::topic::Topic;

use crate::cell::inert;
use crate::generate::effects::{Effects, invent};
use crate::generate::{
    CONFIGURATION, CONFIGURATION_WITH_DIMENSIONS, DAYS_MIN, EVENTS_PER_PERSON, History, Item, Spec, header, row,
};
use crate::global::Global;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::stdout::outln;
use crate::table;

const AFTER_HELP: &str = "\
Writes sdk.ndjson, utm.ndjson, webhook.ndjson, offline.ndjson, offline.csv (trade-show lists) and truth.ndjson (who is who; the
pipeline never reads it), and market.toml, the configuration for them (--config). The same arguments give the same bytes on every machine.

With --effects it writes only offline.ndjson, half a year of touches and conversions, and effects.json, the true effect of each channel: see
`tributary quality --models`.

Examples: a million events of 50,000 people; then 20,000 people whose touches have known effects:
  tributary generate --out history --people 50000 --events 1000000 --seed 7
  tributary generate --out history --people 20000 --effects additive";

/// The arguments of `generate`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct GenerateArgs {
    /// Folder for the files; created if missing, existing files are overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many people there are, in companies of one to eight
    #[arg(long, value_name = "N", default_value_t = 200)]
    people: u64,
    /// Seed of everything random
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Days from the first to the last event
    #[arg(long, value_name = "D", default_value_t = 365, value_parser = clap::value_parser!(u32).range(i64::from(DAYS_MIN)..=3_650))]
    days: u32,
    /// Records in all, including duplicates; default: 20 per person
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Let senders make mistakes: odd URLs, misspelt and shared identifiers, records that must be refused
    #[arg(long)]
    messy: bool,
    /// Let senders give own dimensions: region, product, team
    #[arg(long)]
    dimensions: bool,
    /// Let touches of each channel raise the chance to convert by a known amount, combined in this way
    #[arg(long, value_enum, value_name = "KIND", conflicts_with_all = ["days", "events", "messy", "dimensions"])]
    effects: Option<Effects>,
}

#[derive(Serialize)]
struct Summary {
    people: u64,
    records: u64,
    bytes: u64,
    records_per_second: u64,
    files: Vec<FileSummary>,
}

#[derive(Serialize)]
struct FileSummary {
    name: &'static str,
    lines: u64,
    bytes: u64,
}

/// Runs `generate`.
///
/// # Errors
/// When a file cannot be written.
pub fn run(args: &GenerateArgs, global: &Global) -> anyhow::Result<()> {
    let events = args.events.unwrap_or(args.people.saturating_mul(EVENTS_PER_PERSON));
    // Ids are products of a person's number; this limit is far above any use.
    if args.people > 1 << 32 {
        return Err(Usage(format!("--people: at most {}", 1_u64 << 32)).into());
    }
    if let Some(effects) = args.effects {
        return with_effects(effects, args, global);
    }
    let spec =
        Spec { people: args.people, seed: args.seed, days: args.days, events, messy: args.messy, dimensions: args.dimensions };
    fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let configuration = args.out.join("market.toml");
    let text = if spec.dimensions { CONFIGURATION_WITH_DIMENSIONS } else { CONFIGURATION };
    fs::write(&configuration, text).with_context(|| format!("{}: cannot be written", configuration.display()))?;
    let mut files = Files::create(&args.out, header(spec.dimensions))?;
    let mut progress = Progress::new("generate", Some(events));
    let mut people = 0;
    for item in History::new(spec) {
        match item {
            Item::Person(truth) => {
                people += 1;
                files.truth.line(&serde_json::to_vec(&truth)?)?;
            }
            Item::Record(record) => {
                match row(&record.value, header(spec.dimensions)).filter(|_| record.sheet) {
                    Some(cells) => files.sheet.line(&csv_line(&cells)?)?,
                    None => files.of(record.topic).line(&record.value)?,
                }
                progress.add(1);
            }
        }
    }
    progress.finish();
    let files = files.finish()?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let summary = Summary { people, records: progress.done(), bytes, records_per_second: progress.per_second(), files };
    report(&summary, global)
}

/// Writes a history in which the effect of each channel is known.
fn with_effects(effects: Effects, args: &GenerateArgs, global: &Global) -> anyhow::Result<()> {
    fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let mut offline = LineFile::create(&args.out, "offline.ndjson")?;
    let mut progress = Progress::new("generate", None);
    let planted = invent(effects, args.people, args.seed, &mut |record| {
        progress.add(1);
        offline.line(&serde_json::to_vec(record)?)
    })?;
    progress.finish();
    let mut truth = LineFile::create(&args.out, "effects.json")?;
    truth.line(&serde_json::to_vec(&planted)?)?;
    let files = vec![offline.finish()?, truth.finish()?];
    let bytes = files.iter().map(|file| file.bytes).sum();
    let (records, records_per_second) = (progress.done(), progress.per_second());
    report(&Summary { people: args.people, records, bytes, records_per_second, files }, global)
}

fn report(summary: &Summary, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(summary)?);
    }
    let mut rows = table::table(&["file", "lines", "bytes"]);
    for file in &summary.files {
        rows.add_row([file.name.to_owned(), file.lines.to_string(), file.bytes.to_string()]);
    }
    table::print(&rows)?;
    outln!("{} records of {} people, {} a second", summary.records, summary.people, summary.records_per_second)?;
    Ok(())
}

fn csv_line<T: AsRef<str>>(cells: &[T]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.iter().map(|cell| inert(cell.as_ref()).into_owned()))?;
    let mut line = writer.into_inner().map_err(|error| anyhow::anyhow!("a row cannot be written: {error}"))?;
    line.pop();
    Ok(line)
}

/// The files of a history.
struct Files {
    sdk: LineFile,
    utm: LineFile,
    webhook: LineFile,
    offline: LineFile,
    sheet: LineFile,
    truth: LineFile,
}

impl Files {
    fn create(folder: &Path, header: &[&str]) -> anyhow::Result<Self> {
        let mut files = Self {
            sdk: LineFile::create(folder, "sdk.ndjson")?,
            utm: LineFile::create(folder, "utm.ndjson")?,
            webhook: LineFile::create(folder, "webhook.ndjson")?,
            offline: LineFile::create(folder, "offline.ndjson")?,
            sheet: LineFile::create(folder, "offline.csv")?,
            truth: LineFile::create(folder, "truth.ndjson")?,
        };
        files.sheet.line(&csv_line(header)?)?;
        Ok(files)
    }

    fn of(&mut self, topic: Topic) -> &mut LineFile {
        match topic {
            Topic::Sdk => &mut self.sdk,
            Topic::Utm => &mut self.utm,
            Topic::Webhook => &mut self.webhook,
            _ => &mut self.offline,
        }
    }

    fn finish(self) -> anyhow::Result<Vec<FileSummary>> {
        [self.sdk, self.utm, self.webhook, self.offline, self.sheet, self.truth].into_iter().map(LineFile::finish).collect()
    }
}

/// A file that is written line by line.
struct LineFile {
    name: &'static str,
    path: PathBuf,
    out: BufWriter<File>,
    lines: u64,
    bytes: u64,
}

impl LineFile {
    fn create(folder: &Path, name: &'static str) -> anyhow::Result<Self> {
        let path = folder.join(name);
        let file = File::create(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok(Self { name, path, out: BufWriter::with_capacity(1 << 18, file), lines: 0, bytes: 0 })
    }

    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let written = self.out.write_all(line).and_then(|()| self.out.write_all(b"\n"));
        self.lines += 1;
        self.bytes += u64::try_from(line.len()).unwrap_or(0) + 1;
        written.with_context(|| format!("{}: cannot be written", self.path.display()))
    }

    fn finish(mut self) -> anyhow::Result<FileSummary> {
        self.out.flush().with_context(|| format!("{}: cannot be written", self.path.display()))?;
        Ok(FileSummary { name: self.name, lines: self.lines, bytes: self.bytes })
    }
}
