//! The pipeline on real Kafka: the credit topic folds to the table of `replay`, whatever happens to the workers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

#[path = "kafka_pipeline/readme.rs"]
mod readme;
mod support;

use std::path::Path;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use support::{
    Raw, Running, finish, golden, history, pipeline, run, send, succeed, table_of, table_text, tailed_table, tributary,
    write_files,
};

/// The broker of this test binary.
fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Option<String>> = OnceLock::new();
    BROKER.get_or_init(support::broker).as_deref()
}

/// What a reader of committed records folds the credits to is the table of `replay`, both as latest rows and as summed deltas.
fn check(sets: &[String], records: &[Raw]) {
    let table = tailed_table(sets);
    assert_eq!(table.imbalances(), []);
    let (found, expected) = (table_text(&table), table_of(records));
    assert!(found == expected, "{} rows, not {}", found.lines().count(), expected.lines().count());
}

#[test]
fn one_process_killed_and_restarted_gives_the_answer_of_replay() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut sets = pipeline(brokers, "one", folder.path(), &[]);
    sets.push("worker.batch_records=300".to_owned());
    let mut records = golden();
    records.extend(history(150, 21, false));
    send(&sets, &records);
    for milliseconds in [2_500, 4_000] {
        let running = run(&sets, &[]);
        sleep(Duration::from_millis(milliseconds));
        running.kill();
    }
    finish(&sets);
    check(&sets, &records);
    check_explained(&sets, &records);
    check_exported(&sets, folder.path());
}

/// What `export` writes is the table that the topic folds to: of what was aborted nothing is in it.
fn check_exported(sets: &[String], folder: &Path) {
    let mut command = tributary(sets);
    command.args(["export", "--topic", "credits", "--out"]).arg(folder.join("export"));
    succeed(command);
    let cells = |row: &Value| {
        let columns = ["milestone_id", "model", "touch_id", "channel", "weight_nano", "value_minor"];
        columns.map(|name| row[name].to_string())
    };
    let mut found: Vec<_> = support::parquet::read(&folder.join("export/credits.parquet")).iter().map(cells).collect();
    let table = tailed_table(sets);
    let mut expected: Vec<_> = table.rows().map(|row| cells(&serde_json::to_value(row).unwrap())).collect();
    found.sort();
    expected.sort();
    assert!(found == expected && !found.is_empty(), "{} rows, not {}", found.len(), expected.len());
}

/// What `explain` reads from the stores of the workers is what it finds in a replay.
fn check_explained(sets: &[String], records: &[Raw]) {
    let folder = tempfile::tempdir().unwrap();
    let mut stores = tributary(sets);
    stores.args(["explain", "closed_won:006X", "--json"]);
    let mut replay = tributary(&[]);
    replay.args(["replay", "--explain", "closed_won:006X", "--json"]).args(write_files(folder.path(), records));
    let answer = |command| -> serde_json::Value { serde_json::from_slice(&succeed(command).stdout).unwrap() };
    let (mut stores, mut replay) = (answer(stores), answer(replay));
    let freshness =
        |answer: &mut serde_json::Value| answer.get_mut("freshness").map(serde_json::Value::take).unwrap_or_default();
    let fresh = freshness(&mut stores);
    assert_eq!((fresh.get("current"), fresh.get("newer_records")), (Some(&true.into()), Some(&0.into())), "{fresh}");
    assert!(freshness(&mut replay).is_null());
    assert!(replay.get("credit").and_then(|credit| credit.as_array()).is_some_and(|rows| !rows.is_empty()));
    assert_eq!(stores, replay);
}

#[test]
fn three_processes_and_a_lost_state_give_the_answer_of_replay() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "three", folder.path(), &[]);
    let records = history(150, 22, false);
    let (early, late) = records.split_at(records.len() / 2);
    send(&sets, early);
    let stages = ["ingest", "identity", "attributor"];
    let mut running: Vec<Running> = stages.iter().map(|stage| run(&sets, &["--stages", stage])).collect();
    sleep(Duration::from_secs(4));
    running.remove(1).kill();
    running.push(run(&sets, &["--stages", "identity"]));
    sleep(Duration::from_secs(5));
    // A stop that is asked for finishes or aborts the open transaction and exits with 0.
    running.into_iter().for_each(Running::terminate);
    finish(&sets);
    check(&sets, early);

    // Without its state folder the pipeline restores it from the changelogs: the late half meets the early one.
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    send(&sets, late);
    finish(&sets);
    check(&sets, &records);
}

#[test]
fn a_new_number_of_partitions_is_reached_by_working_the_raw_topics_off_again() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let old = pipeline(brokers, "old", folder.path(), &[]);
    let records = history(60, 23, false);
    send(&old, &records);
    finish(&old);
    check(&old, &records);

    let beside = tempfile::tempdir().unwrap();
    let mut more: Vec<String> =
        ["sdk", "utm", "webhook", "offline"].iter().map(|raw| format!("topics.names.{raw}=old.{raw}")).collect();
    more.push("topics.partitions=7".to_owned());
    let new = pipeline(brokers, "new", beside.path(), &more);
    finish(&new);
    check(&new, &records);
}
