//! `tributary propose-window`: proposes how far back journeys should reach, from their durations.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tributary_learn::parameters::Label;
use tributary_pipeline::paths::{Training, quantile};

use crate::fit::source::{self, FitRequest, Happened};
use crate::global::Global;
use crate::stdout::outln;
use crate::table::{align_right, table};
use crate::{logging, table};

const AFTER_HELP: &str = "\
A cycle is the time from the first touch of a journey to the milestone. Proposes 1.5 times the median cycle, and shows how many days
three quarters of the cycles take. Cycles cannot be longer than the current window: if many are nearly as long, set a longer window and run
this again. Without raw files it reads the state of the configured service, or with --topics its topics.

Example:
  tributary propose-window --target closed_won --set state.path=/var/lib/tributary";

const DAY_MS: i64 = 86_400_000;

/// The arguments of `propose-window`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ProposeWindowArgs {
    /// The kind of milestone that journeys lead to
    #[arg(long, value_name = "KIND", default_value = "closed_won")]
    target: String,
    #[command(flatten)]
    happened: Happened,
    /// Leave out everything later, RFC 3339; default: nothing
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

/// The proposal.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Proposal {
    target: String,
    /// The number of journeys it is based on.
    journeys: usize,
    median_days: i64,
    /// 1.5 times the median.
    window_days: i64,
    /// The number of journeys that are no longer than that.
    within_window: usize,
    /// Three quarters of the journeys are no longer than this, days.
    three_quarters_days: i64,
    /// The current window, days.
    present_days: u64,
}

/// Runs `propose-window`.
///
/// # Errors
/// When nothing can be read, or no journey leads to such a milestone.
pub fn run(args: &ProposeWindowArgs, global: &Global) -> anyhow::Result<()> {
    let settings = global.settings()?;
    logging::start(&settings.log);
    let until_ms = args.until.map(Timestamp::as_millisecond);
    let request = FitRequest { target: &args.target, label: Label::Channel, until_ms, patience_days: None };
    let training = source::of_journeys(&args.happened, &request, &settings)?;
    let Some(proposal) = proposal(&training) else {
        anyhow::bail!("no journey with a touch leads to a milestone of kind {}", args.target);
    };
    if global.json {
        return Ok(table::print_json(&proposal)?);
    }
    print(&proposal)
}

fn proposal(training: &Training) -> Option<Proposal> {
    let cycles = &training.cycles_ms;
    let days = |time_ms: i64| time_ms.div_euclid(DAY_MS) + i64::from(time_ms.rem_euclid(DAY_MS) > 0);
    let (median_ms, three_quarters_ms) = (quantile(cycles, 1, 2)?, quantile(cycles, 3, 4)?);
    let window_days = days(median_ms.saturating_add(median_ms / 2)).max(1);
    Some(Proposal {
        target: training.about.target.clone(),
        journeys: cycles.len(),
        median_days: days(median_ms),
        window_days,
        within_window: cycles.partition_point(|cycle_ms| *cycle_ms <= window_days * DAY_MS),
        three_quarters_days: days(three_quarters_ms).max(1),
        present_days: training.about.window_days.unwrap_or_default(),
    })
}

fn print(proposal: &Proposal) -> anyhow::Result<()> {
    let mut rows = table(&["", "days", "journeys"]);
    let all = proposal.journeys;
    rows.add_row(["median cycle".to_owned(), proposal.median_days.to_string(), format!("{} of {all}", all.div_ceil(2))]);
    rows.add_row([
        "1.5 times the median".to_owned(),
        proposal.window_days.to_string(),
        format!("{} of {all}", proposal.within_window),
    ]);
    rows.add_row([
        "three quarters of the cycles".to_owned(),
        proposal.three_quarters_days.to_string(),
        format!("{} of {all}", (all * 3).div_ceil(4)),
    ]);
    align_right(&mut rows, 1..);
    table::print(&rows)?;
    outln!("The current window is {} days. To set the proposed one:", proposal.present_days)?;
    outln!("  [attribution]")?;
    outln!("  window = {{ lookback_days = {} }}", proposal.window_days)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tributary_learn::parameters::About;
    use tributary_learn::paths::Paths;

    use super::*;

    #[test]
    fn half_as_long_again_as_the_median() {
        let of = |days: &[i64]| {
            let cycles_ms = days.iter().map(|days| days * DAY_MS).collect();
            proposal(&Training { paths: Paths::default(), about: About::default(), cycles_ms })
        };
        let found = of(&[10, 20, 30, 40, 200]).unwrap();
        assert_eq!((found.median_days, found.window_days, found.within_window, found.three_quarters_days), (30, 45, 4, 40));
        assert_eq!(of(&[0]).unwrap().window_days, 1);
        assert_eq!(of(&[]), None);
    }
}
