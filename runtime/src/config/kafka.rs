//! `[kafka]`: which brokers, and how to reach them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::section::{Given, Problems, Section};
use super::shape::{OpenMap, Shape};

/// Which brokers, and under which names. Without brokers the embedded log is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// Bootstrap brokers, `host:port`, comma-separated; empty for the embedded log.
    pub brokers: String,
    /// Begins the names of consumer groups and transactional ids; pipelines that share brokers need different ones.
    pub group_prefix: String,
    /// Name of this process, unique and stable over restarts; empty for the host's name.
    pub instance: String,
    /// Transport security.
    pub security: SecuritySettings,
    /// Settings of librdkafka that are passed through.
    pub client: BTreeMap<String, ClientValue>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            group_prefix: "tributary".into(),
            instance: String::new(),
            security: SecuritySettings::default(),
            client: BTreeMap::new(),
        }
    }
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// In the clear, unauthenticated.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// In the clear, with a login.
    SaslPlaintext,
    /// TLS with a login.
    SaslSsl,
}

impl Protocol {
    /// librdkafka's name; also ours.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }
}

/// How the login is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// Password in the clear: only inside TLS.
    #[serde(rename = "plain")]
    Plain,
    /// Salted challenge and response, SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// Salted challenge and response, SHA-512.
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Mechanism {
    /// librdkafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// `[kafka.security]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecuritySettings {
    /// How the connection is protected.
    pub protocol: Protocol,
    /// PEM file of the authorities that brokers' certificates must come from; empty for the system's.
    pub ca: PathBuf,
    /// PEM file of this client's certificate, for mutual TLS; empty for none.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// Password of the private key.
    pub key_password: Secret,
    /// How the login is made, where the protocol has one.
    pub mechanism: Mechanism,
    /// Login name.
    pub username: String,
    /// Login password.
    pub password: Secret,
}

/// A pass-through value: text, a number, or true or false. Masked in print, for it may be a credential.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Scalar")]
pub struct ClientValue(Secret);

impl ClientValue {
    /// The value as librdkafka takes it.
    pub fn text(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for ClientValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for ClientValue {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(out)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected text, a number, or true or false")]
enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Truth(bool),
}

impl From<Scalar> for ClientValue {
    fn from(scalar: Scalar) -> Self {
        Self(Secret::new(match scalar {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
            Scalar::Truth(truth) => truth.to_string(),
        }))
    }
}

/// Client settings that are refused, with what to do instead. An entry that ends in `.` refuses all that begin with it.
const REFUSED: [(&str, &str); 40] = [
    ("acks", "exactly-once needs `all`"),
    ("auto.offset.reset", "a lost position must stop the worker, never move it"),
    ("bootstrap.servers", "use kafka.brokers"),
    ("metadata.broker.list", "use kafka.brokers"),
    ("builtin.features", "it only tells what the client was built with"),
    ("client.id", "use kafka.instance"),
    ("enable.auto.commit", "offsets are committed in the transaction"),
    ("enable.auto.offset.store", "offsets are committed in the transaction"),
    ("enable.idempotence", "exactly-once needs it"),
    ("enable.partition.eof", "the worker owns it"),
    ("enable.ssl.certificate.verification", "unverified brokers could read and forge everything"),
    ("ssl.endpoint.identification.algorithm", "unverified brokers could read and forge everything"),
    ("group.id", "use kafka.group_prefix"),
    ("group.instance.id", "use kafka.instance"),
    ("group.protocol", "the worker owns it"),
    ("isolation.level", "aborted records must never be read"),
    ("max.in.flight", "exactly-once limits it"),
    ("max.in.flight.requests.per.connection", "exactly-once limits it"),
    ("partition.assignment.strategy", "the worker owns it"),
    ("partitioner", "keys must go where their actors live"),
    ("plugin.library.paths", "it would load code into the service"),
    ("sasl.kerberos.kinit.cmd", "it would run a command"),
    ("sasl.", "use [kafka.security]"),
    ("security.protocol", "use kafka.security.protocol"),
    ("ssl.", "use [kafka.security]"),
    ("transactional.id", "use kafka.group_prefix and kafka.instance"),
    ("allow.auto.create.topics", "`tributary topics create` makes them"),
    ("auto.commit.enable", "offsets are committed in the transaction"),
    ("delivery.report.only.error", "the worker owns it"),
    ("delivery.timeout.ms", "the worker owns it"),
    ("group.protocol.type", "the worker owns it"),
    ("group.remote.assignor", "the worker owns it"),
    ("heartbeat.interval.ms", "the worker owns it"),
    ("message.timeout.ms", "the worker owns it"),
    ("request.required.acks", "exactly-once needs `all`"),
    ("retries", "the worker owns it"),
    ("session.timeout.ms", "the worker owns it"),
    ("statistics.interval.ms", "the worker owns it"),
    ("transaction.timeout.ms", "the worker owns it"),
    ("debug", "it writes credentials and records to the log"),
];

/// Why a client setting is refused, if it is.
pub fn refusal(key: &str) -> Option<&'static str> {
    let refused = REFUSED.iter().find(|(name, _)| *name == key || (name.ends_with('.') && key.starts_with(name)));
    refused.map(|(_, instead)| *instead)
}

impl KafkaSettings {
    /// Whether the embedded log is used.
    pub fn is_embedded(&self) -> bool {
        self.brokers.trim().is_empty()
    }

    /// The name of this process.
    pub fn instance_name(&self) -> String {
        if self.instance.is_empty() { gethostname::gethostname().to_string_lossy().into_owned() } else { self.instance.clone() }
    }

    /// What every client of these brokers is configured with, as librdkafka names it: pass-through, security, brokers and client id.
    /// Holds credentials in the clear: not to be printed. The caller adds what its own client needs, over these.
    pub fn properties(&self) -> BTreeMap<String, String> {
        let mut all = self.connection();
        all.insert("bootstrap.servers".to_owned(), self.brokers.trim().to_owned());
        all.insert("client.id".to_owned(), self.instance_name());
        all
    }

    /// Pass-through and security alone, for clients that name brokers and themselves in their own way.
    pub fn connection(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> =
            self.client.iter().map(|(key, value)| (key.clone(), value.text().to_owned())).collect();
        let mut add = |key: &str, value: &str| {
            if !value.is_empty() {
                all.insert(key.to_owned(), value.to_owned());
            }
        };
        let security = &self.security;
        add("security.protocol", security.protocol.name());
        if matches!(security.protocol, Protocol::Ssl | Protocol::SaslSsl) {
            add("ssl.ca.location", &security.ca.to_string_lossy());
            add("ssl.certificate.location", &security.certificate.to_string_lossy());
            add("ssl.key.location", &security.key.to_string_lossy());
            add("ssl.key.password", security.key_password.expose());
        }
        if matches!(security.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl) {
            add("sasl.mechanism", security.mechanism.name());
            add("sasl.username", &security.username);
            add("sasl.password", security.password.expose());
        }
        all
    }
}

impl Section for KafkaSettings {
    const NAME: &'static str = "kafka";
    const SHAPE: Shape = Shape { open: &[OpenMap { path: "client", dotted: true }], ..Shape::CLOSED };
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        let brokers = self.brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty());
        let all_named = brokers.into_iter().all(|broker| {
            broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
        });
        problems.unless(all_named, "brokers", "expected `host:port`, several separated by commas");
        problems.unless(is_topic_text(&self.group_prefix), "group_prefix", "expected letters, digits, `.`, `_` or `-`");
        for (key, value) in &self.client {
            let found = refusal(key).map(|instead| format!("is not passed through: {instead}"));
            if let Some(problem) = found.or_else(|| client_refuses(key, value.text()).map(str::to_owned)) {
                problems.at(format!("client.{key}"), problem);
            }
        }
        problems.below("security", |problems| self.security.check(problems));
        Some(())
    }
}

impl SecuritySettings {
    fn check(&self, problems: &mut Problems) {
        let security = self;
        let login = matches!(security.protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
        let tls = matches!(security.protocol, Protocol::Ssl | Protocol::SaslSsl);
        problems.unless(
            !login || (!security.username.is_empty() && !security.password.is_empty()),
            "username",
            "a login needs username and password",
        );
        problems.unless(
            login || security.username.is_empty(),
            "username",
            "has no effect unless protocol is `sasl_ssl` or `sasl_plaintext`",
        );
        problems.unless(
            security.protocol != Protocol::SaslPlaintext || security.mechanism != Mechanism::Plain,
            "mechanism",
            "`plain` would send the password in the clear; use protocol `sasl_ssl`, or `scram-sha-512`",
        );
        problems.unless(
            security.certificate.as_os_str().is_empty() == security.key.as_os_str().is_empty(),
            "key",
            "certificate and key go together",
        );
        let files = [("ca", &security.ca), ("certificate", &security.certificate), ("key", &security.key)];
        for (name, path) in files.into_iter().filter(|(_, path)| !path.as_os_str().is_empty()) {
            if !tls {
                problems.at(name, "has no effect unless protocol is `ssl` or `sasl_ssl`");
            } else if path.to_string_lossy().contains("-----BEGIN") {
                problems.at(name, "expected the path of a PEM file, found what such a file holds");
            } else if !path.is_file() {
                // The path is not named: it may be what the file should hold.
                problems.at(name, "there is no such file");
            }
        }
    }
}

/// Why the Kafka client does not take a setting, if it does not. Its own words would repeat the value.
#[cfg(feature = "native")]
fn client_refuses(key: &str, value: &str) -> Option<&'static str> {
    use rdkafka::error::KafkaError;
    use rdkafka::types::RDKafkaConfRes;
    let mut config = rdkafka::ClientConfig::new();
    match config.set(key, value).create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Some("the Kafka client has no such setting")
        }
        Err(_) => Some("the Kafka client does not take this value"),
    }
}

#[cfg(not(feature = "native"))]
fn client_refuses(_: &str, _: &str) -> Option<&'static str> {
    None
}

/// Whether `text` can be (part of) a topic's or group's name.
pub(super) fn is_topic_text(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= 200 && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(settings: &KafkaSettings) -> Vec<String> {
        let mut problems = Problems::default();
        settings.compile_in(&Given::new(&Default::default()), &mut problems);
        problems.0.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_the_service_owns_or_runs_code_is_refused() {
        for key in ["group.id", "plugin.library.paths", "sasl.kerberos.kinit.cmd", "sasl.password", "ssl.ca.location", "debug"]
        {
            assert!(refusal(key).is_some(), "{key}");
        }
        assert_eq!(refusal("linger.ms"), None);
        assert_eq!(refusal("debugger"), None);
        let client = serde_json::from_str(r#"{"linger.ms": 5, "isolation.level": "read_uncommitted"}"#).unwrap();
        assert_eq!(problems(&KafkaSettings { client, ..Default::default() }), ["kafka.client.isolation.level"]);
    }

    #[test]
    fn properties_hold_the_login_and_the_pass_through() {
        let security = SecuritySettings {
            protocol: Protocol::SaslSsl,
            username: "u".into(),
            password: Secret::new("p"),
            ..Default::default()
        };
        let client = serde_json::from_str(r#"{"linger.ms": 5, "socket.keepalive.enable": true}"#).unwrap();
        let settings = KafkaSettings { brokers: "b:1".into(), instance: "i".into(), security, client, ..Default::default() };
        assert_eq!(problems(&settings), [""; 0]);
        let properties = settings.properties();
        for (key, value) in [
            ("bootstrap.servers", "b:1"),
            ("client.id", "i"),
            ("linger.ms", "5"),
            ("socket.keepalive.enable", "true"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.password", "p"),
        ] {
            assert_eq!(properties.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert!(!format!("{settings:?}").contains("\"5\""));
    }

    #[test]
    fn security_must_hang_together() {
        let with = |security| problems(&KafkaSettings { security, ..Default::default() });
        let login = SecuritySettings { protocol: Protocol::SaslSsl, ..Default::default() };
        assert_eq!(with(login), ["kafka.security.username"]);
        let bare = SecuritySettings { ca: "/no/ca.pem".into(), username: "u".into(), ..Default::default() };
        assert_eq!(with(bare), ["kafka.security.username", "kafka.security.ca"]);
        let half = SecuritySettings { protocol: Protocol::Ssl, certificate: "/no/c.pem".into(), ..Default::default() };
        assert_eq!(with(half), ["kafka.security.key", "kafka.security.certificate"]);
        assert_eq!(problems(&KafkaSettings { brokers: "kafka".into(), ..Default::default() }), ["kafka.brokers"]);
    }
}
