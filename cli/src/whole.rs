//! All units at once: of raw files, which are replayed, or of the state of a service.

use std::collections::BTreeSet;

use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::now_ms;
use tributary_pipeline::units::units;
use tributary_runtime::state::Snapshot;

use crate::ask;
use crate::outcome::Usage;
use crate::progress::Progress;
use crate::raw_files::{RawFiles, feed};

/// A state, its units, and the settings to evaluate them with.
pub struct Whole<'a> {
    /// The state of all partitions.
    pub snapshot: &'a mut dyn Snapshot,
    /// The keys of the units.
    pub units: &'a BTreeSet<String>,
    /// The settings, compiled.
    pub pipeline: Pipeline,
}

impl Whole<'_> {
    /// Shows how many units have been read.
    pub fn progress(&self, what: &'static str) -> Progress {
        Progress::new(what, Some(self.units.len() as u64))
    }
}

/// Runs `look` over the units of raw files, if any are given, else of the configured service.
///
/// # Errors
/// When these cannot be read, or `look` fails.
pub fn look_at<T>(
    files: &RawFiles,
    settings: &Settings,
    look: impl FnOnce(Whole<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let pipeline = Pipeline::compile(settings).map_err(Usage::from)?;
    if let Ok(list) = files.list() {
        let mut replay = Replay::new(settings, 1).map_err(Usage::from)?.in_threads();
        feed(&mut replay, &list, None, now_ms(), settings)?;
        replay.run()?;
        let units = units(replay.snapshot())?;
        return look(Whole { snapshot: replay.snapshot(), units: &units, pipeline });
    }
    let mut states = ask::open(settings)?;
    let units = units(&mut states)?;
    look(Whole { snapshot: &mut states, units: &units, pipeline })
}
