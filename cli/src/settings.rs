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
    /// How raw records are read, and which channel a touch came through.
    pub ingest: tributary_ingest::Settings,
    /// Who is one person, and which account a person belongs to.
    pub identity: tributary_identity::Settings,
    /// Which touches earn credit for a milestone, and how much.
    pub attribution: tributary_attributor::settings::Settings,
}

impl config::Settings for Settings {
    const SHAPE: Shape = Shape {
        open: &[
            OpenMap { path: "kafka.client", dotted: true },
            OpenMap { path: "topics.names", dotted: false },
            OpenMap { path: "ingest.milestone_events", dotted: false },
            OpenMap { path: "ingest.wechat_appids", dotted: false },
            OpenMap { path: "identity.limits", dotted: false },
            OpenMap { path: "attribution.milestones", dotted: false },
        ],
        whole: &["attribution.window", "attribution.milestones.*.window"],
    };

    fn check(&self, problems: &mut Problems) {
        self.kafka.check(problems);
        check_runtime(&self.topics, &self.state, &self.worker, problems);
        check_ingest(&self.ingest, problems);
        check_identity(&self.identity, problems);
        check_attribution(&self.attribution, problems);
        // One word for one thing: each stage has to know what the stage before it lets through.
        problems.unless(
            self.identity.custom_kinds == self.ingest.identifier_kinds,
            "identity.custom_kinds",
            "must be the same list as ingest.identifier_kinds",
        );
        problems.unless(
            self.attribution.custom_kinds == self.ingest.milestone_kinds,
            "attribution.custom_kinds",
            "must be the same list as ingest.milestone_kinds",
        );
    }
}

fn check_ingest(settings: &tributary_ingest::Settings, problems: &mut Problems) {
    if let Err(error) = tributary_ingest::Decoder::new(settings) {
        error.problems.into_iter().for_each(|problem| problems.at(format!("ingest.{}", problem.field), problem.message));
    }
}

fn check_attribution(settings: &tributary_attributor::settings::Settings, problems: &mut Problems) {
    if let Err(error) = tributary_attributor::plan::Plan::compile(settings) {
        error.0.into_iter().for_each(|problem| problems.at(format!("attribution.{}", problem.field), problem.message));
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
