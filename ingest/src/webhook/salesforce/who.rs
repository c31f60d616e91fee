//! Leads, contacts and accounts: their identifiers, and conversions.

use std::borrow::Cow;

use super::super::records::{CrmRecord, Records};
use super::super::stages::Change;
use super::head::{Head, text};
use crate::native::statement::Says;
use crate::scalar::json_rejection;
use crate::traits::RawTraits;

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

fn describe(record: &mut CrmRecord, fields: &RawTraits<'_>, of_account: bool, records: &mut Records<'_>) {
    for (name, kind) in NAMES {
        // A lead's web site is not an account of the CRM, and an account has no email address.
        if of_account == (kind == "domain")
            && let Some(text) = text(fields, name, records)
        {
            record.name(kind, &text, records);
        }
    }
    for (name, called) in TRAITS {
        match fields.get(name) {
            // A person's name is an object of several parts.
            Some(raw) if raw.get().starts_with('{') => {
                let parts = serde_json::from_str(raw.get()).map_err(|error| json_rejection(&error));
                let parts: RawTraits<'_> = records.read(parts).unwrap_or_default();
                for (part, called) in [("FirstName", "first_name"), ("LastName", "last_name")] {
                    text(&parts, part, records).iter().for_each(|text| record.set_trait(called, text));
                }
            }
            _ => text(fields, name, records).iter().for_each(|text| record.set_trait(called, text)),
        }
    }
}

pub(super) fn person(entity: &str, head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) {
    let kind = if entity == "Lead" { "crm_lead" } else { "crm_contact" };
    let mut identify = CrmRecord::new(head.event_id.clone(), head.time_ms);
    identify.name(kind, head.id, records);
    describe(&mut identify, fields, false, records);
    records.add(identify, Says::Identify);
    if let Some(master) = text(fields, "MasterRecordId", records) {
        link(head, kind, &[(kind, &master)], "merged", records);
    }
    if entity != "Lead" {
        return;
    }
    let ladder = records.rules.webhook.settings.salesforce.of_leads();
    let stage = text(fields, "Status", records).map(Cow::into_owned);
    let change = Change { created: head.created(), stage, subject: Some((kind, head.id.to_owned())), ..Change::default() };
    if change.created || change.stage.is_some() {
        change.write(ladder, head.id, &head.event_id, head.time_ms, records);
    }
    converted(head, fields, records);
}

/// A lead was converted to a contact with an account, and perhaps an opportunity.
fn converted(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) {
    let (contact, account) = (text(fields, "ConvertedContactId", records), text(fields, "ConvertedAccountId", records));
    let named = [("crm_contact", contact), ("crm_account", account)];
    let named: Vec<(&'static str, &str)> = named.iter().filter_map(|(kind, id)| Some((*kind, id.as_deref()?))).collect();
    if named.iter().any(|(kind, _)| *kind == "crm_contact") {
        link(head, "crm_lead", &named, "converted", records);
    } else if !named.is_empty() {
        // A lead converted without a contact still belongs to the account.
        let mut identify = CrmRecord::new(format!("{}:converted", head.event_id), head.time_ms);
        identify.name("crm_lead", head.id, records);
        named.iter().for_each(|(kind, id)| identify.name(kind, id, records));
        records.add(identify, Says::Identify);
    }
    if let Some(opportunity) = text(fields, "ConvertedOpportunityId", records).filter(|_| !named.is_empty()) {
        let names = named.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect();
        let change = Change { names, ..Change::default() };
        let ladder = records.rules.webhook.settings.salesforce.of_opportunities();
        change.write(ladder, &opportunity, &format!("{}:{opportunity}", head.event_id), head.time_ms, records);
    }
}

/// A deleted record was merged into another one.
pub(super) fn merged(entity: &str, head: &Head<'_>, records: &mut Records<'_>) {
    let kind = match entity {
        "Account" => "crm_account",
        "Lead" => "crm_lead",
        _ => "crm_contact",
    };
    if let Some(winner) = head.merged_into {
        link(head, kind, &[(kind, winner)], "merged", records);
    }
}

fn link(head: &Head<'_>, kind: &'static str, to: &[(&'static str, &str)], how: &str, records: &mut Records<'_>) {
    let mut link = CrmRecord::new(format!("{}:{how}", head.event_id), head.time_ms);
    link.name(kind, head.id, records);
    to.iter().for_each(|(kind, id)| link.name(kind, id, records));
    records.add_link(link);
}

pub(super) fn account(head: &Head<'_>, fields: &RawTraits<'_>, records: &mut Records<'_>) {
    let mut account = CrmRecord::new(head.event_id.clone(), head.time_ms);
    account.name("crm_account", head.id, records);
    describe(&mut account, fields, true, records);
    let above = text(fields, "ParentId", records);
    let above = above.and_then(|id| records.account("ParentId", &id));
    let parent = head.given("ParentId", above);
    records.add(account, Says::Account(parent));
    if let Some(master) = text(fields, "MasterRecordId", records) {
        link(head, "crm_account", &[("crm_account", &master)], "merged", records);
    }
}

/// An account was deleted, not merged.
pub(super) fn gone(head: &Head<'_>, records: &mut Records<'_>) {
    let mut gone = CrmRecord::new(head.event_id.clone(), head.time_ms);
    gone.name("crm_account", head.id, records);
    records.add(gone, Says::AccountGone);
}
