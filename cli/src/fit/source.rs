//! Sources of paths: files of paths, raw files that are replayed, the state of a service, or the topics that it writes.

use std::path::PathBuf;

use clap::Args;
use tributary_attributor::plan::Plan;
use tributary_attributor::read::paths::Wanted;
use tributary_attributor::read::rows::Rows;
use tributary_learn::parameters::{About, Label};
use tributary_learn::paths::Paths;
use tributary_pipeline::paths::{Training, collect, collect_rows, newest_ms, take, topics};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_runtime::topic::Topic;

use super::table;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::raw_files::RawFiles;
use crate::source::{Found, SourceError, open_whole, read_whole};
use crate::whole::{Whole, look_at};

const DAY_MS: i64 = 86_400_000;

/// Where journeys come from: raw files; else the state of the configured service, or its topics.
#[derive(Debug, Args)]
pub struct Happened {
    #[command(flatten)]
    files: RawFiles,
    /// Read the topics touchpoints and milestones (on Kafka, all partitions), instead of the state
    #[arg(long, conflicts_with_all = ["sdk", "utm", "webhook", "offline"])]
    topics: bool,
}

/// What to fit to.
pub struct FitRequest<'a> {
    /// The kind of milestone that converting journeys lead to.
    pub target: &'a str,
    /// The field of a touch that is its channel.
    pub label: Label,
    /// Later events are left out, milliseconds since 1970-01-01 UTC; default: the newest touch.
    pub until_ms: Option<i64>,
    /// How many days after its last touch a journey counts as not converting; default: the window.
    pub patience_days: Option<u32>,
}

impl FitRequest<'_> {
    fn check(&self, plan: &Plan) -> Result<(), Usage> {
        let known: Vec<&str> = plan.kinds().collect();
        if known.contains(&self.target) {
            return Ok(());
        }
        Err(Usage(format!("--target {:?} is no kind of milestone; known are {}", self.target, known.join(", "))))
    }

    fn wanted(&self, until_ms: Option<i64>) -> Wanted {
        Wanted { target: self.target.to_owned(), label: self.label, until_ms: until_ms.unwrap_or_default() }
    }

    fn patience_ms(&self, plan: &Plan) -> i64 {
        self.patience_days.map_or_else(|| plan.window_ms(self.target), |days| i64::from(days) * DAY_MS)
    }
}

/// Reads paths from files of paths.
///
/// # Errors
/// When one cannot be read.
pub fn of_tables(files: &[PathBuf], request: &FitRequest<'_>) -> anyhow::Result<Training> {
    let mut progress = Progress::new("paths", None);
    let mut paths = Paths::default();
    for file in files {
        table::read(file, &mut paths, &mut || progress.add(1))?;
    }
    let about =
        About { target: request.target.to_owned(), label: request.label, until_ms: request.until_ms, ..About::default() };
    Ok(Training { paths, about, cycles_ms: Vec::new() })
}

/// Reads paths from journeys.
///
/// # Errors
/// When it cannot be read.
pub fn of_journeys(happened: &Happened, request: &FitRequest<'_>, settings: &Settings) -> anyhow::Result<Training> {
    if happened.topics { of_topics(request, settings) } else { of_units(&happened.files, request, settings) }
}

/// Reads paths from raw files, which are replayed, or from the state of a service.
fn of_units(files: &RawFiles, request: &FitRequest<'_>, settings: &Settings) -> anyhow::Result<Training> {
    look_at(files, settings, |whole| {
        let mut progress = whole.progress("journeys");
        let Whole { snapshot, units, pipeline } = whole;
        let plan = pipeline.plan();
        request.check(plan)?;
        let newest = || newest_ms(snapshot, units, plan);
        let wanted = request.wanted(request.until_ms.map_or_else(newest, |until_ms| Ok(Some(until_ms)))?);
        Ok(collect(snapshot, units, plan, &wanted, request.patience_ms(plan), &mut || progress.add(1))?)
    })
}

/// Reads paths from the output topics: on Kafka from all partitions, whichever machines have their state.
fn of_topics(request: &FitRequest<'_>, settings: &Settings) -> anyhow::Result<Training> {
    let pipeline = Pipeline::compile(settings).map_err(Usage::from)?;
    let plan = pipeline.plan();
    request.check(plan)?;
    for (on, topic) in [(settings.outputs.touchpoints, Topic::Touchpoints), (settings.outputs.milestones, Topic::Milestones)] {
        if !on {
            let (name, setting) = (settings.topics.name(topic), topic.name());
            return Err(Usage(format!(
                "--topics: outputs.{setting} = false, so nothing is written to {name}; set it to true and have `tributary run` write \
                 the rows, or leave out --topics to read the state"
            ))
            .into());
        }
    }
    let topics = topics(settings.attribution.account_level);
    // The ends of all topics are determined before any is read.
    let opened = topics.into_iter().map(|topic| Ok((topic, open_whole(settings, topic)?)));
    let mut opened = opened.collect::<Result<Vec<_>, SourceError>>()?;
    let mut rows = Rows::default();
    for (topic, reader) in &mut opened {
        let mut progress = Progress::new(topic.name(), None);
        read_whole(&mut **reader, *topic, &mut |Found { key, value, .. }| {
            progress.add(1);
            Ok(take(&mut rows, *topic, &key, value.as_deref())?)
        })?;
    }
    let wanted = request.wanted(request.until_ms.or_else(|| rows.newest_ms()));
    let mut progress = Progress::new("journeys", Some(rows.units() as u64));
    Ok(collect_rows(&rows, plan, &wanted, request.patience_ms(plan), &mut || progress.add(1))?)
}
