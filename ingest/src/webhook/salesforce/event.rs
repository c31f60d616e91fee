//! A parsed change event: what changed, in which records, in which transaction.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::super::body::millis;
use crate::ignored::Ignored;
use crate::lenient::List;
use crate::scalar::{Scalar, json_rejection};
use crate::traits::RawTraits;
use crate::{content, lenient, reason};

lenient::object! {
    Header {
        "entityName" => entity_name: Scalar<'a>,
        "recordIds" => record_ids: List<'a>,
        "changeType" => change_type: Scalar<'a>,
        "transactionKey" => transaction_key: Scalar<'a>,
        "sequenceNumber" => sequence_number: Scalar<'a>,
        "commitTimestamp" => commit_timestamp: Scalar<'a>,
        "nulledFields" => nulled_fields: List<'a>,
        "changedFields" => changed_fields: List<'a>,
    }
}

pub(super) struct ChangeEvent<'a> {
    element: &'a RawValue,
    /// The object: `Contact`.
    pub(super) entity: Cow<'a, str>,
    /// The type of change: `CREATE`, `UPDATE`, `DELETE`, `UNDELETE`, or one with `GAP_`.
    pub(super) change: Cow<'a, str>,
    pub(super) ids: Vec<Scalar<'a>>,
    pub(super) transaction: Option<Cow<'a, str>>,
    sequence: Option<Cow<'a, str>>,
    committed: Scalar<'a>,
    pub(super) fields: RawTraits<'a>,
    /// Fields that were cleared. A null alone does not say so: some clients send null for every field that did not change.
    pub(super) cleared: Vec<String>,
    /// Fields that could not be read so far.
    pub(super) ignored: Ignored,
}

impl<'a> ChangeEvent<'a> {
    /// # Errors
    /// When it is not a change event.
    pub(super) fn read(element: &'a RawValue) -> Result<Self, Rejection> {
        let mut ignored = Ignored::default();
        let mut fields = fields(element, &mut ignored)?;
        let Some(header) = fields.take_raw("ChangeEventHeader")? else {
            let detail = "an event of Change Data Capture has this header";
            return Err(Rejection::new(reason::FIELD_MISSING, "ChangeEventHeader", detail));
        };
        let header: Header<'_> = serde_json::from_str(header.get()).map_err(|error| json_rejection(&error))?;
        let missing = |name| Rejection::new(reason::FIELD_MISSING, name, "the header lacks this field");
        let mut names = |list: List<'a>, field| -> Vec<String> {
            let list = ignored.read(list.get(field)).flatten().unwrap_or_default();
            list.into_iter().filter_map(|name| ignored.read(name.text(field)).flatten()).map(Cow::into_owned).collect()
        };
        let nulled = names(header.nulled_fields, "nulledFields");
        let changed = names(header.changed_fields, "changedFields");
        let is_null = |name: &String| fields.get(name).map(|raw| raw.get() == "null");
        let nulled = nulled.into_iter().filter(|name| is_null(name).unwrap_or(true));
        let changed = changed.into_iter().filter(|name| is_null(name).unwrap_or(false));
        let cleared = nulled.chain(changed).collect();
        Ok(Self {
            element,
            cleared,
            entity: header.entity_name.text("entityName")?.ok_or_else(|| missing("entityName"))?,
            change: header.change_type.text("changeType")?.ok_or_else(|| missing("changeType"))?,
            ids: header.record_ids.get("recordIds")?.ok_or_else(|| missing("recordIds"))?,
            transaction: ignored.read(header.transaction_key.text("transactionKey")).flatten(),
            sequence: ignored.read(header.sequence_number.text("sequenceNumber")).flatten(),
            committed: header.commit_timestamp,
            fields,
            ignored,
        })
    }

    /// When it was committed, milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// When the header has no valid time.
    pub(super) fn time_ms(&self) -> Result<i64, Rejection> {
        millis(self.committed.clone(), "commitTimestamp")
    }

    /// Identifies the event: its position in its transaction, or its content.
    ///
    /// # Errors
    /// When it is malformed.
    pub(super) fn key(&self) -> Result<String, Rejection> {
        match (&self.transaction, &self.sequence) {
            (Some(key), Some(sequence)) => Ok(format!("{key}:{sequence}")),
            _ => content::hash(self.element.get(), &[]).map_err(|error| json_rejection(&error)),
        }
    }
}

/// The fields of an event, out of their wrappers.
fn fields<'a>(element: &'a RawValue, ignored: &mut Ignored) -> Result<RawTraits<'a>, Rejection> {
    let mut fields: RawTraits<'a> = serde_json::from_str(element.get()).map_err(|error| json_rejection(&error))?;
    for wrapper in ["data", "payload"] {
        if let Some(inner) = fields.take_raw(wrapper)? {
            fields = serde_json::from_str(inner.get()).map_err(|error| json_rejection(&error))?;
        }
    }
    fields.drop_repeated(ignored);
    Ok(fields)
}
