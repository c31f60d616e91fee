//! Tasks and events: sales activities.

use tributary_runtime::stage::Rejection;

use super::super::activity::{touch, type_of};
use super::super::records::{CrmRecord, Records};
use super::super::stages::incomplete;
use super::head::{Head, text, time};
use crate::native::statement::Says;
use crate::normalise::salesforce_id::{ACCOUNT, CONTACT, LEAD, long_form};
use crate::traits::RawTraits;

/// Statuses of a task that mean it was done.
const DONE: [&str; 4] = ["completed", "done", "closed", "已完成"];

/// Prefixes of the ids of tasks and events.
const TASK: &str = "00T";
const EVENT: &str = "00U";

/// A task becomes a touch once it is done. The touch has the task's id: reported twice, it is one.
pub(super) fn task(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    if head.deleted() {
        gone(head, TASK, fields, records);
        return Ok(());
    }
    let status = text(fields, "Status", records).map(|status| status.to_lowercase());
    let done =
        status.is_some_and(|status| DONE.contains(&&*status)) || text(fields, "IsClosed", records).as_deref() == Some("true");
    if !done {
        records.nothing();
        return Ok(());
    }
    // Somebody who logs a call states when it was.
    let logged = if head.created() { "ActivityDate" } else { "CompletedDateTime" };
    let time_ms = time(fields, "CompletedDateTime", records).or_else(|| time(fields, logged, records));
    activity(head, TASK, time_ms, "task", fields, records)
}

/// An event becomes a touch at the time when it took place; if that is in the future, when it was scheduled.
pub(super) fn event(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    if head.deleted() {
        gone(head, EVENT, fields, records);
        return Ok(());
    }
    // Every invited colleague has a copy of it.
    if !head.created() || text(fields, "IsChild", records).as_deref() == Some("true") {
        records.nothing();
        return Ok(());
    }
    let mut time_ms = None;
    for name in ["StartDateTime", "ActivityDateTime", "ActivityDate"] {
        time_ms = time_ms.or_else(|| time(fields, name, records));
    }
    activity(head, EVENT, time_ms, "meeting", fields, records)
}

fn activity(
    head: &Head<'_>,
    prefix: &str,
    time_ms: Option<i64>,
    other: &'static str,
    fields: &RawTraits<'_>,
    records: &mut Records<'_>,
) -> Result<(), Rejection> {
    let time_ms = time_ms.map_or(head.time_ms, |time_ms| time_ms.min(head.time_ms));
    let id = id(head, prefix);
    // A retraction is for ever. So the touch of a restored record needs another event id.
    let event_id = if head.restored() { &head.event_id } else { &id };
    let mut record = CrmRecord::new(event_id, time_ms).of(&id, head.time_ms);
    if !name(&mut record, fields, records) {
        let detail = "the event does not say with whom: fetch the activity, or add WhoId to the channel's enriched fields";
        return Err(incomplete("WhoId", detail));
    }
    let mut told = Vec::new();
    for name in ["Type", "Subject", "TaskSubtype", "EventSubtype"] {
        told.extend(text(fields, name, records));
    }
    let kind = type_of(told.iter().map(|text| &**text), other);
    let outcome = text(fields, "CallDisposition", records).unwrap_or_default();
    records.add(record, Says::Touch(touch("salesforce", kind, outcome)));
    Ok(())
}

/// Retracts the touch of a deleted activity. Touches from before records were stored with touches are found by their contact, if the event
/// names it (an enriched field).
fn gone(head: &Head<'_>, prefix: &str, fields: &RawTraits<'_>, records: &mut Records<'_>) {
    let id = id(head, prefix);
    let mut touch = CrmRecord::new(&id, head.time_ms);
    records.add(CrmRecord::new(&head.event_id, head.time_ms), Says::RecordDeleted { id });
    if name(&mut touch, fields, records) {
        records.add(touch, Says::Retract { milestone: "".into(), object_id: "".into() });
    }
}

fn id(head: &Head<'_>, prefix: &str) -> String {
    format!("salesforce:activity:{}", long_form(head.id, prefix))
}

/// Adds the identifiers of the activity's contact; returns whether the event names it.
fn name(record: &mut CrmRecord, fields: &RawTraits<'_>, records: &mut Records<'_>) -> bool {
    let who = text(fields, "WhoId", records).unwrap_or_default();
    let what = text(fields, "WhatId", records).unwrap_or_default();
    let account = text(fields, "AccountId", records).unwrap_or_default();
    let account = if what.starts_with(ACCOUNT) { &what } else { &account };
    // The account of an activity is that of its subject, which is not always the contact's.
    match (who.get(..3), account.is_empty()) {
        (Some(CONTACT), _) => record.name("crm_contact", &who, records),
        (Some(LEAD), _) => record.name("crm_lead", &who, records),
        (_, false) => record.name("crm_account", account, records),
        _ => return false,
    }
    true
}
