//! A change event, read: what changed, in which records, in which transaction.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::super::body::millis;
use crate::scalar::{Scalar, json_rejection};
use crate::traits::RawTraits;
use crate::{content, reason};

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Header<'a> {
    #[serde(borrow)]
    entity_name: Scalar<'a>,
    #[serde(borrow)]
    record_ids: Option<Vec<Scalar<'a>>>,
    #[serde(borrow)]
    change_type: Scalar<'a>,
    #[serde(borrow)]
    transaction_key: Scalar<'a>,
    #[serde(borrow)]
    sequence_number: Scalar<'a>,
    #[serde(borrow)]
    commit_timestamp: Scalar<'a>,
    #[serde(borrow)]
    nulled_fields: Option<Vec<Scalar<'a>>>,
    #[serde(borrow)]
    changed_fields: Option<Vec<Scalar<'a>>>,
}

pub(super) struct ChangeEvent<'a> {
    element: &'a RawValue,
    /// The object: `Contact`.
    pub(super) entity: Cow<'a, str>,
    /// What happened: `CREATE`, `UPDATE`, `DELETE`, `UNDELETE`, or one of `GAP_`.
    pub(super) change: Cow<'a, str>,
    pub(super) ids: Vec<Scalar<'a>>,
    pub(super) transaction: Option<Cow<'a, str>>,
    sequence: Scalar<'a>,
    committed: Scalar<'a>,
    pub(super) fields: RawTraits<'a>,
    /// Fields that have no value any more: a null alone says nothing, for some clients write one for every field that did not change.
    pub(super) cleared: Vec<String>,
}

impl<'a> ChangeEvent<'a> {
    /// # Errors
    /// When it is no change event.
    pub(super) fn read(element: &'a RawValue) -> Result<Self, Rejection> {
        let mut fields = fields(element)?;
        let Some(header) = fields.take_raw("ChangeEventHeader")? else {
            let detail = "an event of Change Data Capture has this header";
            return Err(Rejection::new(reason::FIELD_MISSING, "ChangeEventHeader", detail));
        };
        let header: Header<'_> = serde_json::from_str(header.get()).map_err(|error| json_rejection(&error))?;
        let missing = |name| Rejection::new(reason::FIELD_MISSING, name, "the header lacks this field");
        let names = |list: Option<Vec<Scalar<'a>>>| {
            list.into_iter().flatten().filter_map(|name| name.text("changedFields").ok().flatten()).map(Cow::into_owned)
        };
        let is_null = |name: &String| fields.get(name).map(|raw| raw.get() == "null");
        let nulled = names(header.nulled_fields).filter(|name| is_null(name).unwrap_or(true));
        let changed = names(header.changed_fields).filter(|name| is_null(name).unwrap_or(false));
        let cleared = nulled.chain(changed).collect();
        Ok(Self {
            element,
            cleared,
            entity: header.entity_name.text("entityName")?.ok_or_else(|| missing("entityName"))?,
            change: header.change_type.text("changeType")?.ok_or_else(|| missing("changeType"))?,
            ids: header.record_ids.ok_or_else(|| missing("recordIds"))?,
            transaction: header.transaction_key.text("transactionKey")?,
            sequence: header.sequence_number,
            committed: header.commit_timestamp,
            fields,
        })
    }

    /// When it was committed, milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// When the header does not say, or not so.
    pub(super) fn time_ms(&self) -> Result<i64, Rejection> {
        millis(self.committed.clone(), "commitTimestamp")
    }

    /// What tells the event from all others: its place in its transaction, or its content.
    ///
    /// # Errors
    /// When the header's number is no text.
    pub(super) fn key(&self) -> Result<String, Rejection> {
        match &self.transaction {
            Some(key) => Ok(format!("{key}:{}", self.sequence.clone().text("sequenceNumber")?.unwrap_or_default())),
            None => content::hash(self.element.get(), &[]).map_err(|error| json_rejection(&error)),
        }
    }
}

/// The fields of an event, out of their wrappers.
fn fields(element: &RawValue) -> Result<RawTraits<'_>, Rejection> {
    let mut fields: RawTraits<'_> = serde_json::from_str(element.get()).map_err(|error| json_rejection(&error))?;
    for wrapper in ["data", "payload"] {
        if let Some(inner) = fields.take_raw(wrapper)? {
            fields = serde_json::from_str(inner.get()).map_err(|error| json_rejection(&error))?;
        }
    }
    fields.check_unique()?;
    Ok(fields)
}
