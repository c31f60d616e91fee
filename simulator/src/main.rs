//! `simulate`: runs seeds, replays one seed, or shows that planted bugs are found.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use tributary_proto::{Named, Reason};
use tributary_simulator::campaign::{Campaign, Tally};
use tributary_simulator::faults::Fault;
use tributary_simulator::history::{Features, History};
use tributary_simulator::planted::Bug;
use tributary_simulator::planted::report::report;
use tributary_simulator::planted::trial::{Finding, Trial, TrialError};
use tributary_simulator::run::{Case, run};
use tributary_simulator::shrink::shrink;
use tributary_simulator::sums::{self, Coverage};

/// How many seeds are run at most to find a planted bug.
const PLANTED_SEEDS: u64 = 1_000;
/// How many failing seeds are shrunk.
const SHRUNK_MAX: usize = 3;

/// Runs the stages under seeded faults and compares what comes out with a naive computation.
#[derive(Debug, Parser)]
#[command(
    name = "simulate",
    after_help = "Examples:\n  simulate --seeds 2000 --jobs 2         2,000 seeds on two threads\n  simulate --seed 417                   one seed, with everything that happens\n  simulate --planted all --report simulator/PLANTED.md"
)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Runs one seed and prints everything that happens
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: the records to keep, by position, separated by commas; `none` for none.
    #[arg(long, requires = "seed")]
    keep: Option<String>,
    /// With --seed: faults that are not injected, separated by commas
    #[arg(long, requires = "seed", value_delimiter = ',')]
    without: Vec<String>,
    /// With --seed: the most faults to inject
    #[arg(long, requires = "seed")]
    faults: Option<usize>,
    /// What histories contain beside records: trust, time, roles, hierarchy, dimensions, separated by commas; all or none
    #[arg(long, default_value_t = Features::DEFAULT)]
    features: Features,
    /// Stops at the first failing seed, without shrinking it
    #[arg(long)]
    stop_at_first: bool,
    /// Plants the bugs of simulator/planted in a copy of the sources, one at a time, and shows which are found: `all`, or names separated
    /// by commas. Run it at the root of the sources
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["seed", "stop_at_first"])]
    planted: Vec<String>,
    /// With --planted: the file for the report, Markdown.
    #[arg(long, requires = "planted")]
    report: Option<PathBuf>,
    /// Prints results as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic in a seed is caught and reported with the seed: no output here.
    std::panic::set_hook(Box::new(|_| {}));
    match simulate(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn simulate(args: &Args) -> anyhow::Result<bool> {
    match args.seed {
        Some(seed) => replay(args, seed),
        None if args.planted.is_empty() => Ok(campaign(args)),
        None => planted(args),
    }
}

fn progress(length: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {elapsed} left {eta}") {
        bar.set_style(style);
    }
    bar
}

fn campaign(args: &Args) -> bool {
    let campaign = Campaign {
        features: args.features,
        from: args.from,
        seeds: args.seeds,
        jobs: args.jobs,
        stop_at_first: args.stop_at_first,
    };
    let bar = progress(args.seeds);
    let begun = Instant::now();
    let tally = campaign.run(|| bar.inc(1));
    bar.finish_and_clear();
    let took = begun.elapsed();
    if args.json {
        println!("{}", tally_json(&tally, took));
    } else {
        print_tally(&tally, took);
    }
    for (seed, why) in tally.failures.iter().take(if args.stop_at_first { 0 } else { SHRUNK_MAX }) {
        eprintln!("seed {seed} fails: {why}");
        let bar = progress(0);
        let records = History::with(*seed, args.features).records.len();
        let small = shrink(&Case::with(*seed, args.features), records, || bar.inc(1));
        bar.finish_and_clear();
        eprintln!("replay it:    {}", command(&Case::with(*seed, args.features)));
        eprintln!("made smaller: {}", command(&small));
    }
    let not_covered = tally.not_covered();
    not_covered.iter().for_each(|what| eprintln!("the seeds do not cover what they must: {what}"));
    tally.failures.is_empty() && not_covered.is_empty()
}

/// Prints the counts of changes of credit rows, by kind of change and reason.
fn print_coverage(coverage: &Coverage) {
    let mut table = Table::new();
    let reasons = sums::REASONS.iter().map(|reason| reason.name().to_owned());
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(std::iter::once("rows that changed in".to_owned()).chain(reasons));
    for change in sums::changes() {
        let times = |reason: &Reason| match sums::cannot(change, *reason) {
            Some(_) => "-".to_owned(),
            None => coverage.times(change, *reason).to_string(),
        };
        table.add_row(std::iter::once(change.to_owned()).chain(sums::REASONS.iter().map(times)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    println!("-: cannot be, as simulator/src/sums.rs says why");
}

fn coverage_json(coverage: &Coverage) -> serde_json::Value {
    let of = |change: &'static str| {
        let times = |reason: &Reason| (reason.name().to_owned(), json!(coverage.times(change, *reason)));
        (change.to_owned(), serde_json::Value::Object(sums::REASONS.iter().map(times).collect()))
    };
    serde_json::Value::Object(sums::changes().map(of).collect())
}

fn command(case: &Case) -> String {
    format!("cargo run --release -p tributary-simulator -- {}", case.arguments())
}

fn print_tally(tally: &Tally, took: Duration) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["fault", "times", "in seeds", "what happens"]);
    for fault in Fault::ALL {
        let count = |of: &std::collections::BTreeMap<Fault, u64>| of.get(fault).copied().unwrap_or(0).to_string();
        table.add_row([fault.name().to_owned(), count(&tally.struck), count(&tally.in_seeds), fault.help().to_owned()]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    print_coverage(&tally.coverage);
    println!(
        "{} seeds, {} records, {} events, {} touches dropped for their age, {} turns of workers in {:.1} s: {} differ",
        tally.seeds,
        tally.records,
        tally.events,
        tally.dropped,
        tally.turns,
        took.as_secs_f64(),
        tally.failures.len()
    );
}

fn tally_json(tally: &Tally, took: Duration) -> serde_json::Value {
    let faults: serde_json::Map<String, serde_json::Value> = Fault::ALL
        .iter()
        .map(|fault| (fault.name().to_owned(), json!(tally.struck.get(fault).copied().unwrap_or(0))))
        .collect();
    let failures: Vec<_> = tally.failures.iter().map(|(seed, why)| json!({ "seed": seed, "why": why })).collect();
    json!({
        "seeds": tally.seeds,
        "records": tally.records,
        "events": tally.events,
        "touches_dropped": tally.dropped,
        "turns": tally.turns,
        "seconds": took.as_secs_f64(),
        "faults": faults,
        "changes": coverage_json(&tally.coverage),
        "not_covered": tally.not_covered(),
        "failures": failures,
    })
}

fn replay(args: &Args, seed: u64) -> anyhow::Result<bool> {
    let keep = match args.keep.as_deref() {
        None => None,
        Some("none") => Some(Vec::new()),
        Some(list) => Some(
            list.split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .context("--keep: expected numbers, separated by commas")?,
        ),
    };
    let mut without = BTreeSet::new();
    for name in &args.without {
        let fault = Fault::ALL
            .iter()
            .find(|fault| fault.name() == name)
            .with_context(|| format!("--without: no fault is named {name:?}"))?;
        without.insert(*fault);
    }
    let case = Case { seed, features: args.features, keep, without, faults_max: args.faults.unwrap_or(usize::MAX) };
    let report = run(&case, true);
    if args.json {
        println!(
            "{}",
            json!({ "seed": seed, "failure": report.failure, "records": report.records, "events": report.events, "turns": report.turns })
        );
        return Ok(report.failure.is_none());
    }
    let history = History::with(seed, args.features);
    for (at, raw) in
        history.records.iter().enumerate().filter(|(at, _)| case.keep.as_ref().is_none_or(|keep| keep.contains(at)))
    {
        println!("record {at} {}: {}", raw.topic.name(), raw.said);
    }
    report.trace.iter().for_each(|line| println!("{line}"));
    match &report.failure {
        Some(why) => println!("seed {seed} fails: {why}"),
        None => println!(
            "seed {seed}: no difference ({} records, {} events, {} turns)",
            report.records, report.events, report.turns
        ),
    }
    Ok(report.failure.is_none())
}

fn planted(args: &Args) -> anyhow::Result<bool> {
    let sources = std::env::current_dir().context("finding the sources")?;
    let mut bugs = Bug::all(&sources)?;
    if let Some(unknown) = args.planted.iter().find(|name| *name != "all" && !bugs.iter().any(|bug| bug.name == **name)) {
        bail!("--planted: no mistake is named {unknown:?}; simulator/planted has a patch for each");
    }
    bugs.retain(|bug| args.planted.iter().any(|name| name == "all" || *name == bug.name));
    let trial = Trial { sources, from: args.from, seeds: PLANTED_SEEDS, jobs: args.jobs };
    let bar = progress(bugs.len() as u64);
    let (mut found, mut not_built) = (Vec::new(), Vec::new());
    for bug in bugs {
        bar.set_message(bug.name.clone());
        let first = match trial.find(&bug) {
            // The other bugs are still tried: a campaign takes an hour.
            Err(error @ TrialError::Build { .. }) => {
                eprintln!("{error}");
                not_built.push(bug.name);
                bar.inc(1);
                continue;
            }
            tried => tried?,
        };
        if !args.json && !std::io::stderr().is_terminal() {
            eprintln!(
                "{}: {}",
                bug.name,
                first.as_ref().map_or("not found".to_owned(), |first| format!("by seed {}", first.seed))
            );
        }
        found.push((bug, first));
        // After each bug, so that the results are kept if the campaign is interrupted.
        if let Some(path) = &args.report {
            std::fs::write(path, report(&found, args.from, PLANTED_SEEDS))
                .with_context(|| format!("writing {}", path.display()))?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let caught = found.iter().filter(|(_, first)| first.is_some()).count();
    if args.json {
        println!("{}", json!({ "planted": found.iter().map(finding_json).collect::<Vec<_>>(), "found": caught }));
    } else {
        println!("{caught} of {} planted mistakes found", found.len());
    }
    if !not_built.is_empty() {
        bail!("the sources do not compile with {}", not_built.join(", "));
    }
    Ok(caught * 100 >= found.len() * 95)
}

fn finding_json((bug, first): &(Bug, Option<Finding>)) -> serde_json::Value {
    json!({ "bug": bug.name, "seed": first.as_ref().map(|first| first.seed), "why": first.as_ref().map(|first| &first.why) })
}
