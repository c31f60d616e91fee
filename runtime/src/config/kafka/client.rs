//! Settings of the Kafka client: those that are passed through, and those that are refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Secret;

/// A pass-through value: text, number or boolean. Printed as a mask, because it may be a credential.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Scalar")]
pub struct ClientValue(Secret);

impl ClientValue {
    /// The value for librdkafka.
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

/// Properties that are refused, with what to do instead. An entry that ends in `.` refuses everything with this prefix.
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
    ("partitioner", "keys must reach the partitions of their actors"),
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

/// Why a property is refused; `None` if it is not.
pub fn refusal(key: &str) -> Option<&'static str> {
    let refused = REFUSED.iter().find(|(name, _)| *name == key || (name.ends_with('.') && key.starts_with(name)));
    refused.map(|(_, instead)| *instead)
}

/// Why librdkafka does not accept a property; `None` if it does. Its own message would repeat the value.
#[cfg(feature = "native")]
pub(super) fn client_refuses(key: &str, value: &str) -> Option<&'static str> {
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
pub(super) fn client_refuses(_: &str, _: &str) -> Option<&'static str> {
    None
}
