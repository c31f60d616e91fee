//! What real senders send, from their payloads to the credit table.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use support::{RECEIVED_MS, Raw, settings};
use tributary_cli::rows::{Row, Rows};
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

fn raw(topic: Topic, record: &Value) -> Raw {
    (topic, record.to_string().into_bytes())
}

/// A page view with a campaign, by a visitor who leaves an address.
fn visit(cookie: &str, email: &str, campaign: &str, day: u32) -> [Raw; 2] {
    let timestamp = format!("2022-04-{day:02}T10:00:00Z");
    let url = format!("https://www.a-corp.example/?utm_source=baidu&utm_medium=cpc&utm_campaign={campaign}");
    let head = |kind: &str| json!({"type": kind, "messageId": format!("{kind}-{cookie}"), "anonymousId": cookie, "timestamp": timestamp});
    let (mut page, mut identify) = (head("page"), head("identify"));
    page["context"] = json!({"page": {"url": url}});
    identify["traits"] = json!({"email": email});
    [raw(Topic::Sdk, &page), raw(Topic::Sdk, &identify)]
}

/// A push of HubSpot's, as the collector passes it on.
fn hubspot(notices: Value) -> Raw {
    raw(
        Topic::Webhook,
        &json!({"provider": "hubspot", "received_at": "2022-04-21T12:00:00Z", "headers": {}, "body": notices.to_string()}),
    )
}

fn notice(id: u64, kind: &str, minute: i64, more: Value) -> Value {
    let mut notice = json!({"eventId": id, "subscriptionId": 11, "portalId": 62515, "appId": 54321, "attemptNumber": 0,
        "occurredAt": 1_650_535_200_000_i64 + minute * 60_000, "subscriptionType": kind});
    notice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    notice
}

/// The touches that have credit for milestones of a kind, by the model `linear`.
fn credited(records: &[Raw], settings: &Settings, kind: &str) -> BTreeSet<String> {
    let mut replay = Replay::new(settings, 3).unwrap_or_else(|problems| panic!("{problems:?}"));
    for (topic, record) in records {
        replay.append(*topic, RECEIVED_MS, record);
    }
    let results = replay.finish().unwrap();
    let rows = results.table().rows().filter(|row| row.milestone_kind == kind && row.model == "linear");
    rows.map(|row| row.touch_id.to_owned()).collect()
}

#[test]
fn contacts_that_hubspot_merges_share_the_credit_of_their_deal() {
    let mut records = Vec::new();
    records.extend(visit("c1", "li@a-corp.example", "first", 1));
    records.extend(visit("c2", "li.wei@qq.com", "second", 2));
    let email = |contact: u64, email: &str| json!({"objectId": contact, "propertyName": "email", "propertyValue": email});
    records.push(hubspot(json!([
        notice(1, "contact.propertyChange", 0, email(501, "li@a-corp.example")),
        notice(2, "contact.propertyChange", 1, email(502, "li.wei@qq.com")),
    ])));
    let joined = json!({"associationType": "DEAL_TO_CONTACT", "fromObjectId": 301, "toObjectId": 501, "associationRemoved": false,
        "isPrimaryAssociation": false});
    records.push(hubspot(json!([
        notice(3, "deal.creation", 2, json!({"objectId": 301})),
        notice(4, "deal.associationChange", 3, joined),
        notice(
            5,
            "deal.propertyChange",
            4,
            json!({"objectId": 301, "propertyName": "dealstage", "propertyValue": "closedwon"})
        ),
    ])));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned()]));

    let merge = json!({"primaryObjectId": 501, "mergedObjectIds": [502], "newObjectId": 501, "numberOfPropertiesMoved": 1});
    records.push(hubspot(json!([notice(6, "contact.merge", 5, merge)])));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned(), "page-c2".to_owned()]));
}

#[test]
fn a_conversion_of_google_ads_finds_the_click_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("conversions.csv");
    let header = "Google Click ID,Conversion Name,Conversion Time,Conversion Value,Conversion Currency";
    fs::write(&file, format!("{header}\nCj0K,opportunity,2022-04-13 14:00:00+08:00,5,CNY\n")).unwrap();
    let landing = json!({"event_id": "landing", "timestamp": "2022-04-12T08:00:00Z", "anonymous_id": "c1",
        "url": "https://www.a-corp.example/?utm_campaign=spring&gclid=Cj0K"});

    let credit = |kinds: &[&str]| {
        let mut settings = settings();
        settings.kinds.identifiers = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let decoder = tributary_ingest::Decoder::new(&settings.ingest, &settings.kinds.kinds()).unwrap();
        let mut records = vec![raw(Topic::Utm, &landing)];
        let mut add = |row: Row| {
            records.extend(row.map(|(_, text)| (Topic::Offline, text.into_bytes())).ok());
            Ok(())
        };
        Rows::open(&file, &decoder).unwrap().each(&mut add).unwrap();
        credited(&records, &settings, "opportunity")
    };
    assert_eq!(credit(&["gclid"]), BTreeSet::from(["landing".to_owned()]));
    assert_eq!(credit(&[]), BTreeSet::new());
}

/// A push of Salesforce's, as the collector passes it on.
fn salesforce(events: &[Value]) -> Raw {
    raw(Topic::Webhook, &json!({"provider": "salesforce", "received_at": "2022-04-21T12:00:00Z", "body": events}))
}

/// An event of Change Data Capture, `day` of April 2022.
fn change(entity: &str, id: &str, kind: &str, transaction: &str, day: i64, fields: Value) -> Value {
    let mut event = json!({"ChangeEventHeader": {"entityName": entity, "recordIds": [id], "changeType": kind,
        "transactionKey": transaction, "sequenceNumber": 1, "commitTimestamp": 1_648_771_200_000_i64 + day * 86_400_000}});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

/// Short ids have no checksum and long ones have: a report exports the former, change events have the latter.
#[test]
fn a_salesforce_record_is_one_by_either_form_of_its_id() {
    let mut records: Vec<Raw> = visit("c1", "li@a-corp.example", "first", 1).into();
    records.push(salesforce(&[
        change(
            "Contact",
            "003800000000002",
            "CREATE",
            "a",
            2,
            json!({"Email": "li@a-corp.example", "AccountId": "0018000000AbcD1"}),
        ),
        change(
            "Opportunity",
            "006800000000003AAA",
            "CREATE",
            "b",
            3,
            json!({"StageName": "Prospecting", "AccountId": "0018000000AbcD1AAJ"}),
        ),
    ]));
    let won = json!({"kind": "milestone", "milestone": "closed_won", "object_id": "006800000000003", "timestamp": "2022-04-05T08:00:00Z",
        "account": "0018000000abcd1aaj"});
    records.push(raw(Topic::Offline, &won));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned()]));
}

/// A merge is the deletion of the loser and the update of the winner, in one transaction.
#[test]
fn contacts_that_salesforce_merges_share_the_credit_of_their_deal() {
    let mut records = Vec::new();
    records.extend(visit("c1", "li@a-corp.example", "first", 1));
    records.extend(visit("c2", "li.wei@qq.com", "second", 2));
    records.push(salesforce(&[
        change("Contact", "003LOSE", "CREATE", "a", 3, json!({"Email": "li.wei@qq.com"})),
        change("Contact", "003WIN", "CREATE", "b", 3, json!({"Email": "li@a-corp.example"})),
        change("Opportunity", "006A", "CREATE", "c", 4, json!({"StageName": "Closed Won", "ContactId": "003WIN"})),
    ]));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned()]));

    records.push(salesforce(&[
        change("Contact", "003LOSE", "DELETE", "m", 5, json!({})),
        change("Contact", "003WIN", "UPDATE", "m", 5, json!({"Title": "CTO"})),
    ]));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned(), "page-c2".to_owned()]));
}

#[test]
fn what_belonged_to_a_merged_account_belongs_to_the_other() {
    let mut records = Vec::new();
    records.extend(visit("c1", "li@b-corp.example", "first", 1));
    records.extend(visit("c2", "wang@b-corp.example", "second", 2));
    records.push(salesforce(&[
        change("Account", "001LOSE", "CREATE", "a", 2, json!({"Website": "b-corp.example"})),
        change("Account", "001WIN", "CREATE", "b", 3, json!({"Website": "www.b-corp.example"})),
        change("Contact", "003A", "CREATE", "c", 4, json!({"Email": "li@b-corp.example", "AccountId": "001LOSE"})),
        change("Opportunity", "006A", "CREATE", "d", 5, json!({"StageName": "Prospecting", "AccountId": "001LOSE"})),
    ]));
    records.push(salesforce(&[
        change("Account", "001LOSE", "DELETE", "m", 6, json!({})),
        change("Contact", "003A", "UPDATE", "m", 6, json!({"AccountId": "001WIN"})),
        change("Opportunity", "006A", "UPDATE", "m", 6, json!({"AccountId": "001WIN"})),
    ]));
    records.push(salesforce(&[change("Opportunity", "006A", "UPDATE", "n", 7, json!({"StageName": "Closed Won"}))]));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned(), "page-c2".to_owned()]));
}

/// Pipelines of one's own have stages of one's own, and whoever has won does not lose the deal for one that no rule names.
#[test]
fn a_stage_without_a_rule_takes_nothing_back() {
    let mut records: Vec<Raw> = visit("c1", "li@a-corp.example", "first", 1).into();
    let stage = |stage: &str| json!({"objectId": 9, "propertyName": "dealstage", "propertyValue": stage});
    let contact = json!({"objectId": 1, "propertyName": "email", "propertyValue": "li@a-corp.example"});
    let joined = json!({"associationType": "DEAL_TO_CONTACT", "fromObjectId": 9, "toObjectId": 1, "associationRemoved": false});
    records.push(hubspot(json!([
        notice(1, "contact.propertyChange", 0, contact),
        notice(2, "deal.associationChange", 1, joined),
        notice(3, "deal.propertyChange", 2, stage("closedwon")),
        notice(4, "deal.propertyChange", 3, stage("184736251")),
    ])));
    assert_eq!(credited(&records, &settings(), "closed_won"), BTreeSet::from(["page-c1".to_owned()]));
}

/// A server that changes the ids of its users reports it by an alias. From a page it has no effect, because anybody could send it.
#[test]
fn an_alias_of_a_server_joins_the_old_user_id_to_the_new_one() {
    let message = |kind: &str, id: &str, day: u32, more: Value| {
        let mut message = json!({"type": kind, "messageId": id, "timestamp": format!("2026-01-{day:02}T00:00:00Z"), "receivedAt": "2026-01-02T01:00:00Z"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let url = "https://www.a-corp.example/?utm_source=baidu&utm_medium=cpc";
    let page = message("page", "1", 1, json!({"anonymousId": "a1", "userId": "old-7", "context": {"page": {"url": url}}}));
    let mut alias = message("alias", "2", 2, json!({"userId": "new-7", "previousId": "old-7"}));
    let lead = json!({"kind": "milestone", "milestone": "lead", "object_id": "7", "timestamp": "2026-01-03T00:00:00Z", "user_id": "new-7"});
    let touches = |alias: &Value| {
        let records = [raw(Topic::Sdk, &page), raw(Topic::Sdk, alias), raw(Topic::Offline, &lead)];
        credited(&records, &settings(), "lead")
    };
    assert_eq!(touches(&alias), BTreeSet::from(["1".to_owned()]));
    alias["_trust"] = json!("public");
    assert_eq!(touches(&alias), BTreeSet::from(["unattributed".to_owned()]));
}
