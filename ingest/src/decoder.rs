//! The entry to all decoders.

use tributary_proto::Source;
use tributary_proto::kind::Kinds;
use tributary_runtime::config::{Problems, Section};
use tributary_runtime::stage::Rejection;

use crate::decoded::Decoded;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::{limits, native, reason, repair, sdk, webhook};

/// Decodes raw records into events, with compiled settings. Has no state: share it in an `Arc`.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) rules: Rules,
}

impl Decoder {
    /// Compiles settings.
    ///
    /// # Errors
    /// All errors of the settings together.
    pub fn new(settings: &Settings, kinds: &Kinds) -> Result<Self, Problems> {
        settings.compiled(kinds)
    }

    pub(crate) fn with(rules: Rules) -> Self {
        Self { rules }
    }

    /// Decodes one raw record of `source` and adds its events to `out`.
    ///
    /// `received_ms` is when the record was received, milliseconds since 1970-01-01 UTC. A receive time inside the record takes precedence,
    /// and so does a trust inside it over that of the topic. Without any receive time, times in the future cannot be detected.
    ///
    /// # Errors
    /// When the record as a whole is refused; nothing was added then.
    pub fn decode(&self, source: Source, value: &[u8], received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
        let receipt = Receipt::new(source, received_ms, self.rules.trust.of(source));
        out.public = receipt.is_public();
        let text = limits::json_object(value)?;
        let before = out.events.len();
        let decoded = match self.decode_text(&text, receipt, out) {
            // Other JSON libraries write numbers that ours cannot read.
            Err(rejection) if rejection.reason == reason::JSON_MALFORMED => match repair::numbers(&text) {
                Some(text) => self.decode_text(&text, receipt, out),
                None => Err(rejection),
            },
            decoded => decoded,
        };
        for event in out.events.iter_mut().skip(before) {
            self.rules.company_names.add_to(event, &self.rules.identifiers);
        }
        decoded
    }

    fn decode_text(&self, text: &str, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
        match receipt.source {
            Source::Sdk => sdk::decode(&self.rules, text, receipt, out),
            Source::Webhook => webhook::decode(&self.rules, text, receipt, out),
            Source::Utm | Source::Offline | Source::Unspecified => native::decode(&self.rules, text, receipt, out),
        }
    }
}
