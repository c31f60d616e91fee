//! HubSpot: a JSON array of notices, each of one change, in the classic form (`deal.propertyChange`) and the generic one
//! (`object.propertyChange` with `objectTypeId`).
//!
//! Field names and meaning: <https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide>.

mod association;
mod notice;

use serde_json::value::RawValue;
use tributary_proto::Identifier;
use tributary_runtime::stage::Rejection;

use association::{activity_id, association};
use notice::Notice;

use super::body::{self, elements, field, millis};
use super::records::{CrmRecord, Records};
use super::stages::{Change, incomplete};
use crate::decoded::Decoded;
use crate::milestone::Given;
use crate::native::statement::Says;
use crate::reason;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};

/// The property of a company with its parent company.
const PARENT: &str = "hs_parent_company_id";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    Contact,
    Company,
    Deal,
    /// An activity with a contact: a call, a meeting, an email, a note.
    Activity(&'static str),
    Other,
}

impl Object {
    /// From a name (`contact`, `CONTACT`) or a type id.
    fn read(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "contact" | "0-1" => Self::Contact,
            "company" | "0-2" => Self::Company,
            "deal" | "0-3" => Self::Deal,
            "call" | "0-48" => Self::Activity("call"),
            "meeting" | "meeting_event" | "0-47" => Self::Activity("meeting"),
            "email" | "0-49" => Self::Activity("email"),
            "note" | "0-46" => Self::Activity("note"),
            _ => Self::Other,
        }
    }
}

/// Decodes an array of notifications. They are independent: each is accepted or refused alone.
///
/// # Errors
/// When the body is not an array of at most [`crate::limits::ELEMENTS_MAX`] notifications.
pub(super) fn decode(rules: &Rules, raw: &RawValue, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    for (index, element) in (0u32..).zip(elements(&body::json(raw)?)?) {
        let mut records = Records::new(rules, receipt, out, index, format!("body[{index}]"));
        let read = serde_json::from_str(element.get()).map_err(|error| json_rejection(&error));
        let result = read.and_then(|notice| notice_of(notice, &mut records));
        records.end(result);
    }
    Ok(())
}

/// Fields that all notifications have.
struct Head {
    event_id: String,
    portal: String,
    time_ms: i64,
    object_id: String,
}

fn notice_of(mut notice: Notice<'_>, records: &mut Records<'_>) -> Result<(), Rejection> {
    let take = |value: &mut Scalar<'_>, name| {
        std::mem::take(value).text(name).map(|text| text.map(std::borrow::Cow::into_owned).unwrap_or_default())
    };
    let kind = take(&mut notice.subscription_type, "subscriptionType")?;
    let Some((object, what)) = kind.split_once('.') else {
        let detail = "a notification says what happened to what: contact.creation, deal.propertyChange, ...";
        return Err(Rejection::new(reason::FIELD_MISSING, "subscriptionType", detail));
    };
    let object = match object {
        "object" => Object::read(&take(&mut notice.object_type_id, "objectTypeId")?),
        named => Object::read(named),
    };
    let time_ms = millis(std::mem::take(&mut notice.occurred_at), "occurredAt")?;
    let object_id = take(&mut notice.object_id, "objectId")?;
    // HubSpot does not guarantee unique event ids; together with the object and the time they are. A retry repeats all of them.
    let portal = records.read(take(&mut notice.portal_id, "portalId")).unwrap_or_default();
    let event_id = records.read(take(&mut notice.event_id, "eventId")).unwrap_or_default();
    let event_id = [&*portal, &*event_id].join(":");
    let about = if object_id.is_empty() { take(&mut notice.from_object_id, "fromObjectId")? } else { object_id.clone() };
    notice.from_object_id = Scalar::Text(about.clone().into());
    let event_id = format!("hubspot:{event_id}:{kind}:{about}:{time_ms}");
    told(object, what, notice, Head { event_id, portal, time_ms, object_id }, records)
}

/// Handles one notification by its object and event.
fn told(object: Object, what: &str, notice: Notice<'_>, head: Head, records: &mut Records<'_>) -> Result<(), Rejection> {
    match (object, what) {
        (_, "associationChange") => return association(notice, &head, records),
        (_, "merge") => return merge(object, notice, &head, records),
        _ => {}
    }
    if head.object_id.is_empty() {
        return Err(Rejection::new(reason::FIELD_MISSING, "objectId", "the notification does not say what it is about"));
    }
    match (object, what) {
        (Object::Contact | Object::Company, "creation" | "restore") => {
            identity(object, &head, records, |_, _| ());
            let ladder = records.rules.webhook.settings.hubspot.of_contacts();
            if object == Object::Contact && !ladder.stages.created.is_empty() {
                let subject = Some(("crm_contact", head.object_id.clone()));
                let change = Change { created: true, subject, ..Change::default() };
                change.write(ladder, &head.object_id, &head.event_id, head.time_ms, records);
            }
        }
        (Object::Company, "deletion") => {
            let mut gone = CrmRecord::new(head.event_id, head.time_ms);
            gone.name("crm_account", &head.object_id, records);
            records.add(gone, Says::AccountGone);
        }
        (Object::Deal, "creation") => deal(Change { created: true, ..Change::default() }, &head, records),
        (Object::Deal, "deletion") => deal(Change { gone: true, ..Change::default() }, &head, records),
        (Object::Activity(kind), "deletion") => {
            let id = activity_id(&head.portal, kind, &head.object_id);
            records.add(CrmRecord::new(head.event_id, head.time_ms), Says::RecordDeleted { id });
        }
        (Object::Activity(_), "restore") => {
            let detail = "the activity is back, and the notification does not say with whom it was: send it as a native record";
            return Err(incomplete("subscriptionType", detail));
        }
        (Object::Deal, "restore") => {
            return Err(incomplete(
                "subscriptionType",
                "the deal is back, and the notification does not say at which stage: fetch it",
            ));
        }
        (_, "propertyChange") => return property(object, notice, &head, records),
        (Object::Contact, "privacyDeletion") => {
            let mut erase = CrmRecord::new(head.event_id, head.time_ms);
            erase.name("crm_contact", &head.object_id, records);
            records.add(erase, Says::Erase { person: true });
        }
        // The deletion of a contact is not an erasure; other objects are not used.
        _ => records.nothing(),
    }
    Ok(())
}

fn deal(change: Change, head: &Head, records: &mut Records<'_>) {
    change.write(records.rules.webhook.settings.hubspot.of_deals(), &head.object_id, &head.event_id, head.time_ms, records);
}

/// States that a contact or a company exists, with the fields that `add` adds.
fn identity(object: Object, head: &Head, records: &mut Records<'_>, add: impl FnOnce(&mut CrmRecord, &mut Records<'_>)) {
    let (says, name) = if object == Object::Contact {
        (Says::Identify, "crm_contact")
    } else {
        (Says::Account(Given::Nothing), "crm_account")
    };
    let mut record = CrmRecord::new(head.event_id.clone(), head.time_ms);
    record.name(name, &head.object_id, records);
    add(&mut record, records);
    records.add(record, says);
}

fn property(object: Object, notice: Notice<'_>, head: &Head, records: &mut Records<'_>) -> Result<(), Rejection> {
    let Some(name) = notice.property_name.text("propertyName")? else {
        return Err(Rejection::new(
            reason::FIELD_MISSING,
            "propertyName",
            "the notification does not say which property changed",
        ));
    };
    let value = notice.property_value.get("propertyValue")?;
    let value = value.map(|raw| field(raw, "propertyValue")).transpose()?.flatten().unwrap_or_default();
    let clears = match object {
        Object::Deal => matches!(&*name, "amount" | "deal_currency_code" | "closedate"),
        Object::Company => &*name == PARENT,
        _ => false,
    };
    if value.is_empty() && !clears {
        records.nothing();
        return Ok(());
    }
    let given = if value.is_empty() { Given::Cleared } else { Given::Is(value.to_string()) };
    match (object, &*name) {
        (Object::Deal, "dealstage") => deal(Change { stage: Some(value.into_owned()), ..Change::default() }, head, records),
        (Object::Deal, "amount") => deal(Change { amount: given, ..Change::default() }, head, records),
        (Object::Deal, "deal_currency_code") => deal(Change { currency: given, ..Change::default() }, head, records),
        (Object::Deal, "closedate") => {
            let close_ms = match given {
                Given::Is(text) => match millis(Scalar::Text(text.as_str().into()), "propertyValue") {
                    Ok(close_ms) => Given::Is(close_ms),
                    Err(_) => Given::Is(records.rules.times.read(&text, "propertyValue")?),
                },
                Given::Nothing | Given::Cleared => Given::Cleared,
            };
            deal(Change { close_ms, ..Change::default() }, head, records);
        }
        (Object::Contact, "lifecyclestage") => {
            let subject = Some(("crm_contact", head.object_id.clone()));
            let change = Change { stage: Some(value.into_owned()), subject, ..Change::default() };
            let ladder = records.rules.webhook.settings.hubspot.of_contacts();
            change.write(ladder, &head.object_id, &head.event_id, head.time_ms, records);
        }
        (Object::Company, PARENT) => {
            let above = match given {
                Given::Is(id) => Given::of(records.account("propertyValue", &id)),
                _ => Given::Cleared,
            };
            parent(&head.object_id, above, head.event_id.clone(), head, records);
        }
        (Object::Contact | Object::Company, name) => identity(object, head, records, |record, records| match (object, name) {
            (Object::Contact, "email") => record.name("email", &value, records),
            (Object::Contact, "phone" | "mobilephone") => record.name("phone", &value, records),
            (Object::Company, "domain") => record.name("domain", &value, records),
            // The property may have several values; the first counts. It is the person's role in general; the role in a deal comes from the
            // label of the association.
            (Object::Contact, "hs_buying_role") => record.set_trait("role", value.split(';').next().unwrap_or_default().trim()),
            _ => record.set_trait(name, &value),
        }),
        _ => records.nothing(),
    }
    Ok(())
}

/// States the parent of a company, or that there is none.
fn parent(company: &str, above: Given<Identifier>, event_id: String, head: &Head, records: &mut Records<'_>) {
    if above == Given::Nothing {
        return records.nothing();
    }
    let mut record = CrmRecord::new(event_id, head.time_ms);
    record.name("crm_account", company, records);
    records.add(record, Says::Account(above));
}

/// Objects were merged: contacts or companies are linked, and of deals all but one end.
fn merge(object: Object, notice: Notice<'_>, head: &Head, records: &mut Records<'_>) -> Result<(), Rejection> {
    let text = |value: Scalar<'_>, name| value.text(name).map(|text| text.map(std::borrow::Cow::into_owned));
    let primary = text(notice.primary_object_id, "primaryObjectId")?;
    let new = text(notice.new_object_id, "newObjectId")?;
    let mut merged = Vec::new();
    for id in notice.merged_object_ids.get("mergedObjectIds")?.into_iter().flatten() {
        merged.extend(records.read(text(id, "mergedObjectIds")).flatten());
    }
    let stays = new.or(primary.clone());
    let Some(stays) = stays.filter(|_| !merged.is_empty()) else {
        return Err(Rejection::new(reason::FIELD_MISSING, "mergedObjectIds", "the notification does not say what was merged"));
    };
    let renamed = primary.filter(|primary| *primary != stays);
    merged.extend(renamed.clone());
    merged.retain(|id| *id != stays);
    let event_id = format!("{}:{stays}", head.event_id);
    match object {
        Object::Contact | Object::Company => {
            let name = if object == Object::Contact { "crm_contact" } else { "crm_account" };
            for (at, id) in merged.iter().enumerate() {
                let mut link = CrmRecord::new(format!("{event_id}:{at}"), head.time_ms);
                link.name(name, &stays, records);
                link.name(name, id, records);
                records.add_link(link);
            }
        }
        Object::Deal => {
            for id in &merged {
                let head = Head {
                    event_id: format!("{event_id}:{id}"),
                    portal: head.portal.clone(),
                    time_ms: head.time_ms,
                    object_id: id.clone(),
                };
                deal(Change { gone: true, ..Change::default() }, &head, records);
            }
            if renamed.is_some() {
                return Err(incomplete(
                    "newObjectId",
                    "the merged deal has a new id, and the notification not its stage: fetch it",
                ));
            }
        }
        Object::Activity(_) | Object::Other => records.nothing(),
    }
    Ok(())
}
