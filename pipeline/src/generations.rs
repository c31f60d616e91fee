//! The settings of a stage as a generation: see [`tributary_runtime::generation`].

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tributary_proto::{Generation, ModelVersion, Setting};

use crate::settings::Settings;
use crate::stages::{Pipeline, StageName};
use crate::time::now_ms;

/// The generation of a stage under these settings; `None` for a stage without state computed by them.
pub fn of_stage(stage: StageName, settings: &Settings, pipeline: &Pipeline) -> Option<Generation> {
    let plan = pipeline.plan();
    let (window_ms, reach_ms) = plan.window_and_reach_ms();
    let common = Generation {
        stage: stage.name().to_owned(),
        time_ms: now_ms(),
        instance: settings.kafka.instance_name(),
        ..Generation::default()
    };
    let version = |(model, version): (&str, &str)| ModelVersion { model: model.to_owned(), version: version.to_owned() };
    match stage {
        StageName::Ingest => None,
        StageName::Identity => Some(Generation {
            digest: pipeline.rules().digest,
            settings: [
                listed("identity", &settings.identity),
                listed("kinds.identifiers", &settings.kinds.identifiers),
                listed("ingest.currency", &settings.ingest.currency),
            ]
            .concat(),
            ..common
        }),
        StageName::Attributor => Some(Generation {
            digest: plan.digest,
            window_ms,
            reach_ms,
            models: plan.versions().map(version).collect(),
            settings: [
                listed("attribution", &settings.attribution),
                listed("outputs", &settings.outputs),
                listed("kinds.milestones", &settings.kinds.milestones),
                listed("ingest.time_zone", &settings.ingest.time_zone),
                listed("ingest.channels_file", &settings.ingest.channels_file),
                listed("ingest.channel_rules", &settings.ingest.channel_rules),
                listed("ingest.sites", &settings.ingest.sites),
                listed("ingest.own_sites", &settings.ingest.own_sites),
                listed("all channel rules", &format!("{:08x}", pipeline.decoder().channel_rules())),
            ]
            .concat(),
            ..common
        }),
    }
}

/// All settings below a key, one by one.
fn listed(key: &str, settings: &impl Serialize) -> Vec<Setting> {
    let mut all = Vec::new();
    // A value that cannot be written as JSON could not have been read, so this does not happen.
    collect(key, &serde_json::to_value(settings).unwrap_or_default(), &mut all);
    all
}

fn collect(key: &str, value: &Value, all: &mut Vec<Setting>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(name, value)| collect(&format!("{key}.{name}"), value, all));
        }
        // A model is listed by its name, not by its position.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (at, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str);
                let key = name.map_or_else(|| format!("{key}[{at}]"), |name| format!("{key}[{name}]"));
                collect(&key, item, all);
            }
        }
        _ => all.push(Setting { key: key.to_owned(), value: value.to_string() }),
    }
}

/// The differences between two generations of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// New models.
    pub models_new: Vec<String>,
    /// Models with another version: their credit is computed again.
    pub models_changed: Vec<String>,
    /// Removed models: their rows are taken back.
    pub models_gone: Vec<String>,
    /// Settings with another value.
    pub settings: Vec<ChangedSetting>,
}

/// A setting with another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedSetting {
    /// Its key.
    pub key: String,
    /// The old value, as JSON; left out if it was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The new value, as JSON; left out if it is not set any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Compares two generations.
pub fn changes(from: &Generation, to: &Generation) -> Changes {
    fn versions(of: &Generation) -> BTreeMap<&str, &str> {
        of.models.iter().map(|model| (model.model.as_str(), model.version.as_str())).collect()
    }
    fn settings(of: &Generation) -> BTreeMap<&str, &str> {
        of.settings.iter().map(|setting| (setting.key.as_str(), setting.value.as_str())).collect()
    }
    let (old, new) = (versions(from), versions(to));
    let names = |keep: &dyn Fn(&str) -> bool, of: &BTreeMap<&str, &str>| -> Vec<String> {
        of.keys().filter(|name| keep(name)).map(|name| (*name).to_owned()).collect()
    };
    let (before, after) = (settings(from), settings(to));
    let mut changed = Vec::new();
    for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
        let (from, to) = (before.get(key), after.get(key));
        if from != to {
            let text = |value: Option<&&str>| value.map(|value| (*value).to_owned());
            changed.push(ChangedSetting { key: (*key).to_owned(), from: text(from), to: text(to) });
        }
    }
    Changes {
        models_new: names(&|name| !old.contains_key(name), &new),
        models_changed: names(&|name| old.get(name).is_some_and(|version| new.get(name) != Some(version)), &new),
        models_gone: names(&|name| !new.contains_key(name), &old),
        settings: changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(settings: &Settings) -> Generation {
        let pipeline = Pipeline::compile(settings).unwrap();
        of_stage(StageName::Attributor, settings, &pipeline).unwrap()
    }

    #[test]
    fn settings_that_differ_are_named() {
        let mut settings = Settings::default();
        let before = generation(&settings);
        assert_eq!(changes(&before, &before), Changes::default());
        let mut gone = settings.attribution.models.remove(0);
        settings.attribution.models[0].rule = "linear".into();
        "own".clone_into(&mut gone.name);
        settings.attribution.models.push(gone);
        settings.attribution.session_gap_minutes = 45;
        let changes = changes(&before, &generation(&settings));
        assert_eq!((changes.models_new, changes.models_gone), (vec!["own".to_owned()], vec!["first_touch".to_owned()]));
        assert_eq!(changes.models_changed.len(), 9, "a visit changes all of them");
        let changed: Vec<(&str, Option<&str>, Option<&str>)> = changes
            .settings
            .iter()
            .map(|setting| (setting.key.as_str(), setting.from.as_deref(), setting.to.as_deref()))
            .collect();
        assert!(changed.contains(&("attribution.session_gap_minutes", Some("30"), Some("45"))), "{changed:?}");
        assert!(changed.contains(&("attribution.models[last_touch].type", Some("\"last_touch\""), Some("\"linear\""))));
        assert!(changed.contains(&("attribution.models[own].name", None, Some("\"own\""))));
    }
}
