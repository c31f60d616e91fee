//! Whether these settings are accepted, and what would be recomputed.

use comfy_table::Table;
use serde::Serialize;
use tributary_attributor::read::{Size, size};
use tributary_pipeline::generations::{ChangedSetting, Changes, changes};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_proto::Generation;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::generation::{Choice, Generations, Terms};
use tributary_runtime::state::Snapshot;

use super::Checked;
use crate::ask;
use crate::generations::{GenerationsError, KafkaPlans, Plans, of_stages};
use crate::table;

/// How these settings relate to the generations so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    stage: &'static str,
    /// The generation in force; 0 if there is none.
    holds: u64,
    /// The generation that these settings have or would get; left out if they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<u64>,
    /// Whether everything would be recomputed.
    anew: bool,
    #[serde(flatten)]
    changes: Changes,
    /// How many units would be recomputed, if that can be determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    milestones: Option<u64>,
}

/// Checks the log that the settings choose.
pub(super) fn check(settings: &Settings) -> Vec<Checked> {
    let failed = |error: String| vec![Checked::new("settings", Err(error))];
    let Ok(pipeline) = Pipeline::compile(settings) else { return Vec::new() };
    let own = of_stages(settings, &pipeline, &StageName::ALL);
    let told = if settings.kafka.is_embedded() {
        let path = settings.state.folder_of_log();
        if !EmbeddedLog::is_in(&path) {
            return Vec::new();
        }
        EmbeddedLog::open_read_only(&path).map_err(GenerationsError::from).and_then(|log| look(&log, settings, &own))
    } else {
        KafkaPlans::open(settings).and_then(|plans| look(&plans, settings, &own))
    };
    told.unwrap_or_else(|error| failed(error.to_string()))
}

fn look(plans: &dyn Plans, settings: &Settings, own: &[(StageName, Generation)]) -> Result<Vec<Checked>, GenerationsError> {
    let known = plans.read()?;
    own.iter().map(|(stage, own)| Ok(told(*stage, own, &known, plans.is_new(*stage)?, settings))).collect()
}

fn told(stage: StageName, own: &Generation, known: &Generations, new: bool, settings: &Settings) -> Checked {
    let newest = known.newest(&own.stage);
    let chosen = known.choose(own, Terms { new, accepted: false });
    let (number, anew) = match &chosen {
        Ok(Choice::Newest(number)) => (Some(*number), false),
        Ok(Choice::Write(next)) => (Some(next.generation), newest.is_some_and(|newest| newest.digest != own.digest) && !new),
        Err(_) => (None, true),
    };
    let size = (anew && stage == StageName::Attributor).then(|| sizes(settings)).flatten();
    let verdict = Verdict {
        stage: stage.name(),
        holds: newest.map_or(0, |newest| newest.generation),
        own: number,
        anew,
        changes: newest.map(|newest| changes(newest, own)).unwrap_or_default(),
        units: size.map(|size| size.units),
        milestones: size.map(|size| size.milestones),
    };
    let result = chosen.map(|_| verdict.words(size.is_some_and(|size| size.exact))).map_err(|refused| refused.to_string());
    Checked { plan: Some(verdict), ..Checked::new("settings", result) }
}

/// How much the attributor would recompute, as far as its states can be read.
fn sizes(settings: &Settings) -> Option<Size> {
    let stage = StageName::Attributor.name();
    let mut states = ask::open(settings).ok()?;
    let mut all = Size { exact: true, ..Size::default() };
    for partition in 0..states.partitions(stage) {
        let found = states.state(stage, partition).and_then(size).ok()?;
        all.units += found.units;
        all.milestones += found.milestones;
        all.exact &= found.exact;
    }
    Some(all)
}

impl Verdict {
    fn words(&self, exact: bool) -> String {
        let Self { stage, holds, own, changes, .. } = self;
        let own = own.unwrap_or_default();
        if !self.anew {
            return match *holds {
                0 => format!("{stage}: none is in force yet"),
                _ => format!("{stage}: generation {own}, the newest"),
            };
        }
        let about = if exact { "" } else { "about " };
        let what = match (self.units, self.milestones) {
            (Some(units), Some(milestones)) => format!("{about}{units} units with {about}{milestones} milestones are"),
            _ => "everything is".to_owned(),
        };
        let listed = |word: &str, names: &[String]| {
            if names.is_empty() { String::new() } else { format!("; {word}: {}", names.join(", ")) }
        };
        format!(
            "{stage}: generation {own} would replace {holds}, and processes with the former settings would stop; {what} recomputed \
             beside new records{}{}{}",
            listed("models that are new", &changes.models_new),
            listed("changed", &changes.models_changed),
            listed("gone, their rows taken back", &changes.models_gone),
        )
    }

    /// The settings that differ from those in force.
    pub(super) fn table(&self) -> Option<Table> {
        if self.changes.settings.is_empty() {
            return None;
        }
        let mut rows = table::wrapped(&["setting", "holds", "would hold"]);
        for ChangedSetting { key, from, to } in &self.changes.settings {
            rows.add_row([key.as_str(), from.as_deref().unwrap_or(""), to.as_deref().unwrap_or("")]);
        }
        Some(rows)
    }
}
