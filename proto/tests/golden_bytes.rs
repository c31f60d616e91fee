//! The literal bytes of the contract: what other programs read must not change by accident.
//!
//! Expected bytes are written out by hand from the Protobuf encoding (<https://protobuf.dev/programming-guides/encoding/>): a tag is
//! `field << 3 | wire type`, 2 for bytes and texts, 0 for integers.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use tributary_proto::{
    Account, AttributorMessage, Consent, CreditUpdate, DeadLetter, Dimensions, Event, Hash128, Identifier, IdentityMessage,
    Membership, Message, Milestone, MilestoneRow, MilestoneVersion, Move, Profile, Reason, Source, Spend, StageMoment, Touch,
    TouchpointRow, Trait, attributor_message, event, identity_message,
};

fn email() -> Identifier {
    Identifier::new("email", "", "a@b.example")
}

/// `email`, no scope, `a@b.example`.
const EMAIL: &[u8] = b"\x0a\x05email\x1a\x0ba@b.example";

fn team() -> BTreeMap<String, String> {
    [("team".to_owned(), "x".to_owned())].into()
}

/// An entry of a map, with its length: `team` is `x`.
const TEAM: &[u8] = b"\x09\x0a\x04team\x12\x01x";

#[test]
fn dimensions_are_in_the_order_of_their_names() {
    let region = ("region".to_owned(), "n".to_owned());
    let both: BTreeMap<String, String> = [region].into_iter().chain(team()).collect();
    let entries: &[&[u8]] = &[b"\x0a\x0b\x0a\x06region\x12\x01n", b"\x0a", TEAM];
    let values = entries.concat();
    let touch = Touch { dimensions: Some(Dimensions { values: both }), ..Touch::default() };
    assert_eq!(touch.encode_to_vec(), [&[0x72, values.len() as u8], values.as_slice()].concat());
    let version = MilestoneVersion { dimensions: team(), ..MilestoneVersion::default() };
    assert_eq!(version.encode_to_vec(), [b"\x8a\x01", TEAM].concat());
    let milestone = Milestone { dimensions: team(), ..Milestone::default() };
    assert_eq!(milestone.encode_to_vec(), [b"\x52", TEAM].concat());
}

#[test]
fn keys() {
    assert_eq!(Identifier::new("wechat_openid", "wx12ab", "oXyz").key(), b"wechat_openid\x1fwx12ab\x1foXyz");
    assert_eq!(email().key(), b"email\x1f\x1fa@b.example");
    assert_eq!(
        Hash128::of(b"anonymous_id\x1f\x1fcookie-7f3a").to_bytes(),
        *b"\x9c\xe7\x77\xb8\x7b\x50\x89\x96\xb7\x03\xdd\x29\x22\x72\x4c\x92"
    );
    assert_eq!(tributary_proto::partition::murmur2(b"closed_won:006X") as i32, -1_044_800_035);
}

#[test]
fn event() {
    let event = Event {
        event_id: "E".into(),
        time_ms: 300,
        source: Source::Offline.into(),
        identifiers: vec![email()],
        traits: vec![Trait { name: "n".into(), value: "v".into() }],
        body: Some(event::Body::Touch(Touch { channel: "sales".into(), identified: true, ..Touch::default() })),
        ..Event::default()
    };
    let bytes =
        [b"\x0a\x01E\x10\xac\x02\x18\x04\x22\x14", EMAIL, b"\x32\x06\x0a\x01n\x12\x01v\x52\x09\x0a\x05sales\x40\x01"].concat();
    assert_eq!(event.encode_to_vec(), bytes);
    let message = IdentityMessage { body: Some(identity_message::Body::Event(event)) };
    assert_eq!(message.encode_to_vec(), [&[0x0a, bytes.len() as u8], bytes.as_slice()].concat());
}

#[test]
fn consent_granted() {
    let event = Event { body: Some(event::Body::Consent(Consent { granted: true })), ..Event::default() };
    assert_eq!(event.encode_to_vec(), b"\x82\x01\x02\x08\x01");
}

#[test]
fn attributor_message() {
    let moved = Move { identifier_hash: vec![7; 2], to: "p:1".into(), epoch: 5 };
    let message = AttributorMessage { body: Some(attributor_message::Body::Move(moved)) };
    assert_eq!(message.encode_to_vec(), b"\x1a\x0b\x0a\x02\x07\x07\x12\x03p:1\x18\x05");
}

#[test]
fn credit_update() {
    let update = CreditUpdate {
        milestone_id: "mql:1".into(),
        milestone_kind: "mql".into(),
        model: "linear".into(),
        model_version: "1".into(),
        touch_id: "E".into(),
        account_id: "A".into(),
        profile_id: "p_1".into(),
        channel: "sales".into(),
        source: "s".into(),
        medium: "m".into(),
        campaign: "c".into(),
        content: "o".into(),
        term: "t".into(),
        touch_time: 1,
        milestone_time: 2,
        weight_nano: 3,
        value_minor: 4,
        currency: "CNY".into(),
        delta_weight_nano: -1,
        delta_value_minor: 5,
        revision: 6,
        reason: Reason::Amended.into(),
        reporting_currency: "USD".into(),
        reporting_value_minor: 7,
        delta_reporting_value_minor: 8,
        dimensions: team(),
        milestone_dimensions: team(),
    };
    let texts = b"\x0a\x05mql:1\x12\x03mql\x1a\x06linear\x22\x011\x2a\x01E\x32\x01A\x3a\x03p_1\x42\x05sales\x4a\x01s\x52\x01m\x5a\x01c\x62\x01o\x6a\x01t";
    let numbers = b"\x70\x01\x78\x02\x80\x01\x03\x88\x01\x04\x92\x01\x03CNY";
    // A negative int64 takes ten bytes.
    let deltas = b"\x98\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xa0\x01\x05\xa8\x01\x06\xb0\x01\x04";
    let reporting = b"\xba\x01\x03USD\xc0\x01\x07\xc8\x01\x08";
    assert_eq!(update.encode_to_vec(), [&texts[..], numbers, deltas, reporting, b"\xd2\x01", TEAM, b"\xda\x01", TEAM].concat());
    let json = serde_json::to_string(&update).unwrap();
    assert_eq!(
        json,
        "{\"milestone_id\":\"mql:1\",\"milestone_kind\":\"mql\",\"model\":\"linear\",\"model_version\":\"1\",\"touch_id\":\"E\",\
         \"account_id\":\"A\",\"profile_id\":\"p_1\",\"channel\":\"sales\",\"source\":\"s\",\"medium\":\"m\",\"campaign\":\"c\",\
         \"content\":\"o\",\"term\":\"t\",\"touch_time\":1,\"milestone_time\":2,\"weight_nano\":3,\"value_minor\":4,\"currency\":\"CNY\",\
         \"delta_weight_nano\":-1,\"delta_value_minor\":5,\"revision\":6,\"reason\":\"amended\",\"reporting_currency\":\"USD\",\
         \"reporting_value_minor\":7,\"delta_reporting_value_minor\":8,\
         \"dimensions\":{\"team\":\"x\"},\"milestone_dimensions\":{\"team\":\"x\"}}"
    );
    let earlier = json.split(",\"reporting_currency").next().unwrap().to_owned() + "}";
    let read: CreditUpdate = serde_json::from_str(&earlier).unwrap();
    assert_eq!((read.reason, read.reporting_value_minor), (update.reason, 0), "rows of earlier versions are read");
    let without = CreditUpdate { dimensions: BTreeMap::new(), milestone_dimensions: BTreeMap::new(), ..update };
    assert!(!serde_json::to_string(&without).unwrap().contains("dimensions"), "who has declared none pays for none");
}

#[test]
fn touchpoint_row() {
    let row = TouchpointRow {
        touchpoint_id: "t_1".into(),
        touch_id: "E".into(),
        touch_time: 1,
        profile_id: "p_1".into(),
        account_id: "A".into(),
        role: "r".into(),
        consented: true,
        channel: "c".into(),
        source: "s".into(),
        medium: "m".into(),
        campaign: "k".into(),
        content: "o".into(),
        term: "t".into(),
        touch_type: "y".into(),
        url: "u".into(),
        referrer: "f".into(),
        input: Source::Utm.into(),
        public: true,
        identified: true,
        digital: true,
        names_source: true,
        device: "d".into(),
        revision: 3,
        erased: true,
        device_named: true,
        dimensions: team(),
    };
    let first = b"\x0a\x03t_1\x12\x01E\x18\x01\x22\x03p_1\x2a\x01A\x32\x01r\x38\x01\x42\x01c\x4a\x01s\x52\x01m\x5a\x01k\x62\x01o\x6a\x01t";
    let rest = b"\x72\x01y\x7a\x01u\x82\x01\x01f\x88\x01\x02\x90\x01\x01\x98\x01\x01\xa0\x01\x01\xa8\x01\x01\xb2\x01\x01d\xb8\x01\x03\xc0\x01\x01\xd0\x01\x01";
    assert_eq!(row.encode_to_vec(), [&first[..], rest, b"\xda\x01", TEAM].concat());
    let json = serde_json::to_string(&row).unwrap();
    assert_eq!(
        json,
        "{\"touchpoint_id\":\"t_1\",\"touch_id\":\"E\",\"touch_time\":1,\"profile_id\":\"p_1\",\"account_id\":\"A\",\"role\":\"r\",\
         \"consented\":true,\"channel\":\"c\",\"source\":\"s\",\"medium\":\"m\",\"campaign\":\"k\",\"content\":\"o\",\"term\":\"t\",\
         \"touch_type\":\"y\",\"url\":\"u\",\"referrer\":\"f\",\"input\":\"utm\",\"public\":true,\"identified\":true,\"digital\":true,\
         \"names_source\":true,\"device\":\"d\",\"revision\":3,\"erased\":true,\"device_named\":true,\"dimensions\":{\"team\":\"x\"}}"
    );
}

#[test]
fn milestone_row() {
    let row = MilestoneRow {
        milestone_id: "mql:1#2".into(),
        milestone_kind: "mql".into(),
        object_id: "1".into(),
        occurrence: 2,
        milestone_time: 3,
        value_minor: 4,
        currency: "CNY".into(),
        exponent: 2,
        reporting_currency: "USD".into(),
        reporting_value_minor: 5,
        account_id: "A".into(),
        profile_id: "p_1".into(),
        withdrawn: true,
        public: true,
        stage_before: "lead".into(),
        stage_before_time: 1,
        stage_after: "sal".into(),
        stage_after_time: 6,
        stages: vec![StageMoment { kind: "lead".into(), time: 1 }],
        revision: 7,
        erased: true,
        named_profiles: vec!["p_2".into()],
        dimensions: team(),
        versions: 3,
    };
    let first = b"\x0a\x07mql:1#2\x12\x03mql\x1a\x011\x20\x02\x28\x03\x30\x04\x3a\x03CNY\x40\x02\x4a\x03USD\x50\x05\x5a\x01A\x62\x03p_1\x68\x01\x70\x01";
    let rest = b"\x7a\x04lead\x80\x01\x01\x8a\x01\x03sal\x90\x01\x06\x9a\x01\x08\x0a\x04lead\x10\x01\xa0\x01\x07\xa8\x01\x01\xba\x01\x03p_2";
    assert_eq!(row.encode_to_vec(), [&first[..], rest, b"\xc2\x01", TEAM, b"\xc8\x01\x03"].concat());
    let json = serde_json::to_value(&row).unwrap();
    assert_eq!((&json["stages"][0]["kind"], &json["exponent"]), (&"lead".into(), &2.into()));
}

#[test]
fn profile() {
    let profile = Profile {
        profile_id: "p_1".into(),
        account_id: "A".into(),
        identifiers: vec![email()],
        traits: vec![Trait { name: "n".into(), value: "v".into() }],
        revoked: true,
        merged_into: "p_2".into(),
        split_from: "p_3".into(),
        quarantined: true,
        erased: true,
        memberships: vec![Membership { account_id: "B".into(), from_ms: 0 }, Membership { account_id: "A".into(), from_ms: 5 }],
        revision: 6,
    };
    let expected = [
        b"\x0a\x03p_1\x12\x01A\x1a\x14",
        EMAIL,
        b"\x22\x06\x0a\x01n\x12\x01v\x28\x01\x32\x03p_2\x3a\x03p_3\x40\x01\x48\x01",
        b"\x52\x03\x0a\x01B\x52\x05\x0a\x01A\x10\x05\x58\x06",
    ]
    .concat();
    assert_eq!(profile.encode_to_vec(), expected);
}

#[test]
fn account() {
    let account = Account {
        account_id: "A".into(),
        merged_into: "B".into(),
        split_from: "C".into(),
        quarantined: true,
        erased: true,
        revision: 7,
        ..Account::default()
    };
    assert_eq!(account.encode_to_vec(), b"\x0a\x01A\x22\x01B\x2a\x01C\x30\x01\x38\x01\x60\x07");
}

#[test]
fn dead_letter() {
    let letter = DeadLetter {
        reason: "json_malformed".into(),
        detail: "d".into(),
        field: "f".into(),
        stage: "ingest".into(),
        topic: "sdk".into(),
        partition: 1,
        offset: 2,
        index: 3,
        key: b"k".to_vec(),
        payload: b"\xff".to_vec(),
        timestamp: 4,
    };
    let bytes =
        b"\x0a\x0ejson_malformed\x12\x01d\x1a\x01f\x22\x06ingest\x2a\x03sdk\x30\x01\x38\x02\x40\x03\x4a\x01k\x52\x01\xff\x58\x04";
    assert_eq!(letter.encode_to_vec(), bytes);
    let json: serde_json::Value = serde_json::to_value(&letter).unwrap();
    assert_eq!((json["payload"].as_str(), json["key"].as_str()), (Some("/w=="), Some("aw==")));
}

#[test]
fn spend() {
    let spend = Spend {
        spend_id: "s1".into(),
        day: "2022-04-13".into(),
        channel: "c".into(),
        source: "b".into(),
        medium: "m".into(),
        campaign: "n".into(),
        value_minor: 300,
        currency: "CNY".into(),
        dimensions: team(),
        revision: 5,
    };
    let first: &[u8] = b"\x0a\x02s1\x12\x0a2022-04-13\x1a\x01c\x22\x01b\x2a\x01m\x32\x01n\x38\xac\x02\x42\x03CNY";
    assert_eq!(spend.encode_to_vec(), [first, b"\x4a", TEAM, b"\x50\x05"].concat());
}
