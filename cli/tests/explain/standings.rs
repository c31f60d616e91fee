//! Why a touch is not in a journey, and why a link was refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary_pipeline::explain::TouchRow;
use tributary_pipeline::settings::Settings;

use super::support::settings;
use super::{Asked, touch, won};

fn standings(records: &[Value], settings: &Settings) -> BTreeMap<String, TouchRow> {
    let explanation = Asked::of(records, settings).milestone("closed_won:1");
    assert!(explanation.current);
    explanation.touches.into_iter().map(|touch| (touch.touch_id.clone() + "@" + &touch.number.to_string(), touch)).collect()
}

#[track_caller]
fn check(standings: &BTreeMap<String, TouchRow>, touch: &str, standing: &str, why: &str) {
    let row = &standings[touch];
    assert_eq!((row.standing, row.in_journey), (standing, standing == "in_journey"), "{row:?}");
    assert!(row.why.contains(why), "{row:?}");
}

#[test]
fn a_touch_is_out_before_the_window_and_after_the_milestone() {
    let records = [
        touch("early", "2021-01-01T00:00:00Z", json!({})),
        touch("in", "2023-01-01T00:00:00Z", json!({})),
        won("2023-06-01T00:00:00Z"),
        touch("late", "2023-06-02T00:00:00Z", json!({})),
    ];
    let found = standings(&records, &settings());
    check(&found, "early@1", "before_window", "begins 2021-12-08 00:00 UTC");
    check(&found, "in@2", "in_journey", "in the journey");
    check(&found, "late@3", "after_milestone", "after the milestone");
}

#[test]
fn a_touch_is_out_when_the_consent_is_revoked() {
    let records = [
        touch("in", "2023-01-01T00:00:00Z", json!({})),
        won("2023-06-01T00:00:00Z"),
        json!({"kind": "consent", "consent": "revoked", "timestamp": "2023-06-02T00:00:00Z", "anonymous_id": "c"}),
    ];
    check(&standings(&records, &settings()), "in@1", "revoked", "consent");
}

#[test]
fn a_touch_is_out_as_the_same_event() {
    let records = [
        touch("twice", "2023-01-01T00:00:00Z", json!({})),
        touch("twice", "2023-01-03T00:00:00Z", json!({})),
        won("2023-06-01T00:00:00Z"),
    ];
    let found = standings(&records, &settings());
    check(&found, "twice@1", "in_journey", "");
    check(&found, "twice@2", "duplicate", "the same event as #1");
    let person = Asked::of(&records, &settings()).profile("anonymous_id:c");
    assert_eq!(person.identifiers[0].brought.touches, 1, "one event is one touch");
}

#[test]
fn a_touch_is_out_as_a_later_hit_of_a_visit() {
    let hit = |more: &str| json!({"channel": null, "campaign": null, "url": format!("https://a.example/p{more}"), "referrer": "https://www.bing.com/"});
    let records = [
        touch("a", "2023-01-01T00:00:00Z", hit("")),
        touch("b", "2023-01-01T00:20:00Z", hit("?utm_source=partner&utm_medium=email")),
        touch("c", "2023-01-01T00:40:00Z", hit("")),
        won("2023-06-01T00:00:00Z"),
    ];
    let found = standings(&records, &settings());
    check(&found, "a@1", "in_journey", "a visit of 3 hits");
    assert_eq!((found["a@1"].channel.as_str(), found["a@1"].source.as_str()), ("email", "partner"));
    check(&found, "b@2", "visit", "the visit that began with #1");
    check(&found, "c@3", "visit", "the visit that began with #1");
}

#[test]
fn a_touch_is_out_beyond_the_longest_journey() {
    let mut settings = settings();
    settings.attribution.max_journey = 10;
    let mut records: Vec<Value> =
        (1..=12).map(|day| touch(&format!("t{day:02}"), &format!("2023-01-{day:02}T00:00:00Z"), json!({}))).collect();
    records.push(won("2023-06-01T00:00:00Z"));
    let found = standings(&records, &settings);
    check(&found, "t01@1", "in_journey", "");
    check(&found, "t02@2", "overlong", "max_journey");
    check(&found, "t03@3", "overlong", "max_journey");
    check(&found, "t04@4", "in_journey", "");
}

/// The rules that refuse links of an identifier's profile, with their texts.
fn refused(records: &[Value], settings: &Settings, identifier: &str) -> Vec<(&'static str, String)> {
    Asked::of(records, settings).profile(identifier).refused.into_iter().map(|of| (of.rule, of.why)).collect()
}

#[test]
fn links_are_refused_by_limit_word_sharing_and_quarantine() {
    let seen = |day: u32, a: Value| {
        let mut record = json!({"timestamp": format!("2023-01-{day:02}T00:00:00Z")});
        record.as_object_mut().unwrap().extend(a.as_object().unwrap().clone());
        record
    };
    let two_contacts = [
        seen(1, json!({"crm_contact": "1", "phone": "+8613800002222"})),
        seen(2, json!({"crm_contact": "2", "phone": "+8613800002222"})),
    ];
    let found = refused(&two_contacts, &settings(), "crm_contact:2");
    assert_eq!(found, [("limit", "the profile would have more than 1 of crm_contact (identity.limits)".to_owned())]);

    let unlinked = [
        seen(1, json!({"anonymous_id": "a", "phone": "+8613800002222"})),
        seen(2, json!({"anonymous_id": "a", "phone": "+8613800002222", "kind": "unlink"})),
    ];
    let found = refused(&unlinked, &settings(), "anonymous_id:a");
    assert_eq!(found, [("never_join", "stated not to be one on 2023-01-02 00:00 UTC".to_owned())]);

    let kiosk: Vec<Value> =
        (1..=4).map(|user| seen(user, json!({"anonymous_id": "kiosk", "user_id": user.to_string()}))).collect();
    for identifier in ["user_id:2", "anonymous_id:kiosk"] {
        let found = refused(&kiosk, &settings(), identifier);
        assert_eq!(found.len(), if identifier == "user_id:2" { 1 } else { 4 });
        assert_eq!(found[0].0, "shared");
        assert!(
            found[0].1.contains("anonymous_id||kiosk is shared: linked to 4 identifiers of kinds whose limit is 1"),
            "{}",
            found[0].1
        );
    }

    let mut small = settings();
    small.identity.max_cluster = 3;
    let crowd: Vec<Value> =
        (1..=4).map(|at| seen(at, json!({"phone": "+8613800002222", "anonymous_id": at.to_string()}))).collect();
    let found = Asked::of(&crowd, &small).profile("anonymous_id:2");
    assert!(found.quarantined && found.identifiers.len() == 1);
    assert_eq!(found.refused.iter().map(|of| of.rule).collect::<Vec<_>>(), ["quarantined"]);
}
