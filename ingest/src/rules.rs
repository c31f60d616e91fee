//! The rules of decoding: the settings, compiled once. Every decoder reads by them; none knows another.

use std::collections::BTreeMap;

use iso_currency::Currency;
use tributary_proto::kind::Kinds;

use crate::bots::Bots;
use crate::normalise::IdentifierRules;
use crate::time::Times;
use crate::touch::TouchRules;
use crate::webhook::rules::WebhookRules;

/// What the settings say, compiled.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) identifiers: IdentifierRules,
    pub(crate) times: Times,
    pub(crate) currency: Currency,
    pub(crate) kinds: Kinds,
    pub(crate) bots: Bots,
    pub(crate) meanings: BTreeMap<String, Meaning>,
    pub(crate) touches: TouchRules,
    pub(crate) webhook: WebhookRules,
}

/// What a `track` event of a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    Touch,
    /// A milestone of this kind.
    Milestone(String),
}
