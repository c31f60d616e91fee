//! Salesforce: events of Change Data Capture as JSON, bare (`ChangeEventHeader` beside the fields) or with the wrappers `payload`
//! and `data` of the streaming clients.
//!
//! Field names and meaning:
//! <https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/cdc_event_fields_header.htm>.

mod activity;
mod event;
mod head;
mod merges;
mod who;

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use event::ChangeEvent;
use head::{Head, day, plain, text};
use merges::Merges;
use who::{account, merged, person};

use super::body::{self, elements};
use super::records::{CrmRecord, Records};
use super::stages::{Change, incomplete};
use crate::decoded::Decoded;
use crate::limits::ELEMENTS_MAX;
use crate::milestone::Given;
use crate::native::statement::Says;
use crate::normalise::salesforce_id::{CAMPAIGN, ROLE, long_form};
use crate::reason;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::touch::TouchFields;
use crate::traits::RawTraits;

/// Objects that state something about people, accounts, touches or milestones.
const ENTITIES: [&str; 8] =
    ["Lead", "Contact", "Account", "Opportunity", "CampaignMember", "OpportunityContactRole", "Task", "Event"];

/// Decodes an event, or an array of independent events.
///
/// # Errors
/// When the body is neither.
pub(super) fn decode(rules: &Rules, raw: &RawValue, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let json = body::json(raw)?;
    let single = !json.starts_with('[');
    let read: Vec<_> = elements(&json)?.into_iter().map(ChangeEvent::read).collect();
    let merges = Merges::of(read.iter().flatten());
    for (index, event) in (0u32..).zip(&read) {
        let place = if single { "body".to_owned() } else { format!("body[{index}]") };
        let mut records = Records::new(rules, receipt, out, index, place);
        let result = event.as_ref().map_err(Rejection::clone).and_then(|event| changes(event, &merges, &mut records));
        records.end(result);
    }
    Ok(())
}

/// Handles the changes of each record in an event.
fn changes(event: &ChangeEvent<'_>, merges: &Merges, records: &mut Records<'_>) -> Result<(), Rejection> {
    let ChangeEvent { entity, change, ids, fields, .. } = event;
    if !ENTITIES.contains(&&**entity) {
        records.nothing();
        return Ok(());
    }
    if change.starts_with("GAP_") {
        let detail = format!("Salesforce tells of {} record(s), and not what changed in them: fetch and send them", ids.len());
        return Err(incomplete("changeType", detail));
    }
    if ids.len() > ELEMENTS_MAX {
        let detail = format!("the event is about {} records, at most {ELEMENTS_MAX} are read", ids.len());
        return Err(Rejection::new(reason::RECORD_TOO_LARGE, "recordIds", detail));
    }
    let (time_ms, key) = (event.time_ms()?, event.key()?);
    event.ignored.iter().for_each(|left| records.leave_out(left.why.clone()));
    let master = if &**change == "DELETE" { text(fields, "MasterRecordId", records) } else { None };
    for id in ids {
        let Some(id) = records.read(id.clone().text("recordIds")).flatten() else { continue };
        if id.ends_with('*') {
            records.refuse(incomplete("recordIds", "every record of the object may have changed: fetch them"));
            continue;
        }
        let merged_into = merges.winner(event, &id).or(master.as_deref());
        let head =
            Head { event_id: format!("salesforce:{key}:{id}"), time_ms, id: &id, change, merged_into, cleared: &event.cleared };
        record(entity, &head, fields, records)?;
    }
    Ok(())
}

fn record(entity: &str, head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    match entity {
        "Contact" | "Lead" if !head.deleted() => person(entity, head, fields, records),
        "Account" if !head.deleted() => account(head, fields, records),
        "Opportunity" => opportunity(head, fields, records),
        "Task" => return activity::task(head, fields, records),
        "Event" => return activity::event(head, fields, records),
        "CampaignMember" if !head.deleted() => return member(head, fields, records),
        "OpportunityContactRole" => return role(head, fields, records),
        "Contact" | "Lead" | "Account" if head.merged_into.is_some() => merged(entity, head, records),
        "Account" => who::gone(head, records),
        // The deletion of a contact is not an erasure.
        _ => records.nothing(),
    }
    Ok(())
}

fn opportunity(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) {
    let mut owned = |name| text(fields, name, records).map(Cow::into_owned);
    let mut names = Vec::new();
    for (name, kind) in [("AccountId", "crm_account"), ("ContactId", "crm_contact")] {
        names.extend(owned(name).map(|id| (kind, id)));
    }
    let (stage, amount, currency) = (owned("StageName"), owned("Amount"), owned("CurrencyIsoCode"));
    // An amount whose currency cannot be read is left out, not guessed.
    let unreadable = currency.is_none() && plain(fields, "CurrencyIsoCode").is_err();
    let amount = if unreadable { Given::Nothing } else { head.given("Amount", amount) };
    let close_ms = text(fields, "CloseDate", records).and_then(|date| {
        let closing = closing(&day(date), head.time_ms, records);
        records.read(closing)
    });
    let change = Change {
        created: head.created(),
        stage,
        amount,
        currency: head.given("CurrencyIsoCode", currency),
        close_ms: head.given("CloseDate", close_ms),
        gone: head.deleted(),
        names,
        ..Change::default()
    };
    change.write(records.rules.webhook.settings.salesforce.of_opportunities(), head.id, &head.event_id, head.time_ms, records);
}

/// A closing date is only a day. If it is the day of the event, the time is that of the event; if it is an earlier day, its end, so that
/// touches of that day come before it.
fn closing(date: &str, time_ms: i64, records: &Records<'_>) -> Result<i64, Rejection> {
    const DAY_MS: i64 = 24 * 3_600_000;
    let begin_ms = records.rules.times.read(date, "CloseDate")?;
    let end_ms = begin_ms.saturating_add(DAY_MS - 1);
    Ok(if begin_ms <= time_ms { end_ms.min(time_ms) } else { i64::MAX })
}

/// A campaign reached somebody, or somebody responded to it.
fn member(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let status = text(fields, "Status", records);
    if status.is_none() && !head.created() {
        records.nothing();
        return Ok(());
    }
    let mut touch = CrmRecord::new(head.event_id.clone(), head.time_ms);
    let mut named = false;
    for (name, kind) in [("ContactId", "crm_contact"), ("LeadId", "crm_lead")] {
        if let Some(id) = text(fields, name, records) {
            touch.name(kind, &id, records);
            named = true;
        }
    }
    if !named {
        let detail =
            "the event does not say who it is: fetch the member, or add ContactId and LeadId to the channel's enriched fields";
        return Err(incomplete("ContactId", detail));
    }
    let says = TouchFields {
        source: "salesforce".into(),
        medium: "campaign_member".into(),
        campaign: long_form(&text(fields, "CampaignId", records).unwrap_or_default(), CAMPAIGN).into_owned().into(),
        touch_type: status.unwrap_or_default(),
        ..TouchFields::default()
    };
    records.add(touch, Says::Touch(says));
    Ok(())
}

/// A contact got or lost a role in an opportunity.
fn role(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let record_id = format!("salesforce:role:{}", long_form(head.id, ROLE));
    let (contact, opportunity) = (text(fields, "ContactId", records), text(fields, "OpportunityId", records));
    if head.deleted() {
        let gone = CrmRecord::new(format!("{}:deleted", head.event_id), head.time_ms);
        records.add(gone, Says::RecordDeleted { id: record_id.clone() });
        if contact.is_none() || opportunity.is_none() {
            return Ok(());
        }
    }
    let Some(contact) = contact else {
        let detail = "the event does not say whose role it is: fetch it, or add ContactId to the channel's enriched fields";
        return Err(incomplete("ContactId", detail));
    };
    let Some(opportunity) = opportunity else {
        let detail = "the event does not say in which deal: fetch it, or add OpportunityId to the channel's enriched fields";
        return Err(incomplete("OpportunityId", detail));
    };
    let role = text(fields, "Role", records);
    // A change of other fields says nothing about the role.
    if role.is_some() || head.created() || head.deleted() || head.clears("Role") {
        let mut contacts = CrmRecord::new(head.event_id.clone(), head.time_ms);
        if !head.deleted() {
            contacts = contacts.of(record_id, head.time_ms);
        }
        contacts.contact("crm_contact", &contact, (role.as_deref().unwrap_or_default(), head.deleted()), records);
        records.add(contacts, Says::Contacts { object_id: opportunity.clone() });
    }
    if !head.deleted() {
        let change = Change { names: vec![("crm_contact", contact.into_owned())], ..Change::default() };
        let ladder = records.rules.webhook.settings.salesforce.of_opportunities();
        change.write(ladder, &opportunity, &head.event_id, head.time_ms, records);
    }
    Ok(())
}
