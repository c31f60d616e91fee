//! Paths of a replay: converting ones, others, and those that are not decided yet.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use tributary_attributor::read::paths::Wanted;
use tributary_attributor::read::rows::Rows;
use tributary_attributor::settings::Contacts;
use tributary_learn::fit::{Options, fit};
use tributary_learn::parameters::Label;
use tributary_learn::parameters::ModelKind;
use tributary_learn::paths::Outcomes;
use tributary_pipeline::paths::{Training, collect, collect_rows, newest_ms, take, topics};
use tributary_pipeline::replay::{Replay, Results};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::units::units;
use tributary_proto::{Message, TouchpointRow};
use tributary_runtime::config::AccountLevel;
use tributary_runtime::topic::Topic;

const DAY_MS: i64 = 86_400_000;

fn touch(who: &str, day: u32, channel: &str) -> String {
    format!(
        r#"{{"email": "{who}@qq.com", "timestamp": "2024-01-{day:02}T10:00:00Z", "channel": "{channel}", "campaign": "{channel} x"}}"#
    )
}

fn won(who: &str, day: u32, object: &str) -> String {
    let what = format!(r#""kind": "milestone", "milestone": "closed_won", "object_id": "{object}""#);
    format!(r#"{{"email": "{who}@qq.com", "timestamp": "2024-01-{day:02}T12:00:00Z", {what}}}"#)
}

/// The paths as text with their outcomes, and the report about them.
fn paths_of(records: &[String], partitions: u32, label: Label) -> (Vec<(String, Outcomes)>, Training) {
    let settings = Settings::default();
    let pipeline = Pipeline::compile(&settings).unwrap();
    let mut replay = Replay::new(&settings, partitions).unwrap();
    records.iter().for_each(|record| replay.append(Topic::Offline, 0, record.as_bytes()));
    let results = replay.results().unwrap();
    assert!(results.dead_letters.is_empty(), "{:?}", results.dead_letters);
    let units = units(replay.snapshot()).unwrap();
    let until_ms = newest_ms(replay.snapshot(), &units, pipeline.plan()).unwrap().unwrap();
    let wanted = Wanted { target: "closed_won".into(), label, until_ms };
    let mut training = collect(replay.snapshot(), &units, pipeline.plan(), &wanted, 10 * DAY_MS, &mut || {}).unwrap();
    let counted = std::mem::take(&mut training.paths).counted();
    let text = |at: usize| {
        let names = counted.path(at).iter().map(|id| counted.labels[usize::from(*id)].clone());
        names.collect::<Vec<_>>().join(" > ")
    };
    ((0..counted.len()).map(|at| (text(at), counted.outcomes()[at])).collect(), training)
}

#[test]
fn journeys_to_a_deal_convert_and_what_is_old_does_not() {
    let mut records = vec![
        touch("a", 1, "email"),
        touch("a", 5, "search"),
        won("a", 9, "1"),
        touch("a", 11, "email"),
        touch("b", 2, "event"),
        touch("b", 3, "email"),
        // Too recent to decide.
        touch("c", 25, "email"),
        touch("d", 28, "search"),
        won("e", 9, "2"),
    ];
    let (paths, training) = paths_of(&records, 1, Label::Channel);
    let (one, none) = (Outcomes { converting: 1, null: 0 }, Outcomes { converting: 0, null: 1 });
    let expected = [("email", none), ("email > search", one), ("event > email", none)];
    assert_eq!(paths, expected.map(|(path, outcomes)| (path.to_owned(), outcomes)));
    let about = &training.about;
    assert_eq!((about.undecided, about.without_touch, about.window_days), (2, 1, Some(540)));
    assert_eq!(training.cycles_ms, [8 * DAY_MS + 2 * 3_600_000]);
    assert_eq!(about.median_cycle_ms, Some(training.cycles_ms[0]));

    records.reverse();
    let (again, training) = paths_of(&records, 4, Label::Channel);
    assert_eq!((again, &training.about), (paths, about));
    let (campaigns, _) = paths_of(&records, 2, Label::Campaign);
    assert_eq!(campaigns[1].0, "email x > search x");
}

fn hit(who: &str, time: &str, more: &str) -> String {
    format!(r#"{{"anonymous_id": "{who}", "timestamp": "2024-01-{time}Z", "url": "https://us.example/"{more}}}"#)
}

/// A history in which much decides what a path is: visits, two versions of one event, a withdrawn deal, one won twice, people of a
/// subsidiary, whom a deal names, and somebody who objects.
fn tangled() -> Vec<String> {
    let version = |channel: &str| {
        format!(
            r#"{{"event_id": "twice", "email": "b@one.example", "timestamp": "2024-01-04T10:00:00Z", "channel": "{channel}"}}"#
        )
    };
    let deal = |object: &str, day: u32, more: &str| {
        let what = format!(r#""kind": "milestone", "milestone": "closed_won", "object_id": "{object}", "account": "1"{more}"#);
        format!(r#"{{"timestamp": "2024-01-{day:02}T12:00:00Z", {what}}}"#)
    };
    let contacts = r#", "contacts": [{"email": "b@one.example", "role": "champion"}]"#;
    vec![
        r#"{"kind": "account", "account": "1", "domain": "one.example", "timestamp": "2024-01-01T00:00:00Z"}"#.into(),
        r#"{"kind": "account", "account": "2", "domain": "two.example", "parent": "1", "timestamp": "2024-01-01T00:00:00Z"}"#
            .into(),
        hit("c1", "02T10:00:00", ""),
        hit("c1", "02T10:10:00", r#", "utm_source": "baidu", "utm_medium": "cpc", "campaign": "q1", "email": "a@one.example""#),
        hit("c1", "02T10:20:00", r#", "utm_source": "bing", "utm_medium": "cpc""#),
        hit("c2", "03T10:00:00", r#", "email": "d@two.example", "referrer": "https://zhihu.com/""#),
        version("webinar"),
        version("event"),
        deal("6", 9, contacts),
        deal("6", 9, contacts),
        touch("x", 10, "content"),
        r#"{"email": "e@one.example", "timestamp": "2024-01-11T10:00:00Z", "channel": "call"}"#.into(),
        deal("7", 12, ""),
        deal("8", 13, ""),
        deal("8", 13, r#", "withdrawn": true, "event_id": "lost after all""#),
        r#"{"email": "f@one.example", "timestamp": "2024-01-05T10:00:00Z", "channel": "sms"}"#.into(),
        r#"{"email": "f@one.example", "timestamp": "2024-01-06T10:00:00Z", "kind": "consent", "consent": "revoked"}"#.into(),
        hit("c3", "12T20:00:00", ""),
        r#"{"email": "b@one.example", "timestamp": "2024-01-14T10:00:00Z", "channel": "email"}"#.into(),
        touch("z", 27, "email"),
    ]
}

/// The parameter sets of paths, as files hold them.
fn files(training: Training) -> Vec<String> {
    let options = Options { models: ModelKind::all(2).to_vec(), seed: 3, resamples: 5, threads: 2 };
    let sets = fit(&training.paths.counted(), &training.about, &options, &|_| {}).unwrap();
    sets.iter().map(|set| set.text().unwrap()).collect()
}

fn rows_of(results: &Results, settings: &Settings) -> Rows {
    let mut rows = Rows::default();
    for topic in topics(settings.attribution.account_level) {
        if topic == Topic::Accounts {
            results.accounts.values().for_each(|account| rows.account(account.clone()));
        }
        for (key, value) in results.others.get(&topic).into_iter().flat_map(|table| table.records()) {
            take(&mut rows, topic, key, Some(value)).unwrap();
        }
    }
    rows
}

#[test]
fn topics_and_state_give_the_same_paths() {
    let mut seen = Vec::new();
    for (contacts, account_level, partitions) in [
        (Contacts::Account, AccountLevel::Account, 1),
        (Contacts::Named, AccountLevel::Account, 3),
        (Contacts::Account, AccountLevel::Root, 5),
        (Contacts::Named, AccountLevel::Root, 8),
    ] {
        let mut settings = Settings::default();
        settings.attribution.contacts = contacts;
        (settings.attribution.account_level, settings.identity.account_level) = (account_level, account_level);
        let pipeline = Pipeline::compile(&settings).unwrap();
        let mut replay = Replay::new(&settings, partitions).unwrap();
        tangled().iter().for_each(|record| replay.append(Topic::Offline, 0, record.as_bytes()));
        let results = replay.results().unwrap();
        assert!(results.dead_letters.is_empty(), "{:?}", results.dead_letters);
        let rows = rows_of(&results, &settings);
        let units = units(replay.snapshot()).unwrap();
        let newest = newest_ms(replay.snapshot(), &units, pipeline.plan()).unwrap();
        assert_eq!((rows.newest_ms(), newest.is_some()), (newest, true));
        for (label, until_ms) in [(Label::Channel, newest.unwrap()), (Label::ChannelSource, newest.unwrap() - 14 * DAY_MS)] {
            let wanted = Wanted { target: "closed_won".into(), label, until_ms };
            let by_state = collect(replay.snapshot(), &units, pipeline.plan(), &wanted, DAY_MS, &mut || {}).unwrap();
            let by_rows = collect_rows(&rows, pipeline.plan(), &wanted, DAY_MS, &mut || {}).unwrap();
            assert_eq!((by_rows.cycles_ms.as_slice(), &by_rows.about), (by_state.cycles_ms.as_slice(), &by_state.about));
            let (by_state, by_rows) = (files(by_state), files(by_rows));
            assert_eq!(by_rows, by_state);
            seen.push(by_state);
        }
    }
    assert!(seen.iter().enumerate().all(|(at, one)| !seen[..at].contains(one)), "each of the settings makes other paths");
}

#[test]
fn removed_and_outdated_rows_do_not_count() {
    let row = |id: &str, revision, channel: &str| TouchpointRow {
        touchpoint_id: id.into(),
        touch_id: id.into(),
        touch_time: 5 * DAY_MS,
        profile_id: "p_1".into(),
        consented: true,
        channel: channel.into(),
        revision,
        ..TouchpointRow::default()
    };
    let mut rows = Rows::default();
    let gone = TouchpointRow { touchpoint_id: "t_c".into(), revision: 3, erased: true, ..TouchpointRow::default() };
    for row in [row("t_a", 4, "email"), row("t_a", 2, "event"), row("t_b", 1, "event"), row("t_c", 2, "event"), gone] {
        take(&mut rows, Topic::Touchpoints, row.touchpoint_id.as_bytes(), Some(&row.encode_to_vec())).unwrap();
    }
    take(&mut rows, Topic::Touchpoints, b"t_b", None).unwrap();
    let wanted = Wanted { target: "closed_won".into(), label: Label::Channel, until_ms: 9 * DAY_MS };
    let pipeline = Pipeline::compile(&Settings::default()).unwrap();
    let training = collect_rows(&rows, pipeline.plan(), &wanted, DAY_MS, &mut || {}).unwrap();
    let counted = training.paths.counted();
    assert_eq!((counted.labels.as_slice(), counted.len(), rows.units()), (&["email".to_owned()][..], 1, 1));
    assert!(take(&mut rows, Topic::Milestones, b"m", Some(b"\x0a")).is_err());
}
