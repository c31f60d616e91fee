//! Salesforce: events of Change Data Capture as JSON, bare (`ChangeEventHeader` beside the fields) or with the wrappers `payload`
//! and `data` of the streaming clients.
//!
//! Field names and meaning:
//! <https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/cdc_event_fields_header.htm>.

mod head;
mod who;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use head::{Head, text};
use who::{account, person};

use super::body::{self, elements, millis};
use super::records::{Record, Records};
use super::stages::{Change, incomplete, plain_decimal};
use crate::decoded::Decoded;
use crate::limits::ELEMENTS_MAX;
use crate::native::statement::Says;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::touch::TouchFields;
use crate::traits::RawTraits;
use crate::{content, reason};

/// Objects that say something of people, accounts, touches or milestones.
const ENTITIES: [&str; 6] = ["Lead", "Contact", "Account", "Opportunity", "CampaignMember", "OpportunityContactRole"];

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
}

/// Decodes an event, or an array of them of which each stands or falls alone.
///
/// # Errors
/// When the body is neither.
pub(super) fn decode(rules: &Rules, raw: &RawValue, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let json = body::json(raw)?;
    let single = !json.starts_with('[');
    for (index, element) in (0u32..).zip(elements(&json)?) {
        let place = if single { "body".to_owned() } else { format!("body[{index}]") };
        let mut records = Records::new(rules, received_ms, out, index, place);
        if let Err(rejection) = event(element, &mut records) {
            records.refuse(rejection);
        }
    }
    Ok(())
}

/// The fields of an event, out of their wrappers.
fn fields<'a>(element: &'a RawValue) -> Result<RawTraits<'a>, Rejection> {
    let mut fields: RawTraits<'a> = serde_json::from_str(element.get()).map_err(|error| json_rejection(&error))?;
    for wrapper in ["data", "payload"] {
        if let Some(inner) = fields.take_raw(wrapper)? {
            fields = serde_json::from_str(inner.get()).map_err(|error| json_rejection(&error))?;
        }
    }
    fields.check_unique()?;
    Ok(fields)
}

fn event(element: &RawValue, records: &mut Records<'_>) -> Result<(), Rejection> {
    let mut fields = fields(element)?;
    let Some(header) = fields.take_raw("ChangeEventHeader")? else {
        let detail = "an event of Change Data Capture has this header";
        return Err(Rejection::new(reason::FIELD_MISSING, "ChangeEventHeader", detail));
    };
    let header: Header<'_> = serde_json::from_str(header.get()).map_err(|error| json_rejection(&error))?;
    let missing = |name| Rejection::new(reason::FIELD_MISSING, name, "the header lacks this field");
    let entity = header.entity_name.text("entityName")?.ok_or_else(|| missing("entityName"))?;
    let change = header.change_type.text("changeType")?.ok_or_else(|| missing("changeType"))?;
    let ids = header.record_ids.ok_or_else(|| missing("recordIds"))?;
    if !ENTITIES.contains(&&*entity) {
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
    let time_ms = millis(header.commit_timestamp, "commitTimestamp")?;
    let key = match header.transaction_key.text("transactionKey")? {
        Some(key) => format!("{key}:{}", header.sequence_number.text("sequenceNumber")?.unwrap_or_default()),
        None => content::hash(element.get(), &[]).map_err(|error| json_rejection(&error))?,
    };
    for id in ids {
        let Some(id) = id.text("recordIds")? else { continue };
        if id.ends_with('*') {
            records.refuse(incomplete("recordIds", "every record of the object may have changed: fetch them"));
            continue;
        }
        let head = Head { event_id: format!("salesforce:{key}:{id}"), time_ms, id: &id, change: &change };
        record(&entity, &head, &fields, records)?;
    }
    Ok(())
}

fn record(entity: &str, head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    match entity {
        "Contact" | "Lead" if !head.deleted() => person(entity, head, fields, records),
        "Account" if !head.deleted() => account(head, fields, records),
        "Opportunity" => opportunity(head, fields, records),
        "CampaignMember" if !head.deleted() => member(head, fields, records),
        "OpportunityContactRole" if !head.deleted() => role(head, fields, records),
        // The deletion of a contact is no erasure.
        _ => {
            records.nothing();
            Ok(())
        }
    }
}

fn opportunity(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let owned = |name| text(fields, name).map(|text| text.map(Cow::into_owned));
    let mut names = Vec::new();
    for (name, kind) in [("AccountId", "crm_account"), ("ContactId", "crm_contact")] {
        names.extend(owned(name)?.map(|id| (kind, id)));
    }
    let change = Change {
        created: head.created(),
        stage: owned("StageName")?,
        amount: text(fields, "Amount")?.map(|amount| plain_decimal(&amount)),
        currency: owned("CurrencyIsoCode")?,
        close_ms: text(fields, "CloseDate")?.map(|date| closing(&date, head.time_ms, records)).transpose()?,
        gone: head.deleted(),
        names,
        ..Change::default()
    };
    change.write(&records.rules.webhook.settings.salesforce.opportunities, head.id, &head.event_id, head.time_ms, records);
    Ok(())
}

/// A closing date is a day: of the day of the event the closing is the event, of an earlier one it is the day's end, so that what
/// happened on that day came before.
fn closing(date: &str, time_ms: i64, records: &Records<'_>) -> Result<i64, Rejection> {
    const DAY_MS: i64 = 24 * 3_600_000;
    let begin_ms = records.rules.times.read(date, "CloseDate")?;
    let end_ms = begin_ms.saturating_add(DAY_MS - 1);
    Ok(if begin_ms <= time_ms { end_ms.min(time_ms) } else { i64::MAX })
}

/// A campaign reached somebody, or somebody answered it.
fn member(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let status = text(fields, "Status")?;
    if status.is_none() && !head.created() {
        records.nothing();
        return Ok(());
    }
    let mut touch = Record::new(head.event_id.clone(), head.time_ms);
    let mut named = false;
    for (name, kind) in [("ContactId", "crm_contact"), ("LeadId", "crm_lead")] {
        if let Some(id) = text(fields, name)? {
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
        campaign: text(fields, "CampaignId")?.unwrap_or_default(),
        touch_type: status.unwrap_or_default(),
        ..TouchFields::default()
    };
    records.add(touch, Says::Touch(says));
    Ok(())
}

/// A contact has a part in an opportunity.
fn role(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let Some(contact) = text(fields, "ContactId")? else {
        let detail = "the event does not say whose role it is: fetch it, or add ContactId to the channel's enriched fields";
        return Err(incomplete("ContactId", detail));
    };
    if let Some(role) = text(fields, "Role")? {
        let mut identify = Record::new(head.event_id.clone(), head.time_ms);
        identify.name("crm_contact", &contact, records);
        identify.set_trait("role", &role);
        records.add(identify, Says::Identify);
    }
    if let Some(opportunity) = text(fields, "OpportunityId")? {
        let change = Change { names: vec![("crm_contact", contact.into_owned())], ..Change::default() };
        let stages = &records.rules.webhook.settings.salesforce.opportunities;
        change.write(stages, &opportunity, &head.event_id, head.time_ms, records);
    }
    Ok(())
}
