//! The rules of decoding: the settings, compiled once. Every decoder uses them; no decoder knows another.

use std::collections::BTreeMap;

use iso_currency::Currency;
use tributary_proto::kind::Kinds;
use tributary_runtime::stage::Rejection;

use crate::bots::Bots;
use crate::company::CompanyNames;
use crate::dimensions::DimensionRules;
use crate::normalise::IdentifierRules;
use crate::public::PublicRules;
use crate::receipt::{Receipt, TrustSettings};
use crate::time::Times;
use crate::touch::TouchRules;
use crate::webhook::rules::WebhookRules;

/// The settings, compiled.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) identifiers: IdentifierRules,
    pub(crate) times: Times,
    pub(crate) currency: Currency,
    pub(crate) kinds: Kinds,
    pub(crate) bots: Bots,
    pub(crate) company_names: CompanyNames,
    pub(crate) public: PublicRules,
    pub(crate) trust: TrustSettings,
    pub(crate) meanings: BTreeMap<String, Meaning>,
    pub(crate) touches: TouchRules,
    pub(crate) webhook: WebhookRules,
    pub(crate) dimensions: DimensionRules,
}

impl Rules {
    /// Refuses a time too far after the receive time; for public events also one too far before it.
    ///
    /// # Errors
    /// [`TIMESTAMP_FUTURE`](crate::reason::TIMESTAMP_FUTURE), [`TIMESTAMP_TOO_OLD`](crate::reason::TIMESTAMP_TOO_OLD).
    pub(crate) fn check_time(&self, time_ms: i64, receipt: &Receipt, field: &'static str) -> Result<(), Rejection> {
        self.times.check_future(time_ms, receipt.received_ms, field)?;
        self.public.check_age(receipt, time_ms, field)
    }
}

/// The meaning of a `track` event with some name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    Touch,
    /// A milestone of this kind.
    Milestone(String),
}
