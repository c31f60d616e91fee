//! What the events of all objects have.

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use super::super::body::field;
use crate::traits::RawTraits;

/// What an event says of each of its records.
pub(super) struct Head<'a> {
    pub(super) event_id: String,
    pub(super) time_ms: i64,
    pub(super) id: &'a str,
    pub(super) change: &'a str,
    /// Of a deleted record, the one that it was merged into.
    pub(super) merged_into: Option<&'a str>,
}

impl Head<'_> {
    pub(super) fn created(&self) -> bool {
        matches!(self.change, "CREATE" | "UNDELETE")
    }

    pub(super) fn deleted(&self) -> bool {
        self.change == "DELETE"
    }
}

/// The text of a field; `None` where it did not change.
pub(super) fn text<'a>(fields: &RawTraits<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    fields.get(name).map(|raw| field(raw, name)).transpose().map(Option::flatten)
}
