//! `[worker.formats]`: the form of the rows of each output topic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::topic::Topic;

/// `[worker.formats]`: the encoding of each topic with rows for readers, by its role with `_` for `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Format>", into = "BTreeMap<String, Format>")]
pub struct FormatSettings(BTreeMap<Topic, Format>);

impl Default for FormatSettings {
    fn default() -> Self {
        Self(Topic::public().map(|topic| (topic, Format::default())).collect())
    }
}

impl TryFrom<BTreeMap<String, Format>> for FormatSettings {
    type Error = String;

    fn try_from(given: BTreeMap<String, Format>) -> Result<Self, String> {
        let mut all = Self::default();
        for (name, format) in given {
            let topic = Topic::public().find(|topic| Self::key(*topic) == name);
            all.0.insert(topic.ok_or_else(|| format!("`{name}` is no output"))?, format);
        }
        Ok(all)
    }
}

impl From<FormatSettings> for BTreeMap<String, Format> {
    fn from(all: FormatSettings) -> Self {
        all.0.into_iter().map(|(topic, format)| (FormatSettings::key(topic), format)).collect()
    }
}

impl FormatSettings {
    fn key(topic: Topic) -> String {
        topic.name().replace('-', "_")
    }

    /// Whether a topic's records are JSON.
    pub fn is_json(&self, topic: Topic) -> bool {
        self.0.get(&topic) == Some(&Format::Json)
    }
}

/// How an output record is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Bare Protobuf, as `output.proto` has it.
    #[default]
    Protobuf,
    /// The proto3 JSON mapping with snake_case names.
    Json,
}
