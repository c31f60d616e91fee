//! All settings: one section from each crate that has any.

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;
use tributary_runtime::config::admin::AdminSettings;
use tributary_runtime::config::kafka::KafkaSettings;
use tributary_runtime::config::kinds::KindsSettings;
use tributary_runtime::config::settings::{HttpSettings, LogSettings, StateSettings, TopicsSettings, WorkerSettings};
use tributary_runtime::config::traces::TraceSettings;
use tributary_runtime::topic::Topic;

/// The whole configuration. `deploy/config/reference.toml` names every key with its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The brokers, and how to reach them.
    pub kafka: KafkaSettings,
    /// Names, partitions and retention of topics.
    pub topics: TopicsSettings,
    /// Where state is stored.
    pub state: StateSettings,
    /// Metrics and health.
    pub http: HttpSettings,
    /// The admin endpoint: where a running process answers questions about its state.
    pub admin: AdminSettings,
    /// What is logged to standard error.
    pub log: LogSettings,
    /// Traces: spans of single records, exported by OTLP.
    pub traces: TraceSettings,
    /// The collector: where events are accepted over HTTP, and from whom.
    pub collector: tributary_collect::Settings,
    /// How records are processed.
    pub worker: WorkerSettings,
    /// The kinds of identifiers and milestones in addition to the built-in ones.
    pub kinds: KindsSettings,
    /// How raw records are decoded, and how touches get their channels.
    pub ingest: tributary_ingest::Settings,
    /// Who is one person, and which account a person belongs to.
    pub identity: tributary_identity::Settings,
    /// Which touches earn credit for a milestone, and how much.
    pub attribution: tributary_attributor::settings::Settings,
    /// The reporting currency, in which rows of credit have a second value.
    pub currency: tributary_attributor::settings::CurrencySettings,
    /// Which output topics are written beside `credits`.
    pub outputs: tributary_attributor::settings::OutputSettings,
}

impl Settings {
    /// Whether a collector with these settings accepts events from anybody.
    pub fn collects(&self) -> bool {
        !self.collector.write_keys.is_empty() || !self.collector.webhooks.is_empty()
    }

    /// Identifies the log for raw records: by the folder of the embedded log, or by brokers and topics.
    pub fn log_name(&self) -> String {
        if self.kafka.is_embedded() {
            let folder = std::path::absolute(self.state.folder_of_log()).unwrap_or_default();
            return folder.display().to_string();
        }
        let topics = Topic::RAW.map(|topic| self.topics.name(topic));
        format!("{} of {}", topics.join(" "), self.kafka.brokers)
    }

    /// Identifies the service to clients of its admin endpoint: the same for the same configuration on the same machine. It reveals nothing
    /// else.
    pub fn service_name(&self) -> String {
        let state = std::path::absolute(self.state.folder_of_process()).unwrap_or_default();
        let KafkaSettings { brokers, group_prefix, .. } = &self.kafka;
        let (state, instance) = (state.display().to_string(), self.kafka.instance_name());
        let parts = [&state, brokers, group_prefix, &instance, &self.topics.prefix].map(String::as_str);
        Hash128::of(parts.join("\u{1f}").as_bytes()).to_string()
    }
}
