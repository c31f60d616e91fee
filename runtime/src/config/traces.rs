//! `[traces]`: spans of single records, exported by OTLP.

use serde::{Deserialize, Serialize};

use super::section::{Given, Problems, Section};

/// `[traces]`: which records are traced, and where spans are exported. Kafka only: the embedded log has no headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceSettings {
    /// URL for spans: OTLP over HTTP with Protobuf, for example `http://127.0.0.1:4318/v1/traces`. Empty: no traces. Plain HTTP; an
    /// OpenTelemetry collector beside the process adds TLS and credentials.
    pub otlp_endpoint: String,
    /// The share of raw records that begin a trace, 0 to 1. A raw record with the header `traceparent` belongs to the sender's trace, and
    /// is traced if that is sampled.
    pub sample_ratio: f64,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), sample_ratio: 0.001 }
    }
}

impl TraceSettings {
    /// Whether tracing is on.
    pub fn is_on(&self) -> bool {
        !self.otlp_endpoint.is_empty()
    }
}

impl Section for TraceSettings {
    const NAME: &'static str = "traces";
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        let is_http = self.otlp_endpoint.strip_prefix("http://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        problems.unless(is_http || !self.is_on(), "otlp_endpoint", "expected http://HOST:PORT/v1/traces");
        problems.unless((0.0..=1.0).contains(&self.sample_ratio), "sample_ratio", "expected a number from 0 to 1");
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_plain_http_and_a_share_is_one() {
        let problems = |otlp_endpoint: &str, sample_ratio: f64| {
            let mut problems = Problems::default();
            let settings = TraceSettings { otlp_endpoint: otlp_endpoint.into(), sample_ratio };
            settings.compile_in(&Given::new(&Default::default()), &mut problems);
            problems.0.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(problems("", 0.001), [""; 0]);
        assert_eq!(problems("http://otel-collector:4318/v1/traces", 1.0), [""; 0]);
        for wrong in ["https://collector/v1/traces", "collector:4318", "http:///v1/traces", "http://"] {
            assert_eq!(problems(wrong, 0.5), ["traces.otlp_endpoint"], "{wrong}");
        }
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert_eq!(problems("", wrong), ["traces.sample_ratio"], "{wrong}");
        }
    }
}
