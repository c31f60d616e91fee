//! Salesforce: events of Change Data Capture as JSON, bare (`ChangeEventHeader` beside the fields) or with the wrappers `payload`
//! and `data` of the streaming clients.
//!
//! Field names and meaning:
//! <https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/cdc_event_fields_header.htm>.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::body::{elements, field, millis};
use super::records::{Record, Records};
use super::stages::{Change, Stages, incomplete, plain_decimal};
use crate::decoder::{Decoded, Decoder};
use crate::limits::ELEMENTS_MAX;
use crate::scalar::{Scalar, json_rejection};
use crate::traits::RawTraits;
use crate::{content, reason};

/// What Salesforce's stages mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SalesforceSettings {
    /// Statuses of leads.
    pub leads: Stages,
    /// Stages of opportunities.
    pub opportunities: Stages,
}

impl Default for SalesforceSettings {
    fn default() -> Self {
        Self {
            leads: Stages::of("lead", [("Working - Contacted", "mql"), ("Closed - Converted", "sal")]),
            opportunities: Stages::of(
                "opportunity",
                [
                    ("Prospecting", "opportunity"),
                    ("Qualification", "opportunity"),
                    ("Needs Analysis", "evaluation"),
                    ("Value Proposition", "evaluation"),
                    ("Id. Decision Makers", "evaluation"),
                    ("Perception Analysis", "evaluation"),
                    ("Proposal/Price Quote", "proposal"),
                    ("Negotiation/Review", "negotiation"),
                    ("Closed Won", "closed_won"),
                    ("Closed Lost", "closed_lost"),
                ],
            ),
        }
    }
}

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
pub(super) fn decode(decoder: &Decoder, json: &str, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let single = !json.starts_with('[');
    for (index, element) in (0u32..).zip(elements(json)?) {
        let place = if single { "body".to_owned() } else { format!("body[{index}]") };
        let mut records = Records::new(decoder, received_ms, out, index, place);
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

/// What an event says of each of its records.
struct Head<'a> {
    event_id: String,
    time_ms: i64,
    id: &'a str,
    change: &'a str,
}

impl Head<'_> {
    fn created(&self) -> bool {
        matches!(self.change, "CREATE" | "UNDELETE")
    }

    fn deleted(&self) -> bool {
        self.change == "DELETE"
    }
}

fn record(entity: &str, head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    match entity {
        "Contact" | "Lead" if !head.deleted() => person(entity, head, fields, records),
        "Account" if !head.deleted() => account(head, fields, records),
        "Opportunity" => opportunity(head, fields, records),
        "CampaignMember" if !head.deleted() => member(head, fields, records),
        "OpportunityContactRole" if !head.deleted() => role(head, fields, records),
        // The deletion of a contact is no erasure; other objects are none of ours.
        _ => {
            records.nothing();
            Ok(())
        }
    }
}

/// The text of a field; `None` where it did not change.
fn text<'a>(fields: &RawTraits<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    fields.get(name).map(|raw| field(raw, name)).transpose().map(Option::flatten)
}

/// Fields of a person or an account that are identifiers.
const NAMES: [(&str, &str); 5] =
    [("Email", "email"), ("Phone", "phone"), ("MobilePhone", "phone"), ("AccountId", "crm_account"), ("Website", "domain")];
/// Fields that are traits, with the trait's name.
const TRAITS: [(&str, &str); 6] = [
    ("Company", "company"),
    ("Title", "title"),
    ("Department", "department"),
    ("Industry", "industry"),
    ("LeadSource", "lead_source"),
    ("Name", "name"),
];

fn describe(record: &mut Record, fields: &RawTraits<'_>, of_account: bool, records: &mut Records<'_>) -> Result<(), Rejection> {
    for (name, kind) in NAMES {
        // A lead's web site is no account of the CRM, and an account has no address of its own.
        if of_account == (kind == "domain")
            && let Some(text) = text(fields, name)?
        {
            record.name(kind, &text, records);
        }
    }
    for (name, called) in TRAITS {
        match fields.get(name) {
            // A person's name has parts.
            Some(raw) if raw.get().starts_with('{') => {
                let parts: RawTraits<'_> = serde_json::from_str(raw.get()).map_err(|error| json_rejection(&error))?;
                for (part, called) in [("FirstName", "first_name"), ("LastName", "last_name")] {
                    text(&parts, part)?.iter().for_each(|text| record.set_trait(called, text));
                }
            }
            Some(raw) => field(raw, name)?.iter().for_each(|text| record.set_trait(called, text)),
            None => {}
        }
    }
    Ok(())
}

fn person(entity: &str, head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let kind = if entity == "Lead" { "crm_lead" } else { "crm_contact" };
    let mut identify = Record::new("identify", head.event_id.clone(), head.time_ms);
    identify.name(kind, head.id, records);
    describe(&mut identify, fields, false, records)?;
    records.add(&identify);
    if let Some(master) = text(fields, "MasterRecordId")? {
        link(head, kind, &[(kind, &master)], "merged", records);
    }
    if entity != "Lead" {
        return Ok(());
    }
    let stages = &records.decoder.webhook.salesforce.leads;
    let stage = text(fields, "Status")?.map(Cow::into_owned);
    let change = Change { created: head.created(), stage, subject: Some((kind, head.id.to_owned())), ..Change::default() };
    if change.created || change.stage.is_some() {
        change.write(stages, head.id, &head.event_id, head.time_ms, records);
    }
    converted(head, fields, records)
}

/// A lead became a contact of an account, and perhaps an opportunity.
fn converted(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let (contact, account) = (text(fields, "ConvertedContactId")?, text(fields, "ConvertedAccountId")?);
    let named = [("crm_contact", contact), ("crm_account", account)];
    let named: Vec<(&'static str, &str)> = named.iter().filter_map(|(kind, id)| Some((*kind, id.as_deref()?))).collect();
    if named.iter().any(|(kind, _)| *kind == "crm_contact") {
        link(head, "crm_lead", &named, "converted", records);
    } else if !named.is_empty() {
        // Who has no contact belongs to the account all the same.
        let mut identify = Record::new("identify", format!("{}:converted", head.event_id), head.time_ms);
        identify.name("crm_lead", head.id, records);
        named.iter().for_each(|(kind, id)| identify.name(kind, id, records));
        records.add(&identify);
    }
    if let Some(opportunity) = text(fields, "ConvertedOpportunityId")?.filter(|_| !named.is_empty()) {
        let names = named.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect();
        let change = Change { names, ..Change::default() };
        let stages = &records.decoder.webhook.salesforce.opportunities;
        change.write(stages, &opportunity, &format!("{}:{opportunity}", head.event_id), head.time_ms, records);
    }
    Ok(())
}

fn link(head: &Head<'_>, kind: &'static str, to: &[(&'static str, &str)], how: &str, records: &mut Records<'_>) {
    let mut link = Record::new("link", format!("{}:{how}", head.event_id), head.time_ms);
    link.name(kind, head.id, records);
    to.iter().for_each(|(kind, id)| link.name(kind, id, records));
    records.add(&link);
}

fn account(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let mut account = Record::new("account", head.event_id.clone(), head.time_ms);
    account.name("crm_account", head.id, records);
    describe(&mut account, fields, true, records)?;
    records.add(&account);
    if let Some(master) = text(fields, "MasterRecordId")? {
        link(head, "crm_account", &[("crm_account", &master)], "merged", records);
    }
    Ok(())
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
    change.write(&records.decoder.webhook.salesforce.opportunities, head.id, &head.event_id, head.time_ms, records);
    Ok(())
}

/// A closing date is a day: of the day of the event the closing is the event, of an earlier one it is the day's end, so that what
/// happened on that day came before.
fn closing(date: &str, time_ms: i64, records: &Records<'_>) -> Result<i64, Rejection> {
    const DAY_MS: i64 = 24 * 3_600_000;
    let begin_ms = records.decoder.times.read(date, "CloseDate")?;
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
    let mut touch = Record::new("touch", head.event_id.clone(), head.time_ms);
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
    touch.set("source", "salesforce");
    touch.set("medium", "campaign_member");
    touch.set("campaign", text(fields, "CampaignId")?.unwrap_or_default());
    touch.set("touch_type", status.unwrap_or_default());
    records.add(&touch);
    Ok(())
}

/// A contact has a part in an opportunity.
fn role(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let Some(contact) = text(fields, "ContactId")? else {
        let detail = "the event does not say whose role it is: fetch it, or add ContactId to the channel's enriched fields";
        return Err(incomplete("ContactId", detail));
    };
    if let Some(role) = text(fields, "Role")? {
        let mut identify = Record::new("identify", head.event_id.clone(), head.time_ms);
        identify.name("crm_contact", &contact, records);
        identify.set_trait("role", &role);
        records.add(&identify);
    }
    if let Some(opportunity) = text(fields, "OpportunityId")? {
        let change = Change { names: vec![("crm_contact", contact.into_owned())], ..Change::default() };
        let stages = &records.decoder.webhook.salesforce.opportunities;
        change.write(stages, &opportunity, &head.event_id, head.time_ms, records);
    }
    Ok(())
}
