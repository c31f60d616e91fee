//! How a record came in: its topic, its time of receipt, and its trust.

use serde::{Deserialize, Serialize};
use tributary_proto::{Event, Source};

use crate::scalar::Scalar;

/// The field with a record's trust. The collector writes it, and removes any such field that it was sent.
pub const TRUST_FIELD: &str = "_trust";

/// Who could have sent a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Anybody: through a write key in web pages, a pixel, or a browser's landing hit.
    Public,
    /// Only holders of a secret: servers, signed webhooks, imports, producers on the log.
    #[default]
    Trusted,
}

impl Trust {
    /// The value in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Trusted => "trusted",
        }
    }
}

/// How a record was received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) source: Source,
    /// Milliseconds since 1970-01-01 UTC; `None` if unknown.
    pub(crate) received_ms: Option<i64>,
    pub(crate) trust: Trust,
    /// Whether the record is inside an envelope: then its own trust field does not count.
    enveloped: bool,
}

impl Receipt {
    /// For a record without a trust field of its own.
    pub(crate) fn new(source: Source, received_ms: Option<i64>, trust: Trust) -> Self {
        Self { source, received_ms, trust, enveloped: false }
    }

    /// With the record's own time of receipt, if it has one.
    pub(crate) fn at(self, own_ms: Option<i64>) -> Self {
        Self { received_ms: own_ms.or(self.received_ms), ..self }
    }

    /// With the record's own trust, if it has one; an unreadable one counts as public.
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

    /// An event without content. Only a public one gets the time of receipt: so a trusted event that is sent again has the same bytes.
    pub(crate) fn event(&self, event_id: String, time_ms: i64) -> Event {
        let public = self.is_public();
        let received_ms = self.received_ms.filter(|_| public).unwrap_or_default();
        Event { event_id, time_ms, received_ms, source: self.source.into(), public, ..Event::default() }
    }
}

/// `[ingest.trust]`: the trust of records without a trust field, by raw topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustSettings {
    /// For `sdk`.
    pub sdk: Trust,
    /// For `utm`.
    pub utm: Trust,
    /// For `webhook`.
    pub webhook: Trust,
    /// For `offline`.
    pub offline: Trust,
}

impl TrustSettings {
    /// For a raw input.
    pub(crate) fn of(&self, source: Source) -> Trust {
        match source {
            Source::Sdk => self.sdk,
            Source::Utm => self.utm,
            Source::Webhook => self.webhook,
            Source::Offline | Source::Unspecified => self.offline,
        }
    }
}
