//! Associations between contacts, companies, deals, calls and meetings.

use tributary_runtime::stage::Rejection;

use super::notice::Notice;
use super::{Head, Object, deal, identity, parent};
use crate::lenient::Raw;
use crate::milestone::Given;
use crate::native::statement::Says;
use crate::reason;
use crate::scalar::{Scalar, flag};
use crate::traits::RawTraits;
use crate::webhook::activity::touch;
use crate::webhook::body::field;
use crate::webhook::records::{CrmRecord, Records};
use crate::webhook::stages::Change;

/// The types of the plain association of a contact with a deal, from either side; older notifications have none. All others are labels.
const UNLABELLED: [&str; 3] = ["", "3", "4"];

/// Outcomes of calls that every portal has, by id; a portal's own outcomes keep their ids. See
/// <https://developers.hubspot.com/docs/api-reference/crm-calls-v3/guide>.
const DISPOSITIONS: [(&str, &str); 6] = [
    ("9d9162e7-6cf3-4944-bf63-4dff82258764", "busy"),
    ("f240bbac-87c9-4f6e-bf70-924b57d47db7", "connected"),
    ("a4c4c377-d246-4b32-a13b-75a56a4cd0ff", "left live message"),
    ("b2cf5968-551e-4856-9783-52b3da59a7d0", "left voicemail"),
    ("73a0d17f-1163-4015-bdd5-ec830791da20", "no answer"),
    ("17b47fee-58de-441e-a44c-c6300d46f273", "wrong number"),
];

/// A contact took part in an activity, or was removed from it (`None`). Both sides notify, each with its own event id, but the activity is
/// the same.
fn activity_of<'a>(contact: &str, id: String, says: Option<Says<'a>>, head: &Head, records: &mut Records<'a>) {
    let mut record = CrmRecord::new(&id, head.time_ms);
    if says.is_some() {
        record = record.of(id, head.time_ms);
    }
    record.name("crm_contact", contact, records);
    records.add(record, says.unwrap_or(Says::Retract { milestone: "".into(), object_id: "".into() }));
}

/// A contact belongs to a company, or a deal is about a contact or company.
pub(super) fn association(notice: Notice<'_>, head: &Head, records: &mut Records<'_>) -> Result<(), Rejection> {
    let text =
        |value: Scalar<'_>, name| value.text(name).map(|text| text.map(std::borrow::Cow::into_owned).unwrap_or_default());
    let (from, to) = (text(notice.from_object_id, "fromObjectId")?, text(notice.to_object_id, "toObjectId")?);
    let kind = text(notice.association_type, "associationType")?;
    let (from_kind, to_kind) = match kind.split_once("_TO_") {
        Some((from, to)) => (Object::read(from), Object::read(to)),
        None => (
            Object::read(&text(notice.from_object_type_id, "fromObjectTypeId")?),
            Object::read(&text(notice.to_object_type_id, "toObjectTypeId")?),
        ),
    };
    if from.is_empty() || to.is_empty() {
        return Err(Rejection::new(reason::FIELD_MISSING, "toObjectId", "the notification does not say what belongs to what"));
    }
    let removed = flag(notice.association_removed, "associationRemoved")?;
    let label = text(notice.association_type_id, "associationTypeId")?;
    let companies = kind.contains("_COMPANY_TO_") || (from_kind, to_kind) == (Object::Company, Object::Company);
    if let Some((child, above)) = lineage(&kind, &label, (&from, &to)).filter(|_| companies) {
        let above = if removed { Given::Cleared } else { Given::of(records.account("toObjectId", above)) };
        parent(child, above, format!("{}:{to}", head.event_id), head, records);
        return Ok(());
    }
    // A contact can belong to several companies; the primary one is its account.
    let primary = notice.is_primary_association;
    let secondary = !primary.is_null() && !flag(primary, "isPrimaryAssociation")?;
    let event_id = format!("{}:{to}", head.event_id);
    let (from, to) = ((from_kind, from), (to_kind, to));
    let ((one, one_id), (other, other_id)) =
        if from_kind == Object::Deal || to_kind == Object::Contact { (to, from) } else { (from, to) };
    match (one, other) {
        (Object::Contact, Object::Activity(kind)) | (Object::Activity(kind), Object::Contact) => {
            let (contact, activity) = if one == Object::Contact { (one_id, other_id) } else { (other_id, one_id) };
            let says = if removed {
                None
            } else {
                Some(Says::Touch(touch("hubspot", kind, outcome(notice.properties, kind, records))))
            };
            activity_of(&contact, activity_id(&head.portal, kind, &activity), says, head, records);
        }
        (Object::Contact, Object::Deal) => {
            let told = contact_of_deal(&one_id, &other_id, (&label, removed), &event_id, head, records);
            if !removed {
                about("crm_contact", one_id, other_id, event_id, head, records);
            } else if !told {
                records.nothing();
            }
        }
        (Object::Company, Object::Deal) if removed => no_longer_about(&one_id, other_id, event_id, head, records),
        // Somebody who leaves a company did belong to it: what happened before stays there.
        _ if removed => records.nothing(),
        (Object::Contact, Object::Company) if !secondary => {
            let head = Head { event_id, portal: head.portal.clone(), time_ms: head.time_ms, object_id: one_id };
            identity(Object::Contact, &head, records, |record, records| record.name("crm_account", &other_id, records));
        }
        (Object::Company, Object::Deal) => {
            about("crm_account", one_id, other_id, event_id, head, records);
        }
        _ => records.nothing(),
    }
    Ok(())
}

/// The event id of an activity's touch.
pub(super) fn activity_id(portal: &str, kind: &str, id: &str) -> String {
    format!("hubspot:{portal}:{kind}:{id}")
}

/// Of two companies, the child and its parent. Both sides notify, each with its own event id, but state the same.
fn lineage<'a>(kind: &str, label: &str, (from, to): (&'a String, &'a String)) -> Option<(&'a String, &'a String)> {
    match (kind, label) {
        ("PARENT_COMPANY_TO_CHILD_COMPANY", _) | (_, "13") => Some((to, from)),
        ("CHILD_COMPANY_TO_PARENT_COMPANY", _) | (_, "14") => Some((from, to)),
        _ => None,
    }
}

/// The outcome of a call or a meeting, from the activity's properties, which a receiver may have added to the notification.
fn outcome(properties: Raw<'_>, kind: &str, records: &mut Records<'_>) -> String {
    let name = match kind {
        "call" => "hs_call_disposition",
        "meeting" => "hs_meeting_outcome",
        _ => return String::new(),
    };
    let raw = records.read(properties.get("properties")).flatten();
    let wrong = || Rejection::new(reason::VALUE_INVALID, "properties", "expected an object");
    let all = raw.map(|raw| serde_json::from_str::<RawTraits<'_>>(raw.get()).map_err(|_| wrong()));
    let found = all.and_then(|all| records.read(all)).and_then(|all| all.get(name));
    let text = found.and_then(|raw| records.read(field(raw, name))).flatten().unwrap_or_default();
    let known = DISPOSITIONS.iter().find(|(id, _)| text.eq_ignore_ascii_case(id));
    known.map_or_else(|| text.into_owned(), |(_, said)| (*said).to_owned())
}

/// The association of a contact with a deal, and each of its labels, are separate notifications. Returns whether this one was about a
/// contact of a deal.
fn contact_of_deal(
    contact: &str,
    deal_id: &str,
    (label, removed): (&str, bool),
    event_id: &str,
    head: &Head,
    records: &mut Records<'_>,
) -> bool {
    let role = records.rules.webhook.settings.hubspot.association_labels.get(label).cloned();
    if role.is_none() && removed && !UNLABELLED.contains(&label) {
        return false;
    }
    let is_label = role.is_some();
    // Both arrive with the same time, and a contact that loses a label stays in the deal. So the notification with less information counts
    // a millisecond earlier.
    let time_ms = if is_label == removed { head.time_ms.saturating_sub(1).max(0) } else { head.time_ms };
    let mut contacts = CrmRecord::new(format!("{event_id}:contact:{label}"), time_ms);
    let role = role.filter(|_| !removed).unwrap_or_default();
    contacts.contact("crm_contact", contact, (&role, removed && !is_label), records);
    records.add(contacts, Says::Contacts { object_id: deal_id.into() });
    true
}

/// A deal no longer belongs to this company.
fn no_longer_about(company: &str, deal_id: String, event_id: String, head: &Head, records: &mut Records<'_>) {
    let former_account = records.account("fromObjectId", company);
    let head = Head { event_id, portal: head.portal.clone(), time_ms: head.time_ms, object_id: deal_id };
    deal(Change { former_account, ..Change::default() }, &head, records);
}

/// A deal is about this contact or company.
fn about(name: &'static str, id: String, deal_id: String, event_id: String, head: &Head, records: &mut Records<'_>) {
    let head = Head { event_id, portal: head.portal.clone(), time_ms: head.time_ms, object_id: deal_id };
    deal(Change { names: vec![(name, id)], ..Change::default() }, &head, records);
}
