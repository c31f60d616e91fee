//! `tributary demo`: the whole pipeline, end to end, on the embedded log in a temporary folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tributary_pipeline::credit_table::CreditTable;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_pipeline::time::now_ms;
use tributary_proto::{CreditUpdate, Message};
use tributary_runtime::config::settings::LogLevel;
use tributary_runtime::service::Service;
use tributary_runtime::topic::Topic;

use crate::generate::{History, Item, Spec};
use crate::global::Global;
use crate::outcome::{Usage, verdict};
use crate::progress::Progress;
use crate::rows::Rows;
use crate::sink::{EmbeddedSink, RawSink};
use crate::source::{EmbeddedReader, Next, TopicReader};
use crate::stdout::outln;
use crate::{backlog, engine, generate, logging, state, table};

mod show;

const AFTER_HELP: &str = "\
Feeds one buyer's journey over all four sources, and a generated history, to the whole pipeline on the embedded log; then shows the
journey of one deal with each model's credit, and the totals by channel. Needs no set-up and no network; leaves nothing behind.

Example:
  tributary demo --people 300 --seed 7";

/// The deal that is shown in detail.
const DEAL: &str = "closed_won:006X";
/// The buyer's journey, by source.
const SAMPLE: [(Topic, &str); 3] = [
    (Topic::Sdk, include_str!("../../tests/golden/zhang/sdk.ndjson")),
    (Topic::Utm, include_str!("../../tests/golden/zhang/utm.ndjson")),
    (Topic::Webhook, include_str!("../../tests/golden/zhang/webhook.ndjson")),
];
/// The same buyer's rows in the list of a trade show.
const SAMPLE_ROWS: &str = include_str!("../../tests/golden/zhang/offline.csv");
/// The stages are done when none has had a record for this long.
const DRAINED: Duration = Duration::from_millis(500);

/// The arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DemoArgs {
    /// People in the generated history
    #[arg(long, default_value_t = 300)]
    people: u64,
    /// Seed of the generated history
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Keep the embedded log in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

#[derive(Serialize)]
struct Outcome {
    records: u64,
    seconds: f64,
    credit_updates: u64,
    milestones: usize,
    imbalances: usize,
    deal: &'static str,
    totals: Vec<show::Total>,
}

/// Runs `demo`.
///
/// # Errors
/// When the folder cannot be used or a stage fails.
pub fn run(args: &DemoArgs, global: &Global) -> anyhow::Result<()> {
    let mut settings = global.settings()?;
    settings.log.level = LogLevel::Warn;
    logging::start(&settings.log);
    let folder = Folder::make(args.keep.clone())?;
    settings.kafka.brokers.clear();
    settings.state.path = folder.path.clone();
    settings.identity.free_mail.push("freemail.example".into());

    let started = Instant::now();
    let records = feed_and_drain(&settings, args)?;
    let table = read_credits(&settings)?;
    let seconds = started.elapsed().as_secs_f64();
    let imbalances = table.imbalances().len();
    let models: Vec<String> = settings.attribution.models.iter().map(|model| model.name.clone()).collect();
    let outcome = Outcome {
        records,
        seconds,
        credit_updates: table.updates(),
        milestones: milestones(&table),
        imbalances,
        deal: DEAL,
        totals: show::totals(&table),
    };
    let printed = if global.json { table::print_json(&outcome) } else { print(&outcome, &table, &models) };
    verdict(imbalances == 0, printed.map_err(Into::into))
}

fn print(outcome: &Outcome, table: &CreditTable, models: &[String]) -> std::io::Result<()> {
    show::journey(table, DEAL, models)?;
    show::totals_by_channel(&outcome.totals, models)?;
    let Outcome { records, seconds, credit_updates, milestones, imbalances, .. } = outcome;
    let whole = if *imbalances == 0 { "yes" } else { "NO" };
    outln!(
        "{records} raw records in {seconds:.1} s: {credit_updates} credit updates for {milestones} milestones; every milestone's \
         weights sum to 1: {whole}"
    )
}

/// Sends everything while the stages run, and waits until they have processed it.
fn feed_and_drain(settings: &Settings, args: &DemoArgs) -> anyhow::Result<u64> {
    let pipeline = Pipeline::compile(settings).map_err(Usage::from)?;
    let log = state::open_embedded(settings)?;
    let mut service = Service::default();
    engine::start_embedded(&mut service, &log, settings, &pipeline, &StageName::ALL)?;
    let mut sink = EmbeddedSink::new(log.clone());
    let mut progress = Progress::new("demo", None);
    send_sample(&mut sink, &pipeline, &mut progress)?;
    let days = 540;
    let events = args.people.saturating_mul(generate::EVENTS_PER_PERSON);
    for item in History::new(Spec { people: args.people, seed: args.seed, days, events, messy: false, dimensions: false }) {
        if let Item::Record(record) = item {
            sink.send(record.topic, &[], &record.value, now_ms())?;
            progress.add(1);
        }
    }
    sink.flush()?;
    progress.finish();
    let (health, stop) = (service.health(), service.stop_flag());
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        if health.idle() >= DRAINED && backlog::left_embedded(&log, &StageName::ALL, &BTreeSet::new())?.is_none() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    service.stop()?;
    Ok(progress.done())
}

fn send_sample(sink: &mut EmbeddedSink, pipeline: &Pipeline, progress: &mut Progress) -> anyhow::Result<()> {
    for (topic, text) in SAMPLE {
        for line in text.lines() {
            sink.send(topic, &[], line.as_bytes(), now_ms())?;
            progress.add(1);
        }
    }
    Rows::of_text(Path::new("offline.csv"), SAMPLE_ROWS.to_owned(), pipeline.decoder())?.each(&mut |row| {
        let (_, record) = row.map_err(|problem| Usage(problem.reason))?;
        sink.send(Topic::Offline, &[], record.as_bytes(), now_ms())?;
        progress.add(1);
        Ok(())
    })
}

fn read_credits(settings: &Settings) -> anyhow::Result<CreditTable> {
    let log = state::open_embedded(settings)?;
    let mut reader = EmbeddedReader::new(log, Topic::Credits, true);
    let mut table = CreditTable::default();
    while let Next::Record(found) = reader.next(Duration::ZERO)? {
        table.add(&CreditUpdate::decode(found.value.unwrap_or_default().as_slice())?);
    }
    Ok(table)
}

fn milestones(table: &CreditTable) -> usize {
    table.rows().map(|row| row.milestone_id).collect::<BTreeSet<_>>().len()
}

/// The folder of the embedded log; removed at the end unless it is kept.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn make(keep: Option<PathBuf>) -> std::io::Result<Self> {
        let name = format!("tributary-demo-{}", std::process::id());
        let path = keep.clone().unwrap_or_else(|| std::env::temp_dir().join(name));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, keep: keep.is_some() })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
