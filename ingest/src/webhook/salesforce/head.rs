//! The fields that events of all objects have.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tributary_runtime::stage::Rejection;

use super::super::body::field;
use super::super::records::Records;
use crate::milestone::Given;
use crate::time::OfDay;
use crate::traits::RawTraits;

/// The part of an event that applies to each of its records.
pub(super) struct Head<'a> {
    pub(super) event_id: String,
    pub(super) time_ms: i64,
    pub(super) id: &'a str,
    pub(super) change: &'a str,
    /// The record that a deleted one was merged into.
    pub(super) merged_into: Option<&'a str>,
    /// Fields that were cleared.
    pub(super) cleared: &'a [String],
}

impl Head<'_> {
    pub(super) fn created(&self) -> bool {
        matches!(self.change, "CREATE" | "UNDELETE")
    }

    /// Whether the record was restored after a deletion.
    pub(super) fn restored(&self) -> bool {
        self.change == "UNDELETE"
    }

    /// The statement on a field with this value in the event.
    pub(super) fn given<T>(&self, name: &str, value: Option<T>) -> Given<T> {
        match value {
            Some(value) => Given::Is(value),
            None if self.clears(name) => Given::Cleared,
            None => Given::Nothing,
        }
    }

    /// Whether the event clears a field.
    pub(super) fn clears(&self, name: &str) -> bool {
        self.cleared.iter().any(|cleared| cleared == name)
    }

    pub(super) fn deleted(&self) -> bool {
        self.change == "DELETE"
    }
}

/// The text of a field; `None` if it did not change.
///
/// # Errors
/// When it is not a text.
pub(super) fn plain<'a>(fields: &RawTraits<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    fields.get(name).map(|raw| field(raw, name)).transpose().map(Option::flatten)
}

/// The text of a field; `None` if it did not change, or is not a text and is left out.
pub(super) fn text<'a>(fields: &RawTraits<'a>, name: &'static str, records: &mut Records<'_>) -> Option<Cow<'a, str>> {
    records.read(plain(fields, name)).flatten()
}

/// A time: a date with a time, a date alone (noon), or milliseconds; `None` if it did not change, or is not a time and is left out.
pub(super) fn time(fields: &RawTraits<'_>, name: &'static str, records: &mut Records<'_>) -> Option<i64> {
    let text = text(fields, name, records)?;
    let text = if name == "ActivityDate" { day(text) } else { text };
    records.read(records.rules.times.read_of_day(&text, name, OfDay::Noon))
}

const DAY_MS: i64 = 86_400_000;

/// The text of a field that is a day. Such fields may also be sent as midnight UTC, in milliseconds or written out.
pub(super) fn day(text: Cow<'_, str>) -> Cow<'_, str> {
    if let Some((day, "T00:00:00Z" | "T00:00:00.000Z" | "T00:00:00.000+0000")) = text.split_at_checked(10) {
        return day.to_owned().into();
    }
    let midnight = text.parse::<i64>().ok().filter(|ms| ms % DAY_MS == 0);
    match midnight.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        Some(time) => TimeZone::UTC.to_datetime(time).date().to_string().into(),
        None => text,
    }
}
