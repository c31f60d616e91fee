//! Layers, origins and the collection of errors, on small settings.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::kafka::KafkaSettings;
use super::settings::TopicsSettings;
use super::*;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Example {
    kafka: KafkaSettings,
    topics: TopicsSettings,
    models: BTreeMap<String, Model>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    kind: String,
    #[serde(default)]
    days: f64,
    #[serde(default)]
    window: Window,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Window {
    #[default]
    Lifecycle,
    Lookback(u32),
}

struct Models;

impl Section for Models {
    const NAME: &'static str = "models";
    const SHAPE: Shape = Shape { open: &[OpenMap { path: "", dotted: false }], whole: &["*.window"], ..Shape::CLOSED };
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, _: &mut Problems) -> Option<()> {
        None
    }
}

impl Settings for Example {
    fn shapes() -> Shapes {
        Shapes::default().with::<KafkaSettings>().with::<TopicsSettings>().with::<Models>()
    }

    fn check(&self, problems: &mut Problems) {
        let kinds = Default::default();
        self.kafka.compile_in(&Given::new(&kinds), problems);
        self.topics.compile_in(&Given::new(&kinds), problems);
    }
}

struct Case {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Case {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sources: Sources::default() }
    }

    fn file(mut self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        self.sources.files.push(path);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, flag: &str) -> Self {
        self.sources.flags.push(flag.into());
        self
    }

    fn settings(&self) -> Example {
        load(&self.sources).unwrap()
    }

    /// The errors as lines, with the folder left out.
    fn errors(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        load::<Example>(&self.sources).unwrap_err().0.iter().map(|error| error.to_string().replace(&folder, "")).collect()
    }
}

#[test]
fn without_layers_the_defaults_hold() {
    assert_eq!(Case::new().settings(), Example::default());
}

#[test]
fn a_later_layer_wins() {
    let mut case = Case::new()
        .file("a.toml", "[kafka]\nbrokers = \"a:1\"\ngroup_prefix = \"a\"\n[topics]\npartitions = 1\nprefix = \"a\"\n")
        .file("b.toml", "kafka.group_prefix = \"b\"\ntopics = { partitions = 2, prefix = \"b\" }\n");
    assert_eq!((case.settings().kafka.brokers.as_str(), case.settings().topics.partitions), ("a:1", 2));
    case = case.variable("TRIBUTARY_TOPICS__PARTITIONS", "3").variable("TRIBUTARY_TOPICS__PREFIX", "c");
    case = case.flag("topics.partitions=4").flag("topics.partitions=5");
    let Example { kafka, topics, .. } = case.settings();
    assert_eq!((kafka.group_prefix.as_str(), topics.prefix.as_str(), topics.partitions), ("b", "c", 5));
}

#[test]
fn open_tables_take_any_key_in_every_layer() {
    let case = Case::new()
        .file(
            "a.toml",
            "[kafka.client]\nlinger.ms = 5\n\"batch.size\" = 1\n[models.mine]\nkind = \"x\"\nwindow.lookback = 30\n",
        )
        .variable("TRIBUTARY_KAFKA__CLIENT__BATCH_SIZE", "2")
        .variable("TRIBUTARY_TOPICS__NAMES__SDK", "raw")
        .flag("kafka.client.socket.timeout.ms=70")
        .flag("models.mine.days=7")
        .flag("models.mine.window=lifecycle");
    let Example { kafka, topics, models } = case.settings();
    let client: Vec<_> = kafka.client.iter().map(|(key, value)| (key.as_str(), value.text())).collect();
    assert_eq!(client, [("batch.size", "2"), ("linger.ms", "5"), ("socket.timeout.ms", "70")]);
    assert_eq!(topics.names, BTreeMap::from([("sdk".into(), "raw".into())]));
    assert_eq!(models["mine"], Model { kind: "x".into(), days: 7.0, window: Window::Lifecycle });
}

#[test]
fn references_are_resolved_in_every_layer_and_take_the_wanted_kind() {
    let case = Case::new().file("password", "s3cret\n");
    let reference = format!("${{file:{}}}", case.sources.files[0].display());
    let mut case = Case { sources: Sources::default(), ..case };
    case = case
        .file(
            "a.toml",
            &format!("[kafka.security]\nprotocol = \"sasl_ssl\"\nusername = \"${{env:WHO}}\"\npassword = \"{reference}\"\n"),
        )
        .file("b.toml", "topics.partitions = \"${env:PARTITIONS}\"")
        .variable("WHO", "svc")
        .variable("PARTITIONS", "6")
        .flag("kafka.brokers=${env:WHO}:9092");
    let Example { kafka, topics, .. } = case.settings();
    assert_eq!((kafka.security.username.as_str(), kafka.security.password.expose()), ("svc", "s3cret"));
    assert_eq!((kafka.brokers.as_str(), topics.partitions), ("svc:9092", 6));
}

#[test]
fn all_errors_are_reported_at_once_with_file_and_line() {
    let case = Case::new()
        .file(
            "a.toml",
            "[kafka]\nbrokerz = \"a:1\"\nbrokers = 9092\n\n[kafka.security]\nprotocol = \"tls\"\nusername = \"${env:WHO}\"\n\n[kafka.client]\n\
             \"group.id\" = \"x\"\n[topics]\npartitions = 0\nreplication_factor = -1\n[models.mine]\ndays = 1\n",
        )
        .file("b.toml", "[http\nx = 1\n")
        .variable("TRIBUTARY_TOPICS__PARTITION", "1")
        .variable("TRIBUTARY_TOPICS_PREFIX", "x")
        .variable("TRIBUTARY_PORT", "tcp://10.0.0.1:9464")
        .flag("topics.raw_retention_days=long")
        .flag("topics")
        .flag("kafka=1");
    let mut errors = case.errors();
    errors.sort();
    let expected = [
        "--set kafka: kafka: is a section; give one of its keys",
        "--set topics.raw_retention_days: topics.raw_retention_days: expected a whole number",
        "--set topics: expected `section.key=value`",
        "a.toml:10: kafka.client.group.id: is not passed through: use kafka.group_prefix",
        "a.toml:12: topics.partitions: expected 1 to 10000",
        "a.toml:13: topics.replication_factor: expected a whole number from 0 to 4294967295",
        "a.toml:15: models.mine: missing field `kind`",
        "a.toml:2: kafka.brokerz: unknown key; did you mean `kafka.brokers`?",
        "a.toml:3: kafka.brokers: expected text, found a whole number",
        "a.toml:6: kafka.security.protocol: expected one of `plaintext`, `ssl`, `sasl_plaintext`, `sasl_ssl`",
        "a.toml:7: kafka.security.username: the environment variable WHO named here is not set",
        "environment variable TRIBUTARY_TOPICS_PREFIX: is not read; for `topics.prefix` set TRIBUTARY_TOPICS__PREFIX",
        "environment variable TRIBUTARY_TOPICS__PARTITION: topics.partition: unknown key; did you mean `topics.partitions`?",
    ];
    let found: Vec<&str> = errors.iter().map(String::as_str).filter(|line| !line.starts_with("b.toml")).collect();
    assert_eq!(found, expected);
    assert!(errors.iter().any(|line| line.starts_with("b.toml:1: not TOML:")), "{errors:#?}");
}

#[test]
fn a_misspelt_section_hides_no_error_inside_it() {
    let case = Case::new()
        .file(
            "a.toml",
            "[kafak]\nbrokerz = \"a:1\"\nbrokers = 9092\n[kafak.securty]\nprotocol = \"tls\"\n[kafak.client]\n\"group.id\" = \"x\"\n\
             [topcis]\npartitions = 0\n[modle.mine]\ndays = 1\n[zzz]\npartitions = 0\n",
        )
        .variable("TRIBUTARY_TOPIC__REPLICATION_FACTOR", "none")
        .variable("TRIBUTARY_KAFAK__CLIENT__SOCKET_TIMEOUT_MS", "10")
        .flag("topicz.record_bytes_max=1")
        .flag("kafak.brokerz=x");
    let mut errors = case.errors();
    errors.sort();
    assert_eq!(
        errors,
        [
            "--set kafak.brokerz: kafka.brokerz: unknown key; did you mean `kafka.brokers`?",
            "--set topicz.record_bytes_max: topics.record_bytes_max: expected 1024 to 67108864 bytes",
            "--set topicz.record_bytes_max: topicz.record_bytes_max: unknown section; did you mean `topics.record_bytes_max`?",
            "a.toml:10: modle: unknown section; did you mean `models`?",
            "a.toml:11: models.mine: missing field `kind`",
            "a.toml:12: zzz: unknown key; the reference configuration names every key",
            "a.toml:1: kafak: unknown section; did you mean `kafka`?",
            "a.toml:2: kafka.brokerz: unknown key; did you mean `kafka.brokers`?",
            "a.toml:3: kafka.brokers: expected text, found a whole number",
            "a.toml:4: kafka.securty: unknown section; did you mean `kafka.security`?",
            "a.toml:5: kafka.security.protocol: expected one of `plaintext`, `ssl`, `sasl_plaintext`, `sasl_ssl`",
            "a.toml:7: kafka.client.group.id: is not passed through: use kafka.group_prefix",
            "a.toml:8: topcis: unknown section; did you mean `topics`?",
            "a.toml:9: topics.partitions: expected 1 to 10000",
            "environment variable TRIBUTARY_KAFAK__CLIENT__SOCKET_TIMEOUT_MS: kafak.client.socket_timeout_ms: unknown section; did you \
             mean `kafka.client.socket.timeout.ms`?",
            "environment variable TRIBUTARY_TOPIC__REPLICATION_FACTOR: topic.replication_factor: unknown section; did you mean \
             `topics.replication_factor`?",
            "environment variable TRIBUTARY_TOPIC__REPLICATION_FACTOR: topics.replication_factor: expected a whole number",
        ]
    );
}

#[test]
fn keys_of_the_right_section_win_over_those_of_a_misspelt_one() {
    let case = Case::new().file("a.toml", "[topics]\npartitions = 0\n[topcis]\npartitions = 3\n");
    assert_eq!(
        case.errors(),
        ["a.toml:3: topcis: unknown section; did you mean `topics`?", "a.toml:2: topics.partitions: expected 1 to 10000"]
    );
}

#[test]
fn one_key_can_be_peeked_at_whatever_else_is_wrong() {
    let case = Case::new().file("a.toml", "[topics]\nprefix = \"a\"\npartitions = 0\n[kafka\n").flag("topics.partition=2");
    assert!(load::<Example>(&case.sources).is_err());
    assert_eq!(peek::<Example, String>(&case.sources, "topics.prefix"), Some("a".to_owned()));
    assert_eq!(peek::<Example, u32>(&case.sources, "topics.prefix"), None);
    assert_eq!(peek::<Example, String>(&case.sources, "kafka.brokers"), None);
}

#[test]
fn a_file_that_is_missing_is_named() {
    let sources = Sources { files: vec![PathBuf::from("/no/such/tributary.toml")], ..Sources::default() };
    let errors = load::<Example>(&sources).unwrap_err().to_string();
    assert!(errors.starts_with("1 problem in the configuration\n  /no/such/tributary.toml: cannot be read"), "{errors}");
}

#[test]
fn secrets_are_not_in_errors() {
    let case = Case::new()
        .file("a.toml", "[kafka.security]\npassword = 8472\nkey_password = [\"8472\"]\n[kafka.client]\nx = [8472]\n");
    let errors = case.errors();
    assert_eq!(errors.len(), 3);
    assert!(!errors.concat().contains("8472"), "{errors:?}");
}
