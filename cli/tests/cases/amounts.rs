//! What a deal is worth: amounts and currencies as senders write them, down to the credit table.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tributary_pipeline::settings::Settings;
use tributary_proto::Source;
use tributary_runtime::topic::Topic;

use crate::answer::{decoded, replay, replay_with, text};

fn json_of(name: &str) -> Vec<Value> {
    serde_json::from_str(&text(name)).unwrap()
}

fn pushed(provider: &str, body: &[Value]) -> String {
    json!({"provider": provider, "received_at": "2026-06-01T00:00:00Z", "body": body}).to_string()
}

#[test]
fn a_deal_is_worth_its_amount_in_its_currency() {
    let salesforce = ["04_currency/salesforce.webhook.ndjson", "04_currency/salesforce.offline.ndjson"];
    // An amount that comes without a currency keeps the deal's.
    let found = replay(&salesforce);
    assert_eq!(found.currencies(), BTreeSet::from(["USD"]));
    assert_eq!(found.money("closed_won:006A"), (200_000, "USD"));
    assert_eq!(replay(&["04_currency/hubspot.webhook.ndjson"]).money("closed_won:700"), (5_000_000, "USD"));

    // A currency that comes alone changes it, and leaves the amount.
    let mut change = json_of("04_currency/currency_only.salesforce.json");
    let decoded = decoded(Source::Webhook, &pushed("salesforce", &change));
    let events: Vec<Value> = decoded[0].events.iter().map(tributary_ingest::as_native).collect();
    assert!(
        !events.is_empty() && events.iter().all(|event| event["currency"] == "EUR" && event["value"].is_null()),
        "{events:?}"
    );
    let header = &mut change[0]["payload"]["ChangeEventHeader"];
    header["transactionKey"] = "e".into();
    header["commitTimestamp"] = 1_767_225_603_000_i64.into();
    let found = replay_with(&Settings::default(), &salesforce, &[(Topic::Webhook, &pushed("salesforce", &change))]);
    assert_eq!(found.money("closed_won:006A"), (200_000, "EUR"));
}

#[test]
fn doubles_of_orders_are_rounded_and_exponents_read() {
    let mut settings = Settings::default();
    settings.ingest.milestone_events.insert("Order Completed".into(), "closed_won".into());
    let found = replay_with(&settings, &["07_amounts/orders.sdk.ndjson"], &[]);
    assert_eq!(found.dead_letters(), 0);
    assert_eq!(found.money("closed_won:o1"), (2_999, "USD"));
    assert_eq!(found.money("closed_won:o2"), (1_200_000_000, "USD"));
}

#[test]
fn doubles_of_crms_are_rounded_halves_up_and_what_is_below_zero_is_none() {
    let notice = |id: u64, kind: &str, more: Value| {
        let mut notice =
            json!({"eventId": id, "portalId": 62515, "occurredAt": 1_767_225_601_000_i64, "subscriptionType": kind});
        notice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        notice
    };
    let header = json!({"entityName": "Opportunity", "recordIds": ["006A"], "changeType": "UPDATE", "transactionKey": "won",
        "sequenceNumber": 1, "commitTimestamp": 1_767_225_601_000_i64});
    let joined =
        json!({"associationType": "DEAL_TO_CONTACT", "fromObjectId": 702, "toObjectId": 1, "associationRemoved": false});
    let won = |provider: &str| match provider {
        "hubspot" => vec![
            notice(2, "deal.associationChange", joined.clone()),
            notice(
                3,
                "deal.propertyChange",
                json!({"objectId": 702, "propertyName": "dealstage", "propertyValue": "closedwon"}),
            ),
        ],
        _ => vec![
            json!({"schema": "x", "payload": {"ChangeEventHeader": header, "StageName": "Closed Won", "AccountId": "001A"}}),
        ],
    };
    let cases = [
        ("hubspot", "closed_won:702", "07_amounts/amount.hubspot.json", vec![3_333_333]),
        (
            "salesforce",
            "closed_won:006A",
            "07_amounts/amounts.salesforce.json",
            vec![123_457, 30, 0, 1_000_000_000, 1_000_000_000_000, 0, 0],
        ),
    ];
    for (provider, milestone, name, minor) in cases {
        let amounts = json_of(name);
        assert_eq!(amounts.len(), minor.len());
        for (amount, minor) in amounts.into_iter().zip(minor) {
            let record = pushed(provider, &[vec![amount.clone()], won(provider)].concat());
            let found = replay_with(&Settings::default(), &[], &[(Topic::Webhook, &record)]);
            assert_eq!((found.money(milestone), found.dead_letters()), ((minor, "CNY"), 0), "{amount}");
        }
    }
}

#[test]
fn doubles_of_workbooks_are_rounded() {
    let found = replay(&["07_amounts/amounts.xlsx"]);
    let cases =
        [("o2", 330), ("o3", 123_456), ("o4", 2_999), ("o5", 10_000_010), ("o6", 1_234_567_890), ("o7", 10), ("o8", 123_457)];
    for (object, minor) in cases {
        assert_eq!(found.money(&format!("closed_won:{object}")), (minor, "CNY"), "{object}");
    }
    assert_eq!(found.dead_letters(), 0);
}

/// What people write into the cell of an amount, and of its currency.
#[test]
fn amounts_of_tables_are_what_people_mean() {
    let cases = [
        (&["o0", "o16"][..], 123_450, "CNY"),
        (&["o1", "o2", "o3", "o4", "o5", "o6", "o7", "o13", "o14", "o23", "o24"], 30_000_000, "CNY"),
        // A negative amount is zero, as is an empty one.
        (&["o8", "o9", "o18", "o19", "o20"], 0, "CNY"),
        (&["o10"], 1_500, "JPY"),
        (&["o11"], 1_235, "KWD"),
        (&["o12"], 123_450, "EUR"),
        (&["o15"], 50, "CNY"),
        (&["o17"], 30_000_001, "CNY"),
        (&["o21", "o22"], 100_000, "USD"),
        (&["o25"], 30_500_000, "CNY"),
    ];
    let found = replay(&["12_cells/money.csv"]);
    for (objects, minor, currency) in cases {
        for object in objects {
            assert_eq!(found.money(&format!("closed_won:{object}")), (minor, currency), "{object}");
        }
    }
    let told: usize = cases.iter().map(|(objects, ..)| objects.len()).sum();
    assert_eq!((told, found.dead_letters()), (26, 0));
}
