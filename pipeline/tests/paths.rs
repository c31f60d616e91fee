//! Paths of a replay: converting ones, others, and those that are not decided yet.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use tributary_attributor::read::paths::Wanted;
use tributary_learn::parameters::Label;
use tributary_learn::paths::Outcomes;
use tributary_pipeline::paths::{Training, collect, newest_ms};
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::units::units;
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

/// The paths as text with their outcomes, and what is said about them.
fn paths_of(records: &[String], partitions: u32, label: Label) -> (Vec<(String, Outcomes)>, Training) {
    let settings = Settings::default();
    let pipeline = Pipeline::compile(&settings).unwrap();
    let mut replay = Replay::new(&settings, partitions).unwrap();
    records.iter().for_each(|record| replay.append(Topic::Offline, 0, record.as_bytes()));
    let results = replay.results().unwrap();
    assert!(results.dead_letters.is_empty(), "{:?}", results.dead_letters);
    let units = units(results.profiles.values(), results.accounts.values());
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
        // Too young to tell.
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
