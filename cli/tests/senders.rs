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
    records.extend(visit("c2", "li.wei@b-corp.example", "second", 2));
    let email = |contact: u64, email: &str| json!({"objectId": contact, "propertyName": "email", "propertyValue": email});
    records.push(hubspot(json!([
        notice(1, "contact.propertyChange", 0, email(501, "li@a-corp.example")),
        notice(2, "contact.propertyChange", 1, email(502, "li.wei@b-corp.example")),
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
        settings.ingest.identifier_kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        settings.identity.custom_kinds.clone_from(&settings.ingest.identifier_kinds);
        let decoder = tributary_ingest::Decoder::new(&settings.ingest).unwrap();
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
