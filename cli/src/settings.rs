//! All settings: one section from each crate that has any.

use serde::{Deserialize, Serialize};
use tributary_identity::settings::SettingsError;
use tributary_runtime::config::kafka::KafkaSettings;
use tributary_runtime::config::settings::{
    HttpSettings, LogSettings, StateSettings, TopicsSettings, WorkerSettings, check as check_runtime,
};
use tributary_runtime::config::{self, OpenMap, Problems, Shape};

/// The whole configuration. `deploy/config/reference.toml` names every key with its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Which brokers, and how to reach them.
    pub kafka: KafkaSettings,
    /// Names, partitions and retention of topics.
    pub topics: TopicsSettings,
    /// Where the state is kept.
    pub state: StateSettings,
    /// Metrics and health.
    pub http: HttpSettings,
    /// What is written to standard error.
    pub log: LogSettings,
    /// How records are processed.
    pub worker: WorkerSettings,
    /// Who is one person, and which account a person belongs to.
    pub identity: tributary_identity::Settings,
}

impl config::Settings for Settings {
    const SHAPE: Shape = Shape {
        open: &[
            OpenMap { path: "kafka.client", dotted: true },
            OpenMap { path: "topics.names", dotted: false },
            OpenMap { path: "identity.limits", dotted: false },
        ],
        whole: &[],
    };

    fn check(&self, problems: &mut Problems) {
        self.kafka.check(problems);
        check_runtime(&self.topics, &self.state, &self.worker, problems);
        check_identity(&self.identity, problems);
    }
}

fn check_identity(settings: &tributary_identity::Settings, problems: &mut Problems) {
    for error in settings.compile().err().unwrap_or_default() {
        let key = match &error {
            SettingsError::ZeroLimit { kind } if kind == "default_limit" => "identity.default_limit".to_owned(),
            SettingsError::ZeroLimit { kind } | SettingsError::UnknownKind { kind } => format!("identity.limits.{kind}"),
            SettingsError::TakenKind { .. } => "identity.custom_kinds".to_owned(),
        };
        problems.at(key, error.to_string());
    }
}
