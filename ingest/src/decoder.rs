//! The compiled settings, and the entry to all decoders.

use std::collections::BTreeMap;

use iso_currency::Currency;
use tributary_proto::{Event, Source, Spend};
use tributary_runtime::stage::Rejection;

use crate::bots::Bots;
use crate::normalise::IdentifierRules;
use crate::time::Times;
use crate::touch::TouchRules;
use crate::webhook::mapping::Mappings;
use crate::webhook::scene::Scenes;
use crate::webhook::settings::WebhookSettings;
use crate::{limits, native, sdk, webhook};

/// Turns raw records into events, under settings that were compiled once. Holds no state: share it behind an `Arc`.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) identifiers: IdentifierRules,
    pub(crate) times: Times,
    pub(crate) currency: Currency,
    pub(crate) milestone_kinds: Vec<String>,
    pub(crate) bots: Bots,
    pub(crate) meanings: BTreeMap<String, Meaning>,
    pub(crate) touches: TouchRules,
    /// Whether click ids of landing URLs are identifiers.
    pub(crate) click_ids: bool,
    pub(crate) wechat_appids: BTreeMap<String, String>,
    pub(crate) webhook: WebhookSettings,
    pub(crate) scenes: Scenes,
    pub(crate) mappings: Mappings,
}

/// What a `track` event of a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    Touch,
    /// A milestone of this kind.
    Milestone(String),
}

/// What came out of a raw record.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Events, in the record's order.
    pub events: Vec<Event>,
    /// What the record says was spent.
    pub spends: Vec<Spend>,
    /// Events of the record that are refused, with their place in it.
    pub rejections: Vec<Rejection>,
    /// Identifiers dropped because their value is blocked.
    pub blocked: u64,
    /// External ids dropped because nobody declared their kind.
    pub undeclared: u64,
    /// Messages of bots that would have been touches.
    pub bots: u64,
    /// Messages that are neither touch nor milestone and name nobody.
    pub without_event: u64,
}

impl Decoded {
    /// Makes it ready for the next record, keeping its memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.spends.clear();
        self.rejections.clear();
        (self.blocked, self.undeclared, self.bots, self.without_event) = (0, 0, 0, 0);
    }

    /// Whether something of the record was used: an event, a cost, or a message that was understood and needs no event.
    pub fn was_used(&self) -> bool {
        !self.events.is_empty() || !self.spends.is_empty() || self.bots + self.without_event > 0
    }
}

impl Decoder {
    /// Decodes one raw record of `source` and adds its events to `out`.
    ///
    /// `received_ms` is when the record was received, milliseconds since 1970-01-01 UTC; a receive time inside the record goes
    /// first. Without any, a time in the future cannot be told.
    ///
    /// # Errors
    /// When the record as a whole is refused; nothing was added then.
    pub fn decode(&self, source: Source, value: &[u8], received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
        let text = limits::json_object(value)?;
        match source {
            Source::Sdk => sdk::decode(self, text, received_ms, out),
            Source::Webhook => webhook::decode(self, text, received_ms, out),
            Source::Utm | Source::Offline | Source::Unspecified => native::decode(self, text, source, received_ms, out),
        }
    }
}
