//! `tributary quality`: profiles against the hidden truth of a generated history.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::args::Global;
use crate::lines::Lines;
use crate::quality::Quality;
use crate::table;

const AFTER_HELP: &str = "\
Of all pairs of identifiers: precision is the part of those in one profile that are one person's, recall the part of those of one person
that are in one profile. Identifiers of several people (a kiosk, a front desk) count for nobody.

Example:
  tributary generate --out history --people 2000 --seed 7 --messy
  tributary replay --config history/market.toml --sdk history/sdk.ndjson --utm history/utm.ndjson \\
      --webhook history/webhook.ndjson --offline history/offline.ndjson --offline history/offline.csv --out results
  tributary quality --truth history/truth.ndjson --profiles results/profiles.ndjson";

/// No line of these files is longer.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The arguments of `quality`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct QualityArgs {
    /// The truth, as `generate` writes it
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// The profiles, as `replay` writes them
    #[arg(long, value_name = "FILE")]
    profiles: PathBuf,
}

/// A person or a profile, whichever the file is of.
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
    let counts = Quality::of(read(&args.truth)?, read(&args.profiles)?);
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

/// The identifiers of each group of a file.
fn read(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let mut lines = Lines::open(path, LINE_BYTES_MAX)?;
    let mut groups = Vec::new();
    while let Some(line) = lines.next_line()? {
        let Some(Ok(group)) = line.whole().map(serde_json::from_slice::<Group>) else {
            anyhow::bail!("{}:{}: expected an object with `identifiers`, a list of texts", path.display(), lines.line());
        };
        groups.push(group.identifiers);
    }
    Ok(groups)
}
