//! Which channels have the credit of a milestone.

use std::collections::BTreeMap;

use serde_json::json;
use tributary_attributor::settings::Contacts;
use tributary_pipeline::settings::Settings;
use tributary_proto::Source;
use tributary_runtime::topic::Topic;

use crate::answer::{WHOLE, decoded, replay, replay_with, text};

/// A visit has one source: later pages of it without a campaign of their own go on with it, whatever the browser calls their referrer.
#[test]
fn a_visit_has_one_source_under_every_model() {
    let cases = [("spa", "paid_search"), ("form", "paid_search"), ("login", "paid_social"), ("no_referrer", "email")];
    for (name, channel) in cases {
        let files = ["sdk", "offline"].map(|topic| format!("02_one_visit/{name}.{topic}.ndjson"));
        let found = replay(&files.each_ref().map(String::as_str));
        for model in ["linear", "last_touch", "first_touch", "lead_conversion"] {
            assert_eq!(found.shares(&format!("lead:{name}"), model), BTreeMap::from([(channel, WHOLE)]), "{name} {model}");
        }
    }
}

/// Under the linear model.
#[test]
fn a_milestone_is_credited_to_what_led_to_it() {
    let whole = |channel| vec![(channel, WHOLE)];
    let cases = [
        // What was won before the contact moved to another account stays won by it, whether or not the move is known.
        (
            "05_contact_moves/moved.webhook.ndjson 05_contact_moves/touches.offline.ndjson",
            "closed_won:006OLD",
            whole("offline_event"),
        ),
        (
            "05_contact_moves/before.webhook.ndjson 05_contact_moves/touches.offline.ndjson",
            "closed_won:006OLD",
            whole("offline_event"),
        ),
        // A stage that no rule names takes nothing back.
        (
            "06_unmapped_stage/hubspot.webhook.ndjson 06_unmapped_stage/hubspot.offline.ndjson",
            "closed_won:9",
            whole("offline_event"),
        ),
        // The last three of eighteen characters of an id are a checksum.
        (
            "09_ids_of_15_and_18/salesforce.webhook.ndjson 09_ids_of_15_and_18/salesforce.offline.ndjson",
            "closed_won:006800000000003AAA",
            whole("offline_event"),
        ),
        (
            "09_ids_of_15_and_18/salesforce.webhook.ndjson 09_ids_of_15_and_18/salesforce.offline.ndjson",
            "opportunity:006800000000003AAA",
            whole("offline_event"),
        ),
        // The contacts and the domain of an account that was merged belong to the other.
        (
            "10_merges/account.webhook.ndjson 10_merges/account.offline.ndjson",
            "closed_won:006A",
            vec![("offline_event", WHOLE / 2), ("paid_search", WHOLE / 2)],
        ),
        // A form's address, and a user id that is one, name the contact.
        (
            "18_email_in_properties/forms.sdk.ndjson 18_email_in_properties/deals.webhook.ndjson",
            "closed_won:006A",
            whole("paid_search"),
        ),
        (
            "18_email_in_properties/forms.sdk.ndjson 18_email_in_properties/deals.webhook.ndjson",
            "closed_won:006B",
            whole("paid_search"),
        ),
        // An alias joins an old user id to the new one.
        ("19_alias/visit.sdk.ndjson 19_alias/lead.offline.ndjson", "lead:7", whole("paid_search")),
    ];
    for (files, milestone, shares) in cases {
        let found = replay(&files.split(' ').collect::<Vec<_>>());
        assert_eq!(found.shares(milestone, "linear"), BTreeMap::from_iter(shares), "{files} {milestone}");
        assert_eq!(found.dead_letters(), 0, "{files}");
    }
}

/// Two accounts of one contact: each has what came while it was theirs.
#[test]
fn a_contact_that_moved_counts_for_the_new_account_from_then_on() {
    let header = json!({"entityName": "Opportunity", "recordIds": ["006NEW"], "changeType": "CREATE", "transactionKey": "n",
        "sequenceNumber": 1, "commitTimestamp": 1_767_225_600_000_i64});
    let deal = json!({"schema": "x", "payload": {"ChangeEventHeader": header, "StageName": "Closed Won", "Amount": 100.0, "AccountId": "001B"}});
    let record = json!({"provider": "salesforce", "received_at": "2026-06-01T00:00:00Z", "body": [deal]}).to_string();
    let files = ["05_contact_moves/moved.webhook.ndjson", "05_contact_moves/touches.offline.ndjson"];
    let found = replay_with(&Settings::default(), &files, &[(Topic::Webhook, &record)]);
    assert_eq!(found.shares("closed_won:006OLD", "linear"), BTreeMap::from([("offline_event", WHOLE)]));
    assert_eq!(found.shares("closed_won:006NEW", "linear"), BTreeMap::from([("paid_search", WHOLE)]));
}

/// A CRM reports a deletion by the record's id alone: the call and the meeting do not count, and nobody has a role, in any order of files.
#[test]
fn deleting_a_record_by_its_id_retracts_its_statements() {
    let [said, deleted, undeleted, fair] = ["said.webhook", "deleted.webhook", "undeleted.webhook", "fair.offline"]
        .map(|name| format!("20_deleted_records/{name}.ndjson"));
    let mut named = Settings::default();
    named.attribution.contacts = Contacts::Named;
    for (settings, files, shares) in [
        (Settings::default(), vec![&said, &fair], vec![("offline_event", WHOLE / 3 + 1), ("sales", WHOLE - WHOLE / 3 - 1)]),
        (Settings::default(), vec![&said, &deleted, &fair], vec![("offline_event", WHOLE)]),
        (Settings::default(), vec![&deleted, &fair, &said], vec![("offline_event", WHOLE)]),
        (
            Settings::default(),
            vec![&undeleted, &deleted, &said, &fair],
            vec![("offline_event", WHOLE / 2), ("sales", WHOLE / 2)],
        ),
        // If the deal names people, only they count; otherwise all do.
        (named.clone(), vec![&said, &fair], vec![("offline_event", WHOLE / 2), ("sales", WHOLE / 2)]),
        (named, vec![&said, &deleted, &undeleted, &fair], vec![("offline_event", WHOLE / 2), ("sales", WHOLE / 2)]),
    ] {
        let found = replay_with(&settings, &files.iter().map(|name| name.as_str()).collect::<Vec<_>>(), &[]);
        assert_eq!(found.shares("closed_won:006000000000001AAA", "linear"), BTreeMap::from_iter(shares), "{files:?}");
        assert_eq!(found.dead_letters(), 0);
    }
}

#[test]
fn a_stage_that_no_rule_names_is_reported() {
    let records = decoded(Source::Webhook, &text("06_unmapped_stage/hubspot.webhook.ndjson"));
    let told: Vec<_> = records.iter().flat_map(|record| &record.stages_without_rule).collect();
    let told: Vec<_> = told.into_iter().map(|unknown| (unknown.setting, unknown.stage.as_str())).collect();
    assert_eq!(told, [("hubspot.deals", "184736251")]);
}

#[test]
fn every_milestone_of_these_cases_is_credited() {
    for name in [
        "09_ids_of_15_and_18/salesforce.webhook.ndjson 09_ids_of_15_and_18/salesforce.offline.ndjson",
        "18_email_in_properties/forms.sdk.ndjson 18_email_in_properties/deals.webhook.ndjson",
    ] {
        let found = replay(&name.split(' ').collect::<Vec<_>>());
        let milestones = found.milestones();
        assert!(!milestones.is_empty(), "{name}");
        for milestone in milestones {
            assert!(!found.shares(milestone, "linear").contains_key("unattributed"), "{name} {milestone}");
        }
    }
}
