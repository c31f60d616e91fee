//! Sources of paths: files of paths, raw files that are replayed, or the state of a service.

use std::path::PathBuf;

use tributary_attributor::read::paths::Wanted;
use tributary_learn::parameters::{About, Label};
use tributary_learn::paths::Paths;
use tributary_pipeline::paths::{Training, collect, newest_ms};
use tributary_pipeline::settings::Settings;

use super::table;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::raw_files::RawFiles;
use crate::whole::{Whole, look_at};

const DAY_MS: i64 = 86_400_000;

/// What is asked for.
pub struct Asked<'a> {
    /// The kind of milestone that converting journeys lead to.
    pub target: &'a str,
    /// What touches are called.
    pub label: Label,
    /// What happened later is left out, milliseconds since 1970-01-01 UTC; the newest touch if not given.
    pub until_ms: Option<i64>,
    /// How long after its last touch a journey has not converted; the window if not given.
    pub patience_days: Option<u32>,
}

/// Paths of files of paths.
///
/// # Errors
/// When one cannot be read.
pub fn of_tables(files: &[PathBuf], asked: &Asked<'_>) -> anyhow::Result<Training> {
    let mut progress = Progress::new("paths", None);
    let mut paths = Paths::default();
    for file in files {
        table::read(file, &mut paths, &mut || progress.add(1))?;
    }
    let about = About { target: asked.target.to_owned(), label: asked.label, until_ms: asked.until_ms, ..About::default() };
    Ok(Training { paths, about, cycles_ms: Vec::new() })
}

/// Paths of raw files, which are replayed, or of the state of a service.
///
/// # Errors
/// When these cannot be read.
pub fn of_units(files: &RawFiles, asked: &Asked<'_>, settings: &Settings) -> anyhow::Result<Training> {
    look_at(files, settings, |whole| {
        let mut progress = whole.progress("journeys");
        let Whole { snapshot, units, pipeline } = whole;
        let plan = pipeline.plan();
        let known: Vec<&str> = plan.kinds().collect();
        if !known.contains(&asked.target) {
            return Err(
                Usage(format!("--target {:?} is no kind of milestone; known are {}", asked.target, known.join(", "))).into()
            );
        }
        let until_ms = match asked.until_ms {
            Some(until_ms) => until_ms,
            None => newest_ms(snapshot, units, plan)?.unwrap_or_default(),
        };
        let patience_ms = match asked.patience_days {
            Some(days) => i64::from(days) * DAY_MS,
            None => plan.window_ms(asked.target),
        };
        let wanted = Wanted { target: asked.target.to_owned(), label: asked.label, until_ms };
        Ok(collect(snapshot, units, plan, &wanted, patience_ms, &mut || progress.add(1))?)
    })
}
