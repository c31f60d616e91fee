//! Reasons why a connection fails, in words that say what to do.
//!
//! To a caller the client reports only "the transport failed"; the reason is in its log. Here both are combined.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

use super::certificate::why_refused;
use super::client_log::{CONNECTION_LOST, log};

/// The time of a look for log lines, and the number of looks.
const POLL: Duration = Duration::from_millis(20);
const POLLS_MAX: usize = 20;

/// OpenSSL's text for any error of a certificate.
const CERTIFICATE_REFUSED: &str = "certificate verify failed";

/// Texts of OpenSSL and librdkafka about connections, each with what to do; the first match counts.
const HINTS: &[(&str, &str)] = &[
    (
        CERTIFICATE_REFUSED,
        "the broker's certificate is refused: it is not signed by the authority in kafka.security.ca, or is of another host than \
         kafka.brokers names, or has expired",
    ),
    ("Authentication failed", "kafka.security.username or kafka.security.password is wrong"),
    ("security.protocol", "the broker speaks another protocol here: set kafka.security.protocol"),
    ("wrong version number", "the broker does not speak TLS here: set kafka.security.protocol"),
    ("certificate required", "the broker asks for a certificate: set kafka.security.certificate and kafka.security.key"),
    ("Connection refused", "nothing listens there: check kafka.brokers"),
    ("Failed to resolve", "there is no such host: check kafka.brokers"),
];

/// Collects connection errors from the log of a client.
#[derive(Debug, Default)]
pub struct ConnectionErrors {
    latest: Mutex<Option<String>>,
    /// The file of trusted authorities; `None` for the system's.
    ca: Option<String>,
}

impl ConnectionErrors {
    /// For a client with this configuration.
    pub fn of(config: &ClientConfig) -> Self {
        Self { latest: Mutex::default(), ca: config.get("ssl.ca.location").map(str::to_owned) }
    }

    /// Reads a line of the client's log.
    pub fn hear(&self, facility: &str, message: &str) {
        if facility == CONNECTION_LOST {
            // The names of the thread and of the client come before the host and are left out.
            let said = message.rsplit_once("]: ").map_or(message, |(_, said)| said);
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(said.to_owned());
        }
    }

    /// An error, with the last connection error and what to do.
    pub fn explain(&self, error: &KafkaError) -> String {
        match self.latest() {
            Some(said) => self.understand(&said).unwrap_or_else(|| format!("{error} ({said})")),
            None => error.to_string(),
        }
    }

    /// The last connection error, and what to do.
    pub fn why(&self) -> Option<String> {
        let said = self.latest()?;
        Some(self.understand(&said).unwrap_or(said))
    }

    fn latest(&self) -> Option<String> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn understand(&self, said: &str) -> Option<String> {
        let certificate = said.contains(CERTIFICATE_REFUSED).then(|| address(said)).flatten();
        if let Some(why) = certificate.and_then(|broker| why_refused(broker, self.ca.as_deref())) {
            return Some(format!("the broker's certificate is refused: {why} ({said})"));
        }
        hint(said).map(|hint| format!("{hint} ({said})"))
    }
}

/// The host and port in a message: `sasl_ssl://kafka:9093/bootstrap: ...`.
fn address(said: &str) -> Option<&str> {
    said.split_once("://")?.1.split('/').next()
}

/// An error of a consumer that is not used any more, with its last connection error and what to do. Polls the consumer, because that
/// delivers its log.
pub fn explain<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    connection_errors: &ConnectionErrors,
    error: &KafkaError,
) -> String {
    for _ in 0..POLLS_MAX {
        if consumer.poll(POLL).is_none() {
            break;
        }
    }
    connection_errors.explain(error)
}

fn hint(said: &str) -> Option<&'static str> {
    HINTS.iter().find(|(part, _)| said.contains(part)).map(|(_, hint)| *hint)
}

impl ClientContext for ConnectionErrors {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.hear(facility, message);
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for ConnectionErrors {}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    #[test]
    fn the_last_connection_error_comes_with_what_to_do() {
        let connection_errors = ConnectionErrors::default();
        let error = KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerTransportFailure);
        assert_eq!(connection_errors.explain(&error), error.to_string());
        connection_errors.hear("CONFWARN", "something else");
        connection_errors.hear(
            "FAIL",
            "[thrd:ssl://127.0.0.1:1/bootstrap]: ssl://127.0.0.1:1/bootstrap: SSL handshake failed: certificate verify failed",
        );
        let said = connection_errors.explain(&error);
        assert!(
            said.starts_with("the broker's certificate is refused") && said.contains("ssl://127.0.0.1:1/bootstrap"),
            "{said}"
        );
        connection_errors.hear("FAIL", "kafka:9093: Disconnected");
        assert_eq!(connection_errors.explain(&error), format!("{error} (kafka:9093: Disconnected)"));
    }
}
