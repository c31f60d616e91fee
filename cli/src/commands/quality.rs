//! `tributary quality`: compares profiles, or the credit of models, with the hidden truth of a generated history.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::generate::effects::{Done, Planted};
use crate::global::Global;
use crate::lines::Lines;
use crate::quality::Quality;
use crate::quality::models::{Comparison, ModelDistance};
use crate::table;

const AFTER_HELP: &str = "\
Compares pairs of identifiers. Precision: the share of the pairs in one profile that belong to one person. Recall: the share of the pairs of
one person that are in one profile. Identifiers of several people (a kiosk, a front desk) are not counted.

Example:
  tributary generate --out history --people 2000 --seed 7 --messy
  tributary replay --config history/market.toml --sdk history/sdk.ndjson --utm history/utm.ndjson \\
      --webhook history/webhook.ndjson --offline history/offline.ndjson --offline history/offline.csv --out results
  tributary quality --truth history/truth.ndjson --profiles results/profiles.ndjson

With --models: how far the credit of each model is from the true effects of the channels. The distance is the sum of the absolute
differences of shares: 0 is perfect, 2 is the worst possible. The interval contains 90 % of the distances over resamples of the milestones.

Example:
  tributary generate --out history --people 20000 --effects additive
  tributary replay --offline history/offline.ndjson --out results
  tributary quality --models --truth history/effects.json --credits results/credit-table.ndjson";

/// Longest line of these files, bytes.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The arguments of `quality`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct QualityArgs {
    /// The truth, as written by `generate`: truth.ndjson, or effects.json
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// The profiles, as written by `replay`
    #[arg(long, value_name = "FILE", required_unless_present = "models", conflicts_with = "models")]
    profiles: Option<PathBuf>,
    /// Compare the credit of models
    #[arg(long, requires = "credits")]
    models: bool,
    /// The credit table, as written by `replay`
    #[arg(long, value_name = "FILE", requires = "models")]
    credits: Option<PathBuf>,
    /// With --models: number of resamples for the intervals; 0 for none
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    resamples: u32,
    /// With --models: seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A person or a profile, depending on the file.
#[derive(Deserialize)]
struct Group {
    identifiers: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    counts: Quality,
    precision: f64,
    recall: f64,
}

/// Runs `quality`.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: &QualityArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(credits) = &args.credits {
        return models(args, credits, global);
    }
    let profiles = args.profiles.as_deref().map(read).transpose()?.unwrap_or_default();
    let counts = Quality::of(read(&args.truth)?, profiles);
    let report = Report { precision: counts.precision(), recall: counts.recall(), counts };
    if global.json {
        return Ok(table::print_json(&report)?);
    }
    let mut rows = table::table(&["", ""]);
    for (name, value) in [
        ("identifiers compared", counts.identifiers.to_string()),
        ("identifiers of nobody", counts.of_nobody.to_string()),
        ("pairs in one profile", counts.joined.to_string()),
        ("pairs of one person", counts.should_be_joined.to_string()),
        ("pairs of one person in one profile", counts.rightly_joined.to_string()),
        ("precision", format!("{:.4}", report.precision)),
        ("recall", format!("{:.4}", report.recall)),
    ] {
        rows.add_row([name.to_owned(), value]);
    }
    Ok(table::print(&rows)?)
}

/// The identifiers of each group in a file.
fn read(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let mut groups = Vec::new();
    each(path, "an object with `identifiers`, a list of texts", &mut |group: Group| groups.push(group.identifiers))?;
    Ok(groups)
}

/// Reads a file with one object per line.
fn each<T: DeserializeOwned>(path: &Path, expected: &str, take: &mut dyn FnMut(T)) -> anyhow::Result<()> {
    let mut lines = Lines::open(path, LINE_BYTES_MAX)?;
    while let Some(line) = lines.next_line()? {
        let Some(Ok(read)) = line.whole().map(serde_json::from_slice) else {
            anyhow::bail!("{}:{}: expected {expected}", path.display(), lines.line());
        };
        take(read);
    }
    Ok(())
}

/// Compares the credit of models with the true effects of channels.
fn models(args: &QualityArgs, credits: &Path, global: &Global) -> anyhow::Result<()> {
    let text = fs::read_to_string(&args.truth).with_context(|| format!("{}: cannot be read", args.truth.display()))?;
    let planted: Planted = serde_json::from_str(&text)
        .with_context(|| format!("{}: expected what `generate --effects` has written", args.truth.display()))?;
    let mut comparison = Comparison::new(&planted);
    each(credits, "a row of a credit table", &mut |row| comparison.add(row))?;
    let found = comparison.distances(args.resamples, args.seed);
    if global.json {
        return Ok(table::print_json(&found)?);
    }
    let mut head = vec!["model", "distance", "nine of ten"];
    head.extend(planted.channels.iter().map(|done| done.channel.as_str()));
    let mut rows = table::table(&head);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let truth = planted.channels.iter().map(|done| percent(done.share));
    rows.add_row(["(the truth)".to_owned(), "0".to_owned(), String::new()].into_iter().chain(truth));
    for ModelDistance { model, distance, interval, channels, .. } in &found {
        let interval = interval.map_or_else(String::new, |[low, high]| format!("{low:.2} to {high:.2}"));
        let share = |done: &Done| channels.iter().find(|found| found.channel == done.channel).map_or(0.0, |found| found.share);
        let shares = planted.channels.iter().map(|done| percent(share(done)));
        rows.add_row([model.clone(), format!("{distance:.2}"), interval].into_iter().chain(shares));
    }
    Ok(table::print(&rows)?)
}
