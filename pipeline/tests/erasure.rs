//! What an erasure leaves behind in the whole pipeline.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use tributary_attributor::settings::Contacts;
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_proto::{Message, MilestoneRow};
use tributary_runtime::topic::Topic;

/// The touches with credit for the deal under `last_touch`, and the people that the deal's row names.
fn earned(records: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut settings = Settings::default();
    settings.attribution.contacts = Contacts::Named;
    let mut replay = Replay::new(&settings, 2).unwrap();
    for record in records {
        replay.append(Topic::Offline, 0, record.as_bytes());
        replay.run().unwrap();
    }
    let results = replay.results().unwrap();
    assert!(results.dead_letters.is_empty(), "{:?}", results.dead_letters);
    let last = results.credits.rows().filter(|row| row.model == "last_touch" && row.weight_nano > 0);
    let (_, deal) = results.others[&Topic::Milestones].records().next().unwrap();
    (last.map(|row| row.touch_id.to_owned()).collect(), MilestoneRow::decode(deal).unwrap().named_profiles)
}

/// A deal names somebody who is known only from an event with an address that is erased later. Nothing is left of this person, so the deal
/// names nobody, and whoever else was there earns its credit.
#[test]
fn a_person_whom_no_event_names_any_more_is_in_no_deal() {
    let touch = |who: &str, id: &str, day: u32| {
        format!(
            r#"{{"event_id": "{id}", {who}, "account": "1", "timestamp": "2024-01-{day:02}T10:00:00Z", "channel": "email"}}"#
        )
    };
    let both = touch(r#""email": ["a@qq.com", "b@qq.com"]"#, "of-both", 4);
    let other = touch(r#""email": "c@qq.com""#, "of-another", 2);
    let deal = r#"{"kind": "milestone", "milestone": "closed_won", "object_id": "6", "account": "1", "email": "c@qq.com",
        "timestamp": "2024-01-08T12:00:00Z", "contacts": [{"email": "b@qq.com", "role": "champion"}]}"#;
    let erasure = r#"{"kind": "erase", "email": "a@qq.com", "timestamp": "2024-01-06T00:00:00Z"}"#;
    let again = touch(r#""email": "b@qq.com""#, "of-both-again", 7);

    let (touches, named) = earned(&[&both, &other, deal]);
    assert_eq!((touches, named.len()), (vec!["of-both".to_owned()], 1));
    let (touches, named) = earned(&[&both, &other, deal, erasure]);
    assert_eq!((touches, named.len()), (vec!["of-another".to_owned()], 0));
    let (touches, named) = earned(&[&both, &other, deal, erasure, &again]);
    assert_eq!((touches, named.len()), (vec!["of-both-again".to_owned()], 1));
}
