//! What records say of accounts: that a CRM has deleted one, and what companies are called.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use serde_json::{Value, json};
use tributary_ingest::{Decoded, Decoder, Settings, TRUST_FIELD, as_native, reason};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Source};

/// 2026-03-02T00:00:00Z.
const RECEIVED_MS: i64 = 1_772_409_600_000;

fn decode(source: Source, record: &Value, company_names: &[&str]) -> Decoded {
    let company_names = company_names.iter().map(|name| (*name).to_owned()).collect();
    let decoder = Decoder::new(&Settings { company_names, ..Settings::default() }, &Kinds::default()).unwrap();
    let mut decoded = Decoded::default();
    let result = decoder.decode(source, record.to_string().as_bytes(), Some(RECEIVED_MS), &mut decoded);
    decoded.rejections.extend(result.err());
    decoded
}

fn webhook(provider: &str, body: Value) -> Value {
    json!({"provider": provider, "headers": {}, "body": body})
}

fn change(entity: &str, change: &str, id: &str, transaction: &str, fields: Value) -> Value {
    let header = json!({
        "entityName": entity, "recordIds": [id], "changeType": change, "transactionKey": transaction, "sequenceNumber": 1,
        "commitTimestamp": 1_772_352_000_000_i64, "changeOrigin": "x", "commitNumber": 1, "commitUser": "005",
    });
    let mut event = fields;
    event["ChangeEventHeader"] = header;
    event
}

fn notice(what: &str, more: Value) -> Value {
    let mut notice = more;
    notice["subscriptionType"] = what.into();
    (notice["eventId"], notice["portalId"], notice["objectId"]) = (1.into(), 2.into(), 77.into());
    notice["occurredAt"] = 1_772_352_000_000_i64.into();
    json!([notice])
}

/// The accounts of each event, those that are gone with a `-`.
fn accounts(decoded: &Decoded) -> Vec<String> {
    let shown = |event: &Event| {
        let gone = matches!(&event.body, Some(Body::Account(record)) if record.gone);
        let names: Vec<String> = event.account_identifiers.iter().map(|id| format!("{}:{}", id.kind, id.value)).collect();
        format!("{}{}", if gone { "-" } else { "" }, names.join(" "))
    };
    decoded.events.iter().map(shown).collect()
}

#[test]
fn a_crm_deletes_an_account() {
    for (source, record, expected) in [
        (Source::Webhook, webhook("hubspot", notice("company.deletion", json!({}))), vec!["-crm_account:77"]),
        (
            Source::Webhook,
            webhook("hubspot", notice("object.deletion", json!({"objectTypeId": "0-2"}))),
            vec!["-crm_account:77"],
        ),
        (Source::Webhook, webhook("hubspot", notice("company.restore", json!({}))), vec!["crm_account:77"]),
        (Source::Webhook, webhook("hubspot", notice("contact.deletion", json!({}))), vec![]),
        (
            Source::Webhook,
            webhook("salesforce", json!([change("Account", "DELETE", "001A", "t", json!({}))])),
            vec!["-crm_account:001A"],
        ),
        (
            Source::Webhook,
            webhook("salesforce", json!([change("Account", "UNDELETE", "001A", "t", json!({"Website": "b.example"}))])),
            vec!["crm_account:001A domain:b.example"],
        ),
        (Source::Webhook, webhook("salesforce", json!([change("Contact", "DELETE", "003A", "t", json!({}))])), vec![]),
        // Of a merge the loser lives on in the winner.
        (
            Source::Webhook,
            webhook(
                "salesforce",
                json!([
                    change("Account", "DELETE", "001A", "t", json!({})),
                    change("Account", "UPDATE", "001B", "t", json!({"Name": "B"})),
                ]),
            ),
            vec!["crm_account:001A crm_account:001B", "crm_account:001B"],
        ),
        (
            Source::Offline,
            json!({"kind": "account", "timestamp": "2026-03-01", "account": "001A", "domain": "b.example", "withdrawn": "是"}),
            vec!["-crm_account:001A"],
        ),
        (
            Source::Offline,
            json!({"kind": "account", "timestamp": "2026-03-01", "account": "001A", "domain": "b.example", "withdrawn": false}),
            vec!["crm_account:001A domain:b.example"],
        ),
    ] {
        let decoded = decode(source, &record, &[]);
        assert_eq!(accounts(&decoded), expected, "{record}");
        assert_eq!(decoded.rejections, [], "{record}");
        for event in decoded.events.iter().filter(|event| matches!(&event.body, Some(Body::Account(_)))) {
            let again = decode(Source::Offline, &as_native(event), &[]);
            assert_eq!(again.events[0].body, event.body, "written as a native record it says the same");
        }
    }
}

#[test]
fn a_deletion_names_one_account_of_the_crm() {
    for more in [
        json!({"domain": "b.example"}),
        json!({"account": ["001A", "001B"]}),
        json!({"account": "001A", "email": "li@b.example"}),
        json!({"account": "001A", "withdrawn": "perhaps"}),
        json!({"account": "001A", TRUST_FIELD: "public"}),
    ] {
        let mut record = json!({"kind": "account", "timestamp": "2026-03-01", "withdrawn": true});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let decoded = decode(Source::Offline, &record, &[]);
        assert_eq!((decoded.events.len(), decoded.rejections.len()), (0, 1), "{record}");
    }
}

#[test]
fn a_company_name_names_an_account_where_nothing_else_does() {
    let traits = json!({"company": "Ａ Corp Co., Ltd.", "email": "li@qq.com"});
    let identify = json!({"type": "identify", "userId": "u", "timestamp": "2026-03-01T00:00:00Z", "traits": traits});
    let touch =
        json!({"timestamp": "2026-03-01", "phone": "13800001111", "source": "fair", "traits.Company": "某某科技有限公司"});
    let lead = webhook("salesforce", json!([change("Lead", "CREATE", "00QA", "t", json!({"Company": "A-Corp GmbH"}))]));
    let contact = notice("contact.propertyChange", json!({"propertyName": "company", "propertyValue": "A Corp Inc"}));
    let crm = webhook("salesforce", json!([change("Account", "CREATE", "001A", "t", json!({"Name": "ACORP, Inc."}))]));
    let company = notice("company.propertyChange", json!({"propertyName": "name", "propertyValue": "A Corp"}));
    let acorp = ["company_name:acorp"];
    for (source, record, expected) in [
        (Source::Sdk, &identify, &acorp[..]),
        (Source::Offline, &touch, &["company_name:某某科技"]),
        (Source::Webhook, &lead, &acorp),
        (Source::Webhook, &webhook("hubspot", contact), &acorp),
        (Source::Webhook, &crm, &["crm_account:001A company_name:acorp"]),
        (Source::Webhook, &webhook("hubspot", company), &["crm_account:77 company_name:acorp"]),
    ] {
        let decoded = decode(source, record, &["company"]);
        let mut found = accounts(&decoded);
        // A new lead is a milestone, too.
        found.retain(|accounts| !accounts.is_empty());
        assert_eq!(found, expected, "{record}");
        let off = decode(source, record, &[]);
        assert!(!accounts(&off).concat().contains("company_name"), "{record}");
        assert_eq!(off.events[0].traits, decoded.events[0].traits, "the trait stays what it is");
    }
}

#[test]
fn a_company_is_no_account_where_another_is_named_or_it_could_do_harm() {
    let record = |more: Value| {
        let mut record =
            json!({"timestamp": "2026-03-01", "email": "li@qq.com", "kind": "identify", "traits": {"company": "A Corp"}});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    for (more, expected) in [
        (json!({}), "company_name:acorp"),
        (json!({"account": "001A"}), "crm_account:001A"),
        (json!({"domain": "b.example"}), "domain:b.example"),
        (json!({"kind": "milestone", "milestone": "mql", "object_id": "1"}), ""),
        (json!({"kind": "consent", "consent": "granted"}), ""),
        (json!({"kind": "link", "phone": "13800001111"}), ""),
        (json!({TRUST_FIELD: "public"}), ""),
        (json!({"traits": {"company": "n/a"}}), ""),
        (json!({"traits": {"company": "个人"}}), ""),
        (json!({"traits": {"company": "Ltd."}}), ""),
        (json!({"traits": {"company": "13800001111"}}), ""),
        (json!({"traits": {"company": {"name": "A Corp", "id": 7}}}), "company_name:acorp"),
        (json!({"traits": {"company": {"title": "A Corp"}}}), ""),
        (json!({"traits": {"company": ["A Corp"]}}), ""),
        (json!({"traits": {"company": "-", "organization": "A Corp"}}), "company_name:acorp"),
        (json!({"kind": "account", "email": null, "domain": "b.example", "traits": {"name": "A Corp"}}), "domain:b.example"),
    ] {
        let decoded = decode(Source::Offline, &record(more.clone()), &["company", " Organization "]);
        assert_eq!(accounts(&decoded), [expected], "{more} {:?}", decoded.rejections);
    }
    let settings = Settings { company_names: vec![" ".into()], ..Settings::default() };
    assert!(Decoder::new(&settings, &Kinds::default()).is_err());
}

#[test]
fn an_amendment_withdraws_a_withdrawal() {
    let record = |more: Value| {
        let mut record =
            json!({"kind": "milestone", "milestone": "mql", "object_id": "1", "timestamp": "2026-03-01", "user_id": "u"});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    for (more, expected) in [
        (json!({"amends": true, "withdrawn": false}), (true, false, true)),
        (json!({"amends": "yes", "withdrawn": "0"}), (true, false, true)),
        (json!({"amends": true, "withdrawn": true}), (true, true, false)),
        (json!({"amends": true}), (true, false, false)),
        (json!({"amends": true, "withdrawn": null}), (true, false, false)),
        (json!({"amends": true, "withdrawn": " "}), (true, false, false)),
        (json!({"amends": false, "withdrawn": false}), (false, false, false)),
        (json!({"withdrawn": false}), (false, false, false)),
    ] {
        let decoded = decode(Source::Offline, &record(more.clone()), &[]);
        let Some(Body::Milestone(version)) = &decoded.events[0].body else { panic!("{more}") };
        assert_eq!((version.amends, version.withdrawn, version.restored), expected, "{more}");
        let again = decode(Source::Offline, &as_native(&decoded.events[0]), &[]);
        assert_eq!(again.events[0].body, decoded.events[0].body, "{more}");
    }
    let public = json!({"amends": true, "withdrawn": false, TRUST_FIELD: "public"});
    let settings = Settings { public_milestones: vec!["mql".into()], ..Settings::default() };
    let decoder = Decoder::new(&settings, &Kinds::default()).unwrap();
    let mut decoded = Decoded::default();
    decoder.decode(Source::Offline, record(public).to_string().as_bytes(), Some(RECEIVED_MS), &mut decoded).unwrap();
    let Some(Body::Milestone(version)) = &decoded.events[0].body else { panic!() };
    assert!(!version.restored && decoded.ignored.iter().any(|left| left.why.reason == reason::PUBLIC_REFUSED));
}

#[test]
fn refunds_lower_the_spend() {
    for (value, minor) in [("-12.50", -1_250), ("(1,200.00)", -120_000), ("0", 0), ("-0.005", -1), ("30", 3_000)] {
        let record = json!({"kind": "spend", "day": "2026-03-01", "source": "google", "medium": "cpc", "value": value});
        let decoded = decode(Source::Offline, &record, &[]);
        assert_eq!(decoded.spends[0].value_minor, minor, "{value}");
    }
}
