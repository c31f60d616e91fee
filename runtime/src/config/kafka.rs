//! `[kafka]`: which brokers, and how to reach them.

mod client;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::section::{Given, Problems, Section};
use super::section::{OpenMap, Shape};
use client::client_refuses;
pub use client::{ClientValue, refusal};

/// `[kafka]`: the brokers, and the names used there. Without brokers, the embedded log is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaSettings {
    /// Bootstrap brokers, `host:port`, comma-separated; empty for the embedded log.
    pub brokers: String,
    /// Prefix of the names of consumer groups and transactional ids. Pipelines that share brokers need different ones.
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

/// The security protocol of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Unencrypted and without authentication.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// Unencrypted with authentication.
    SaslPlaintext,
    /// TLS with authentication.
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

/// The SASL mechanism.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// The password is sent in plain text: only over TLS.
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
    /// The protocol of connections.
    pub protocol: Protocol,
    /// PEM file of the certificate authorities that are trusted; empty for the system's.
    pub ca: PathBuf,
    /// PEM file of this client's certificate, for mutual TLS; empty for none.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub key: PathBuf,
    /// Password of the private key.
    pub key_password: Secret,
    /// The SASL mechanism, if the protocol has authentication.
    pub mechanism: Mechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
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

    /// The librdkafka properties of every client of these brokers: pass-through, security, brokers and client id. They contain credentials
    /// in plain text: never print them. The caller adds the properties of its own client, which take precedence.
    pub fn properties(&self) -> BTreeMap<String, String> {
        let mut all = self.connection();
        all.insert("bootstrap.servers".to_owned(), self.brokers.trim().to_owned());
        all.insert("client.id".to_owned(), self.instance_name());
        all
    }

    /// Only pass-through and security, for clients that set brokers and client id themselves.
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
                // The error does not name the path, which may be a secret written in its place.
                problems.at(name, "there is no such file");
            }
        }
    }
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
    fn properties_that_the_service_sets_or_that_run_code_are_refused() {
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
    fn security_settings_must_be_consistent() {
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
