//! How a record came in: its topic, its time of receipt, and its trust.

use serde::{Deserialize, Serialize};
use tributary_proto::{Event, Source};

use crate::scalar::Scalar;

/// The field in which a record carries its trust. The collector writes it, and takes out what it was sent under this name.
pub const TRUST_FIELD: &str = "_trust";

/// Who could have sent something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Anybody: through a write key that stands in a page, a pixel, or a browser's landing hit.
    Public,
    /// Only who has a secret: servers, signed webhooks, imports, producers of the log.
    #[default]
    Trusted,
}

impl Trust {
    /// As records say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Trusted => "trusted",
        }
    }
}

/// How a record came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) source: Source,
    /// Milliseconds since 1970-01-01 UTC; `None` where it is not known.
    pub(crate) received_ms: Option<i64>,
    pub(crate) trust: Trust,
    /// Whether an envelope was around the record: what stands inside says nothing of its trust.
    enveloped: bool,
}

impl Receipt {
    /// Of a record without a mark.
    pub(crate) fn new(source: Source, received_ms: Option<i64>, trust: Trust) -> Self {
        Self { source, received_ms, trust, enveloped: false }
    }

    /// With the time of receipt that the record itself has, where it has one.
    pub(crate) fn at(self, own_ms: Option<i64>) -> Self {
        Self { received_ms: own_ms.or(self.received_ms), ..self }
    }

    /// With the trust that the record itself has, where it has one; what cannot be read is no trust.
    pub(crate) fn marked(self, mark: &Scalar<'_>) -> Self {
        let trust = match mark {
            _ if self.enveloped => self.trust,
            Scalar::Null => self.trust,
            Scalar::Text(text) if text == Trust::Trusted.name() => Trust::Trusted,
            _ => Trust::Public,
        };
        Self { trust, ..self }
    }

    /// For the records inside an envelope.
    pub(crate) fn inside(self) -> Self {
        Self { enveloped: true, ..self }
    }

    pub(crate) fn is_public(&self) -> bool {
        self.trust == Trust::Public
    }

    /// An event that says nothing yet. When it was received is in a public one alone: what a trusted sender sends again is the same event, to
    /// the byte.
    pub(crate) fn event(&self, event_id: String, time_ms: i64) -> Event {
        let public = self.is_public();
        let received_ms = self.received_ms.filter(|_| public).unwrap_or_default();
        Event { event_id, time_ms, received_ms, source: self.source.into(), public, ..Event::default() }
    }
}

/// `[ingest.trust]`: who could have written to a raw topic what carries no mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustSettings {
    /// Of `sdk`.
    pub sdk: Trust,
    /// Of `utm`.
    pub utm: Trust,
    /// Of `webhook`.
    pub webhook: Trust,
    /// Of `offline`.
    pub offline: Trust,
}

impl TrustSettings {
    /// Of a raw input.
    pub(crate) fn of(&self, source: Source) -> Trust {
        match source {
            Source::Sdk => self.sdk,
            Source::Utm => self.utm,
            Source::Webhook => self.webhook,
            Source::Offline | Source::Unspecified => self.offline,
        }
    }
}
