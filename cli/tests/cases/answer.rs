//! What a case gives: its files through the whole pipeline, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use tributary_cli::raw_files::{RawFiles, feed};
use tributary_ingest::{Decoded, Decoder};
use tributary_pipeline::replay::{Replay, Results};
use tributary_pipeline::settings::Settings;
use tributary_proto::{Source, WHOLE_NANO};
use tributary_runtime::topic::Topic;

use crate::support::RECEIVED_MS;

pub const WHOLE: i64 = WHOLE_NANO as i64;

/// A file of a case.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

pub fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap()
}

pub fn decoder() -> Decoder {
    let settings = Settings::default();
    Decoder::new(&settings.ingest, &settings.kinds.kinds()).unwrap()
}

/// What each line of a file is decoded to.
pub fn decoded(source: Source, lines: &str) -> Vec<Decoded> {
    let decoder = decoder();
    let one = |line: &str| {
        let mut decoded = Decoded::default();
        let read = decoder.decode(source, line.as_bytes(), Some(RECEIVED_MS), &mut decoded);
        read.unwrap_or_else(|why| panic!("{line}: {why}"));
        decoded
    };
    lines.lines().map(one).collect()
}

/// What the whole pipeline makes of files, and of further records.
pub struct Answer(Results);

/// Replays files with the default settings; the name of a file gives its topic.
pub fn replay(names: &[&str]) -> Answer {
    replay_with(&Settings::default(), names, &[])
}

pub fn replay_with(settings: &Settings, names: &[&str], more: &[(Topic, &str)]) -> Answer {
    let mut files = RawFiles::default();
    for name in names {
        let of =
            [(".sdk.", &mut files.sdk), (".webhook.", &mut files.webhook)].into_iter().find(|(part, _)| name.contains(part));
        match of {
            Some((_, files)) => files.push(file(name)),
            None => files.offline.push(file(name)),
        }
    }
    let mut replay = Replay::new(settings, 1).unwrap_or_else(|problems| panic!("{problems:?}"));
    let files = if names.is_empty() { Vec::new() } else { files.list().unwrap() };
    feed(&mut replay, &files, None, RECEIVED_MS, settings).unwrap();
    for (topic, record) in more {
        replay.append(*topic, RECEIVED_MS, record.as_bytes());
    }
    let results = replay.finish().unwrap();
    assert_eq!(results.table().imbalances(), [], "{names:?}");
    Answer(results)
}

impl Answer {
    /// How many people are known by a name.
    pub fn people(&self) -> usize {
        self.0.profiles.values().filter(|profile| !profile.identifiers.is_empty()).count()
    }

    pub fn dead_letters(&self) -> usize {
        self.0.dead_letters.len()
    }

    /// The milestones that have credit.
    pub fn milestones(&self) -> BTreeSet<&str> {
        self.0.table().rows().map(|row| row.milestone_id).collect()
    }

    pub fn currencies(&self) -> BTreeSet<&str> {
        self.0.table().rows().map(|row| row.currency).collect()
    }

    /// The shares of channels, in billionths.
    pub fn shares(&self, milestone: &str, model: &str) -> BTreeMap<&str, i64> {
        let mut shares = BTreeMap::new();
        for row in self.0.table().rows().filter(|row| row.milestone_id == milestone && row.model == model) {
            *shares.entry(row.channel).or_default() += row.weight_nano;
        }
        shares
    }

    /// What a milestone is worth, in minor units: the sum of its credit, the same under every model.
    pub fn money(&self, milestone: &str) -> (i64, &str) {
        let mut sums: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for row in self.0.table().rows().filter(|row| row.milestone_id == milestone) {
            *sums.entry((row.model, row.currency)).or_default() += row.value_minor;
        }
        let found: BTreeSet<(i64, &str)> = sums.into_iter().map(|((_, currency), sum)| (sum, currency)).collect();
        assert_eq!(found.len(), 1, "{milestone}: {found:?}");
        found.into_iter().next().unwrap()
    }
}
