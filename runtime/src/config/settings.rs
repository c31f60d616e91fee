//! The sections that configure the runtime: topics, state, HTTP, log and worker. (`[kafka]` has a [module](super::kafka) of its own.)

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::formats::{Format, FormatSettings};
use super::kafka::is_topic_text;
pub use super::registry::{Framing, RegistrySettings};
use super::section::{Given, OpenMap, Problems, Section, Shape};
use crate::dead_letter_limit::DeadLetterLimits;
use crate::topic::{Retention, Topic};

/// Size of a dead letter beside the record it holds: reason, detail, position. Generous.
const DEAD_LETTER_OVERHEAD_BYTES: u64 = 64 * 1024;

/// `[topics]`: names, partitions and retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicsSettings {
    /// Prefix of the names of all topics: `tributary.credits`.
    pub prefix: String,
    /// Partitions of the topics that `topics create` makes.
    pub partitions: u32,
    /// Replicas of every record.
    pub replication_factor: u32,
    /// Days that raw records are kept; 0 for ever.
    pub raw_retention_days: u32,
    /// Days that inboxes are kept: at least the longest outage to recover from; 0 for ever.
    pub inbox_retention_days: u32,
    /// Days that credit updates are kept; 0 for ever.
    pub credits_retention_days: u32,
    /// Days that dead letters are kept; 0 for ever. They contain personal data.
    pub dead_letters_retention_days: u32,
    /// Days that tombstones are kept in compacted topics: a process that was away longer restores its state completely.
    pub tombstone_retention_days: u32,
    /// The largest raw record, in bytes.
    pub record_bytes_max: u32,
    /// Names that differ from `prefix.role`, by role.
    pub names: BTreeMap<String, String>,
    /// The framing of rows in topics for readers.
    pub framing: Framing,
    /// The Schema Registry, if rows are framed.
    pub registry: RegistrySettings,
}

impl Default for TopicsSettings {
    fn default() -> Self {
        Self {
            prefix: "tributary".into(),
            partitions: 4,
            replication_factor: 1,
            raw_retention_days: 7,
            inbox_retention_days: 7,
            credits_retention_days: 0,
            dead_letters_retention_days: 30,
            tombstone_retention_days: 7,
            record_bytes_max: 4 * 1024 * 1024,
            names: BTreeMap::new(),
            framing: Framing::default(),
            registry: RegistrySettings::default(),
        }
    }
}

impl TopicsSettings {
    /// The name of the topic with this role.
    pub fn name(&self, topic: Topic) -> String {
        self.names.get(topic.name()).cloned().unwrap_or_else(|| format!("{}.{}", self.prefix, topic.name()))
    }

    /// Days that records are kept; 0 for ever.
    pub const fn retention_days(&self, retention: Retention) -> u32 {
        match retention {
            Retention::Raw => self.raw_retention_days,
            Retention::Inbox => self.inbox_retention_days,
            Retention::Credits => self.credits_retention_days,
            Retention::DeadLetters => self.dead_letters_retention_days,
        }
    }

    /// The largest dead letter, in bytes: the record it holds (in JSON a third longer) and its other fields.
    pub fn dead_letter_bytes_max(&self) -> u64 {
        u64::from(self.record_bytes_max) / 3 * 4 + DEAD_LETTER_OVERHEAD_BYTES
    }
}

impl Section for TopicsSettings {
    const NAME: &'static str = "topics";
    const SHAPE: Shape = Shape { open: &[OpenMap { path: "names", dotted: false }], ..Shape::CLOSED };
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        problems.unless(is_topic_text(&self.prefix), "prefix", "expected letters, digits, `.`, `_` or `-`");
        problems.unless((1..=10_000).contains(&self.partitions), "partitions", "expected 1 to 10000");
        let factor = i16::try_from(self.replication_factor).is_ok_and(|factor| factor > 0);
        problems.unless(factor, "replication_factor", "expected 1 or more");
        problems.unless(self.tombstone_retention_days > 0, "tombstone_retention_days", "expected 1 or more");
        let size = (1_024..=64 * 1024 * 1024).contains(&self.record_bytes_max);
        problems.unless(size, "record_bytes_max", "expected 1024 to 67108864 bytes");
        self.registry.check(self.framing, problems);
        for (role, name) in &self.names {
            let key = format!("names.{role}");
            if Topic::find(role).is_none() {
                let roles = Topic::ALL.map(Topic::name).join(", ");
                problems.at(key, format!("no such role; the roles are {roles}"));
            } else if !is_topic_text(name) {
                problems.at(key, "expected letters, digits, `.`, `_` or `-`");
            }
        }
        let mut names = BTreeMap::new();
        for topic in Topic::ALL {
            if let Some(other) = names.insert(self.name(topic), topic) {
                let problem = format!("{} and {} have the same name", other.name(), topic.name());
                problems.at(format!("names.{}", topic.name()), problem);
            }
        }
        Some(())
    }
}

/// `[state]`: where state is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateSettings {
    /// The folder; empty for `tributary` in the user's data folder (XDG), or for `./tributary-state` if there is none.
    pub path: PathBuf,
    /// Embedded log: whether a commit waits for the disk. Then it survives a crash of the machine, not only of the process.
    pub sync: bool,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { path: PathBuf::new(), sync: false }
    }
}

impl StateSettings {
    /// The folder to use. `variable` looks up an environment variable.
    ///
    /// Source: XDG Base Directory Specification 0.8, `XDG_DATA_HOME`.
    pub fn folder(&self, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
        if !self.path.as_os_str().is_empty() {
            return self.path.clone();
        }
        let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
        data.map_or_else(|| PathBuf::from("tributary-state"), |data| data.join("tributary"))
    }

    /// The folder to use, by the environment of this process.
    pub fn folder_of_process(&self) -> PathBuf {
        self.folder(|name| std::env::var(name).ok())
    }

    /// The folder of the embedded log inside it.
    pub fn folder_of_log(&self) -> PathBuf {
        self.folder_of_process().join("log")
    }
}

/// `[http]`: metrics and health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port of `/metrics`, `/livez` and `/readyz`; loopback by default, because they have no authentication.
    pub listen: SocketAddr,
    /// Address and port for only `/livez` and `/readyz`, which more may reach than metrics; `None` for no such listener.
    #[serde(with = "address_or_none")]
    pub probes: Option<SocketAddr>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9464)), probes: None }
    }
}

impl Section for HttpSettings {
    const NAME: &'static str = "http";
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        let apart = self.listen.port() == 0 || self.probes != Some(self.listen);
        problems.unless(apart, "probes", "expected another address than http.listen");
        Some(())
    }
}

/// An address as text; empty for none.
mod address_or_none {
    use std::net::SocketAddr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(address: &Option<SocketAddr>, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&address.map(|address| address.to_string()).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
        match String::deserialize(from)?.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| D::Error::custom("expected address:port, or nothing")),
        }
    }
}

/// `[log]`: what is logged to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: LogLevel,
    /// For people or for programs.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// The severity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// An operator must act.
    Error,
    /// An operator should look.
    Warn,
    /// What the service does.
    Info,
    /// Details of what it does.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// The name, as it is configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// With less memory, clients and the largest records would not fit.
const MEMORY_MB_MIN: u32 = 256;

/// `[worker]`: how records are processed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerSettings {
    /// Memory limit of the process, MiB; divided as in [`MemoryBudget`](super::memory::MemoryBudget), after the collector's part is
    /// subtracted.
    pub memory_mb: u32,
    /// Instead of `memory_mb`: percent of the memory limit of the control group, or of the machine's memory; 0: `memory_mb` counts.
    pub memory_percent: u32,
    /// Most records per transaction. Few give low latency under load, many give throughput.
    pub batch_records: u32,
    /// How long a transaction collects records while more arrive, milliseconds. Short gives low latency.
    pub batch_ms: u32,
    /// Whether a process with the stage identity turns requests to erase a person into erasures, or `tributary erase --requests` does.
    pub expand_erasures: bool,
    /// Workers (threads) per stage.
    pub threads: ThreadSettings,
    /// Encoding of each output topic.
    pub formats: FormatSettings,
    /// How many records may be refused before a partition stops.
    pub dead_letters: DeadLetterLimits,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            memory_mb: 1024,
            memory_percent: 0,
            batch_records: 10_000,
            batch_ms: 30,
            expand_erasures: true,
            threads: ThreadSettings::default(),
            formats: FormatSettings::default(),
            dead_letters: DeadLetterLimits::default(),
        }
    }
}

impl WorkerSettings {
    /// Memory limit of the process, MiB.
    pub fn process_mb(&self) -> u32 {
        let percent = Some(self.memory_percent).filter(|percent| *percent > 0);
        percent.and_then(super::memory::percent_mb).unwrap_or(self.memory_mb)
    }
}

impl Section for WorkerSettings {
    const NAME: &'static str = "worker";
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        problems.unless(self.memory_mb >= MEMORY_MB_MIN, "memory_mb", &format!("expected {MEMORY_MB_MIN} or more"));
        let enough = self.memory_percent == 0 || self.process_mb() >= MEMORY_MB_MIN;
        let expected = format!("{} MiB are not enough: expected {MEMORY_MB_MIN} or more", self.process_mb());
        problems.unless(enough, "memory_percent", &expected);
        problems.unless(self.memory_percent <= 100, "memory_percent", "expected 1 to 100, or 0 for memory_mb");
        problems.unless((1..=1_000_000).contains(&self.batch_records), "batch_records", "expected 1 to 1000000");
        problems.unless((1..=60_000).contains(&self.batch_ms), "batch_ms", "expected 1 to 60000 milliseconds");
        let ThreadSettings { ingest, identity, attributor } = self.threads;
        let DeadLetterLimits { percent, .. } = self.dead_letters;
        problems.unless(percent <= 100, "dead_letters.percent", "expected 1 to 100, or 0 for no limit");
        for (stage, threads) in [("ingest", ingest), ("identity", identity), ("attributor", attributor)] {
            problems.unless((1..=256).contains(&threads), &format!("threads.{stage}"), "expected 1 to 256");
        }
        Some(())
    }
}

/// `[worker.threads]`: workers per stage in this process; those beyond the number of partitions stay idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreadSettings {
    /// Of the ingest stage.
    pub ingest: u32,
    /// Of the identity stage.
    pub identity: u32,
    /// Of the attributor stage.
    pub attributor: u32,
}

impl Default for ThreadSettings {
    fn default() -> Self {
        Self { ingest: 1, identity: 1, attributor: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_by_prefix_and_role_unless_overridden() {
        let names = BTreeMap::from([("dead-letters".into(), "quarantine".into())]);
        let topics = TopicsSettings { names, ..Default::default() };
        assert_eq!(topics.name(Topic::Credits), "tributary.credits");
        assert_eq!(topics.name(Topic::DeadLetters), "quarantine");
    }

    #[test]
    fn an_address_for_probes_is_one_of_its_own_or_none() {
        let http = |probes: &str| serde_json::from_value::<HttpSettings>(serde_json::json!({"probes": probes}));
        assert_eq!(http("").unwrap(), HttpSettings::default());
        assert_eq!(http("0.0.0.0:8080").unwrap().probes, Some(SocketAddr::from(([0, 0, 0, 0], 8080))));
        assert!(http("8080").is_err());
        assert_eq!(serde_json::to_value(http("[::1]:8080").unwrap()).unwrap()["probes"], "[::1]:8080");
        let mut problems = Problems::default();
        http("127.0.0.1:9464").unwrap().compile_in(&Given::new(&Default::default()), &mut problems);
        assert_eq!(problems.0.first().map(|(key, _)| key.as_str()), Some("http.probes"));
    }

    #[test]
    fn names_must_exist_and_differ() {
        let names = BTreeMap::from([("credit".into(), "x".into()), ("sdk".into(), "tributary.utm".into())]);
        let mut problems = Problems::default();
        let topics = TopicsSettings { names, partitions: 0, ..Default::default() };
        topics.compile_in(&Given::new(&Default::default()), &mut problems);
        let keys: Vec<&str> = problems.0.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["topics.partitions", "topics.names.credit", "topics.names.utm"]);
    }

    #[test]
    fn the_state_folder_follows_xdg() {
        let state = StateSettings::default();
        let env = |set: &'static [(&str, &str)]| {
            move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(state.folder(env(&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")])), PathBuf::from("/d/tributary"));
        assert_eq!(state.folder(env(&[("XDG_DATA_HOME", "d"), ("HOME", "/h")])), PathBuf::from("/h/.local/share/tributary"));
        assert_eq!(state.folder(env(&[])), PathBuf::from("tributary-state"));
        assert_eq!(StateSettings { path: "x".into(), ..state }.folder(env(&[])), PathBuf::from("x"));
    }
}
