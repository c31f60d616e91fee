//! What a session needs to know, and the clients' settings that follow from it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use super::reach::Reach;
use crate::admin::Holdings;
use crate::config::settings::TopicsSettings;
use crate::fresh::FreshGauges;
use crate::log::StageLog;
use crate::state::StoreBudget;
use crate::topic::TopicNames;
use crate::topic::framing::Framing;
use crate::topics_plan::INTERNAL_RECORD_BYTES_MAX;

/// New partitions of a raw topic are noticed within this interval; the client's default is five minutes.
const METADATA_REFRESH: &str = "topic.metadata.refresh.interval.ms";
const METADATA_REFRESH_MS: &str = "10000";

/// A broker that is back is reconnected within about a second; with the client's default it can take ten.
const RECONNECT_MS_MAX: &str = "1000";

/// Smallest and largest fetch size of a partition; a larger record comes alone.
const FETCH_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 20;
/// Memory of a small record in the client's queue beside its bytes, approximately.
const QUEUED_BYTES: usize = 512;

/// Options of a worker's session on Kafka.
#[derive(Clone)]
pub struct KafkaOptions {
    /// Bootstrap addresses, `host:port`, comma-separated.
    pub brokers: String,
    /// Prefix of consumer groups (`{prefix}-{stage}`) and transactional ids (`{prefix}-{stage}-{instance}-{worker}`).
    pub group_prefix: String,
    /// Name of this process: unique in the group, and the same after a restart.
    pub instance: String,
    /// Number of this worker among those of its stage in this process.
    pub worker: u32,
    /// Properties passed on to librdkafka, except those of [`refused_setting`].
    pub client: BTreeMap<String, String>,
    /// The topics' names.
    pub topics: Arc<TopicNames>,
    /// Folder of the state: `{state_path}/{stage}/{partition}`.
    pub state_path: PathBuf,
    /// The memory budget of all stores of this process.
    pub budget: Arc<StoreBudget>,
    /// Bytes of fetched records that may wait; half of that may be in flight to the brokers.
    pub queue_bytes: usize,
    /// The largest dead letter, with the record it holds; bytes.
    pub dead_letter_bytes_max: u64,
    /// The broker aborts a transaction that is open for longer; milliseconds.
    pub transaction_timeout_ms: u64,
    /// A process without a heartbeat for longer loses its partitions; milliseconds.
    pub session_timeout_ms: u64,
    /// Restoring a partition without progress for longer stops the worker; milliseconds.
    pub restore_timeout_ms: u64,
    /// Recovering without success for longer stops the worker; milliseconds.
    pub recover_timeout_ms: u64,
    /// `delete.retention.ms` of the changelog topics: a local state older than this is restored completely; milliseconds.
    pub tombstone_retention_ms: u64,
    /// Whether dead letters are written as JSON instead of Protobuf.
    pub json_dead_letters: bool,
    /// Which topics have framed rows, with their schemas.
    pub framing: Arc<Framing>,
    /// The partitions held, updated by sessions.
    pub holdings: Holdings,
    /// Whether the brokers can be reached.
    pub reach: Arc<Reach>,
    /// The gauges in which sessions publish their lag.
    pub gauges: FreshGauges,
    /// Whether trace contexts of records are read.
    pub traced: bool,
}

/// The name of a stage's consumer group.
pub fn group_name(prefix: &str, stage: &str) -> String {
    format!("{prefix}-{stage}")
}

/// A group without members: its committed offsets are those below which refused records of a partition are accepted.
pub fn accepted_group(prefix: &str) -> String {
    format!("{prefix}-accepted")
}

impl KafkaOptions {
    /// The defaults, for these brokers and this state folder.
    pub fn new(brokers: impl Into<String>, state_path: impl Into<PathBuf>, budget: Arc<StoreBudget>) -> Self {
        Self {
            brokers: brokers.into(),
            group_prefix: "tributary".to_owned(),
            instance: "0".to_owned(),
            worker: 0,
            client: BTreeMap::new(),
            topics: Arc::new(TopicNames::default()),
            state_path: state_path.into(),
            budget,
            queue_bytes: 16 << 20,
            dead_letter_bytes_max: TopicsSettings::default().dead_letter_bytes_max(),
            transaction_timeout_ms: 30_000,
            session_timeout_ms: 12_000,
            restore_timeout_ms: 120_000,
            recover_timeout_ms: 300_000,
            tombstone_retention_ms: 86_400_000,
            json_dead_letters: false,
            framing: Arc::default(),
            holdings: Holdings::default(),
            reach: Reach::unwatched(),
            gauges: FreshGauges::default(),
            traced: false,
        }
    }

    pub(super) fn group(&self, stage: &str) -> String {
        group_name(&self.group_prefix, stage)
    }

    pub(super) fn member(&self, stage: &str) -> String {
        format!("{}-{stage}-{}-{}", self.group_prefix, self.instance, self.worker)
    }

    /// Properties of the consumer of the inputs.
    pub(super) fn consumer(&self, log: &StageLog) -> Result<ClientConfig, RefusedSetting> {
        let mut config = self.reader(log)?;
        if config.get(METADATA_REFRESH).is_none() {
            config.set(METADATA_REFRESH, METADATA_REFRESH_MS);
        }
        config
            .set("group.instance.id", self.member(log.stage))
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 4).max(1).to_string())
            .set("partition.assignment.strategy", if Self::is_cooperative(log) { "cooperative-sticky" } else { "range" })
            .set("statistics.interval.ms", "5000");
        Ok(config)
    }

    /// Whether rebalances are incremental. Sticky assignment, which supports that, does not keep the same partition of several topics
    /// together; range does.
    pub(super) fn is_cooperative(log: &StageLog) -> bool {
        log.inputs.len() <= 1
    }

    /// Properties of the consumer of the changelog, which assigns its partitions itself.
    pub(super) fn restorer(&self, log: &StageLog) -> Result<ClientConfig, RefusedSetting> {
        let mut config = self.reader(log)?;
        config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "20");
        Ok(config)
    }

    fn reader(&self, log: &StageLog) -> Result<ClientConfig, RefusedSetting> {
        let mut config = ClientConfig::new();
        let fetch_bytes = (self.queue_bytes / 16).clamp(*FETCH_BYTES.start(), *FETCH_BYTES.end());
        config
            // Wait of the consumer when its queue is full; the default of a second slows down a fast worker.
            .set("fetch.queue.backoff.ms", "5")
            // Memory of fetched records. The client counts neither the overhead of small records, nor one response beyond the limit, nor
            // that responses are compressed.
            .set("queued.max.messages.kbytes", (self.queue_bytes >> 10).max(1).to_string())
            .set("queued.min.messages", (self.queue_bytes / QUEUED_BYTES).clamp(1, 100_000).to_string())
            .set("fetch.message.max.bytes", fetch_bytes.to_string())
            .set("message.max.bytes", fetch_bytes.to_string())
            .set("fetch.max.bytes", (self.queue_bytes / 2).max(fetch_bytes).to_string())
            .set("fetch.wait.max.ms", "200")
            // The client's own metrics for brokers (KIP-714) would cost work for every record.
            .set("enable.metrics.push", "false")
            .set("reconnect.backoff.max.ms", RECONNECT_MS_MAX);
        self.pass_on(&mut config)?;
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", self.member(log.stage))
            .set("group.id", self.group(log.stage))
            .set("isolation.level", "read_committed")
            // A corrupt record stops the worker; with the default it would be delivered.
            .set("check.crcs", "true")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A committed offset that is out of range stops the worker; the default would jump, and lose or repeat records.
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false");
        Ok(config)
    }

    /// Properties of the producer.
    pub(super) fn producer(&self, log: &StageLog) -> Result<ClientConfig, RefusedSetting> {
        let mut config = ClientConfig::new();
        let message_bytes = self.dead_letter_bytes_max.max(INTERNAL_RECORD_BYTES_MAX);
        // The queue must hold the largest record beside others.
        let queue_bytes = 2 * message_bytes.max(self.queue_bytes as u64);
        config
            .set("linger.ms", "1")
            // A transaction that directly follows another gets "concurrent transactions": retry soon.
            .set("retry.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", RECONNECT_MS_MAX)
            .set("compression.type", "lz4")
            // Memory: the worker waits while this much of its transaction is in flight.
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", (queue_bytes >> 10).to_string())
            .set("message.max.bytes", message_bytes.to_string());
        self.pass_on(&mut config)?;
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", self.member(log.stage))
            .set("transactional.id", self.member(log.stage))
            .set("transaction.timeout.ms", self.transaction_timeout_ms.to_string())
            // A few lines when a connection opens or closes, none about records. Only these show every lost connection: errors are reported
            // for some, and not again within half a minute.
            .set("debug", "broker")
            .set_log_level(RDKafkaLogLevel::Debug);
        Ok(config)
    }

    fn pass_on(&self, config: &mut ClientConfig) -> Result<(), RefusedSetting> {
        for (key, value) in self.client_settings()? {
            config.set(key, value);
        }
        Ok(())
    }

    /// The properties that are passed on, if none of them is refused.
    pub(super) fn client_settings(&self) -> Result<impl Iterator<Item = (&String, &String)>, RefusedSetting> {
        let refused = self.client.keys().find_map(|key| Some((key, refused_setting(key)?)));
        match refused {
            Some((key, why)) => Err(RefusedSetting { key: key.clone(), why }),
            None => Ok(self.client.iter()),
        }
    }
}

/// A refused property of the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the client setting `{key}` cannot be set: {why}; remove it")]
pub struct RefusedSetting {
    /// Its name.
    pub key: String,
    /// Why.
    pub why: &'static str,
}

/// Why a property of the client is refused; `None` if it is accepted. Names as in librdkafka's `CONFIGURATION.md`.
pub fn refused_setting(key: &str) -> Option<&'static str> {
    const OWNED: [&str; 29] = [
        "acks",
        "allow.auto.create.topics",
        "auto.commit.enable",
        "auto.offset.reset",
        "bootstrap.servers",
        "client.id",
        "delivery.report.only.error",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.protocol.type",
        "group.remote.assignor",
        "heartbeat.interval.ms",
        "isolation.level",
        "max.in.flight",
        "message.timeout.ms",
        "metadata.broker.list",
        "partition.assignment.strategy",
        "request.required.acks",
        "retries",
        "session.timeout.ms",
        "statistics.interval.ms",
        "transaction.timeout.ms",
        "transactional.id",
    ];
    const RUNS_CODE: [&str; 4] = ["plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location", "ssl.providers"];
    if OWNED.contains(&key) {
        Some("the exactly-once loop depends on it")
    } else if RUNS_CODE.contains(&key) {
        Some("it makes the client run foreign code")
    } else if key == "debug" {
        Some("it writes records and credentials to the log")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::Topic;

    const LOG: StageLog =
        StageLog { stage: "identity", inputs: &[Topic::IdentityInbox], changelog: Some(Topic::IdentityChangelog) };

    fn options(client: &[(&str, &str)]) -> KafkaOptions {
        let mut options = KafkaOptions::new("127.0.0.1:9092", "/state", Arc::new(StoreBudget::new(1 << 20)));
        options.client = client.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        options
    }

    #[test]
    fn settings_of_the_client_are_passed_on_and_win_over_tuning() {
        let options = options(&[("linger.ms", "7"), ("security.protocol", "ssl")]);
        let producer = options.producer(&LOG).unwrap();
        assert_eq!((producer.get("linger.ms"), producer.get("security.protocol")), (Some("7"), Some("ssl")));
        assert_eq!(producer.get("transactional.id"), Some("tributary-identity-0-0"));
        let consumer = options.consumer(&LOG).unwrap();
        assert_eq!((consumer.get("security.protocol"), consumer.get("group.id")), (Some("ssl"), Some("tributary-identity")));
    }

    #[test]
    fn settings_that_the_loop_depends_on_or_that_run_code_are_refused() {
        for key in ["group.id", "isolation.level", "plugin.library.paths", "sasl.kerberos.kinit.cmd", "debug"] {
            let refused = options(&[(key, "x")]).consumer(&LOG).unwrap_err();
            assert!(refused.to_string().contains(key));
        }
    }

    #[test]
    fn inputs_of_several_topics_keep_their_partitions_together() {
        let raw = StageLog { stage: "ingest", inputs: &Topic::RAW, changelog: None };
        let strategy =
            |log: &StageLog| options(&[]).consumer(log).unwrap().get("partition.assignment.strategy").map(str::to_owned);
        assert_eq!(strategy(&raw).as_deref(), Some("range"));
        assert_eq!(strategy(&LOG).as_deref(), Some("cooperative-sticky"));
    }
}
