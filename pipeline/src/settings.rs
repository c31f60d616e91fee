//! All settings: one section from each crate that has any.

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;
use tributary_runtime::config::admin::AdminSettings;
use tributary_runtime::config::kafka::KafkaSettings;
use tributary_runtime::config::memory::Shares;
use tributary_runtime::config::settings::{
    HttpSettings, LogSettings, StateSettings, TopicsSettings, WorkerSettings, check as check_runtime,
};
use tributary_runtime::config::{self, OpenMap, Problems, Shape};
use tributary_runtime::topic::Topic;

use crate::stages::Pipeline;

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
    /// Where a running process is asked about its state.
    pub admin: AdminSettings,
    /// What is written to standard error.
    pub log: LogSettings,
    /// Where events are taken over HTTP, and from whom.
    pub collector: tributary_collect::Settings,
    /// How records are processed.
    pub worker: WorkerSettings,
    /// How raw records are read, and which channel a touch came through.
    pub ingest: tributary_ingest::Settings,
    /// Who is one person, and which account a person belongs to.
    pub identity: tributary_identity::Settings,
    /// Which touches earn credit for a milestone, and how much.
    pub attribution: tributary_attributor::settings::Settings,
}

impl Settings {
    /// Whether anybody may send to a collector with these settings.
    pub fn collects(&self) -> bool {
        !self.collector.write_keys.is_empty() || !self.collector.webhooks.is_empty()
    }

    /// Which log raw records go to, for whoever has to tell one from another: the embedded log's folder, or brokers and topics.
    pub fn log_name(&self) -> String {
        if self.kafka.is_embedded() {
            let folder = std::path::absolute(self.state.folder_of_log()).unwrap_or_default();
            return folder.display().to_string();
        }
        let topics = Topic::RAW.map(|topic| self.topics.name(topic));
        format!("{} of {}", topics.join(" "), self.kafka.brokers)
    }

    /// Which service this is, for whoever asks the one that listens: the same for the same configuration on the same machine. It tells
    /// nothing else.
    pub fn service_name(&self) -> String {
        let state = std::path::absolute(self.state.folder_of_process()).unwrap_or_default();
        let KafkaSettings { brokers, group_prefix, .. } = &self.kafka;
        let (state, instance) = (state.display().to_string(), self.kafka.instance_name());
        let parts = [&state, brokers, group_prefix, &instance, &self.topics.prefix].map(String::as_str);
        Hash128::of(parts.join("\u{1f}").as_bytes()).to_string()
    }
}

impl config::Settings for Settings {
    const SHAPE: Shape = Shape {
        open: &[
            OpenMap { path: "kafka.client", dotted: true },
            OpenMap { path: "topics.names", dotted: false },
            OpenMap { path: "collector.write_keys", dotted: false },
            OpenMap { path: "collector.webhooks", dotted: false },
            OpenMap { path: "ingest.milestone_events", dotted: false },
            OpenMap { path: "ingest.wechat_appids", dotted: false },
            OpenMap { path: "ingest.webhook.wechat_open_platforms", dotted: false },
            OpenMap { path: "ingest.webhook.wecom_scopes", dotted: false },
            OpenMap { path: "ingest.webhook.hubspot.contacts.stages", dotted: true },
            OpenMap { path: "ingest.webhook.hubspot.deals.stages", dotted: true },
            OpenMap { path: "ingest.webhook.salesforce.leads.stages", dotted: true },
            OpenMap { path: "ingest.webhook.salesforce.opportunities.stages", dotted: true },
            OpenMap { path: "ingest.webhook.mappings", dotted: false },
            OpenMap { path: "identity.limits", dotted: false },
            OpenMap { path: "attribution.milestones", dotted: false },
        ],
        whole: &["attribution.window", "attribution.milestones.*.window"],
    };

    fn check(&self, problems: &mut Problems) {
        self.kafka.check(problems);
        check_runtime(&self.topics, &self.worker, problems);
        self.http.check(problems);
        self.admin.check(problems);
        self.collector.check(problems);
        let queue_mb_max = Shares::collector_mb_max(self.worker.memory_mb);
        let fits = !self.collects() || self.collector.queue_mb <= queue_mb_max;
        let expected = format!(
            "expected at most {queue_mb_max}: half of what worker.memory_mb, of which it is a part, leaves to be shared out"
        );
        problems.unless(fits, "collector.queue_mb", &expected);
        if let Err(found) = Pipeline::compile(self) {
            problems.0.extend(found.0);
        }
    }
}
