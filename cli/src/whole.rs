//! All units at once: of raw files, which are replayed, or of the state of a service.

use std::collections::{BTreeMap, BTreeSet};

use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::now_ms;
use tributary_pipeline::units::units;
use tributary_proto::{Account, Profile};
use tributary_runtime::state::Snapshot;
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::{self, Row};

use crate::outcome::Usage;
use crate::progress::Progress;
use crate::raw_files::{RawFiles, feed};
use crate::{ask, source};

/// A state, its units, and the settings by which they are looked at.
pub struct Whole<'a> {
    /// The state of all partitions.
    pub snapshot: &'a mut dyn Snapshot,
    /// The keys of the units.
    pub units: &'a BTreeSet<String>,
    /// The settings, compiled.
    pub pipeline: Pipeline,
}

impl Whole<'_> {
    /// Shows how many of the units have been looked at.
    pub fn progress(&self, what: &'static str) -> Progress {
        Progress::new(what, Some(self.units.len() as u64))
    }
}

/// Has `look` look at the units of raw files, where any are given, else of the service of the configuration.
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
        let mut replay = Replay::new(settings, 1).map_err(Usage::from)?;
        feed(&mut replay, &list, None, now_ms(), settings)?;
        let results = replay.results()?;
        let units = units(results.profiles.values(), results.accounts.values());
        return look(Whole { snapshot: replay.snapshot(), units: &units, pipeline });
    }
    let mut states = ask::open(settings)?;
    let profiles = latest::<Profile>(settings, Topic::Profiles)?;
    let accounts = latest::<Account>(settings, Topic::Accounts)?;
    let units = units(profiles.values(), accounts.values());
    look(Whole { snapshot: &mut states, units: &units, pipeline })
}

/// The latest row of every key of a compacted topic.
fn latest<R: Row>(settings: &Settings, topic: Topic) -> anyhow::Result<BTreeMap<Vec<u8>, R>> {
    let mut rows = BTreeMap::new();
    source::each(settings, topic, &mut |found| {
        match found.value {
            Some(bytes) => drop(rows.insert(found.key, format::read::<R>(&bytes)?)),
            None => drop(rows.remove(&found.key)),
        }
        Ok(())
    })?;
    Ok(rows)
}
