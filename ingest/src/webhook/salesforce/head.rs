//! What the events of all objects have.

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use super::super::body::field;
use super::super::records::Records;
use crate::milestone::Given;
use crate::traits::RawTraits;

/// Of a day without a time, in milliseconds after its beginning.
const NOON_MS: i64 = 12 * 3_600_000;

/// What an event says of each of its records.
pub(super) struct Head<'a> {
    pub(super) event_id: String,
    pub(super) time_ms: i64,
    pub(super) id: &'a str,
    pub(super) change: &'a str,
    /// Of a deleted record, the one that it was merged into.
    pub(super) merged_into: Option<&'a str>,
    /// Fields that have no value any more.
    pub(super) cleared: &'a [String],
}

impl Head<'_> {
    pub(super) fn created(&self) -> bool {
        matches!(self.change, "CREATE" | "UNDELETE")
    }

    /// What the event says of a field that has this value in it.
    pub(super) fn given<T>(&self, name: &str, value: Option<T>) -> Given<T> {
        match value {
            Some(value) => Given::Is(value),
            None if self.cleared.iter().any(|cleared| cleared == name) => Given::Cleared,
            None => Given::Nothing,
        }
    }

    pub(super) fn deleted(&self) -> bool {
        self.change == "DELETE"
    }
}

/// The text of a field; `None` where it did not change.
pub(super) fn text<'a>(fields: &RawTraits<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    fields.get(name).map(|raw| field(raw, name)).transpose().map(Option::flatten)
}

/// A time: a date with its time, a date alone (noon), or milliseconds; `None` where it did not change or cannot be read.
pub(super) fn time(fields: &RawTraits<'_>, name: &'static str, records: &Records<'_>) -> Result<Option<i64>, Rejection> {
    let Some(text) = text(fields, name)? else { return Ok(None) };
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(Some(ms));
    }
    let is_date = text.len() == 10;
    let read = records.rules.times.read(&text, name).ok();
    Ok(read.map(|ms| if is_date { ms.saturating_add(NOON_MS) } else { ms }))
}
