//! The pipeline on real Kafka: the credit topic folds to the table of `replay`, whatever happens to the workers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

#[path = "kafka_pipeline/readme.rs"]
mod readme;
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value;
use support::registry::Registry;
use support::{
    Raw, Running, finish, golden, history, pipeline, run, send, succeed, table_of, table_text, tailed_table, tributary,
    write_files,
};
use tributary_runtime::config::Secret;
use tributary_runtime::config::settings::Framing;
use tributary_runtime::topic::Topic;

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
    // A requested stop finishes or aborts the open transaction and exits with 0.
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
fn a_new_number_of_partitions_is_reached_by_reprocessing_the_raw_topics() {
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

/// Settings of rows in frames, by this registry.
fn framed_by(url: &str) -> Vec<String> {
    vec!["topics.framing=confluent".into(), format!("topics.registry.url={url}"), "worker.formats.touchpoints=json".into()]
}

#[test]
fn every_framed_topic_has_its_schema_at_the_registry() {
    let registry = Registry::start("Basic a2V5OnNlY3JldA==");
    let mut settings = support::settings();
    settings.kafka.brokers = "nobody:1".into();
    settings.topics.framing = Framing::Confluent;
    settings.topics.registry.url = format!("{}/", registry.url);
    (settings.topics.registry.username, settings.topics.registry.password) = ("key".into(), Secret::new("secret"));
    settings.worker.formats = serde_json::from_value(serde_json::json!({ "touchpoints": "json" })).unwrap();
    let framing = tributary_cli::registry::framing(&settings).unwrap();
    let subjects = registry.subjects();
    let named: Vec<_> = subjects.iter().map(|(subject, kind, ..)| (subject.as_str(), kind.as_str())).collect();
    let expected = ["accounts", "credits", "milestones", "profiles", "spend", "touchpoints"]
        .map(|role| (format!("tributary.{role}-value"), if role == "touchpoints" { "JSON" } else { "PROTOBUF" }));
    assert_eq!(named, expected.iter().map(|(subject, kind)| (subject.as_str(), *kind)).collect::<Vec<_>>());
    assert!(subjects.iter().all(|(_, kind, schema, _)| kind == "JSON" || schema.contains("message CreditUpdate")));
    assert_eq!(framing.framed(Topic::Credits, b"x").unwrap()[..5], [0, 0, 0, 3, 232], "the first that was registered");
    assert_eq!(framing.framed(Topic::DeadLetters, b"x"), None);

    settings.topics.registry.password = Secret::new("wrong");
    let refused = tributary_cli::registry::framing(&settings).unwrap_err().to_string();
    assert!(refused.contains("topics.registry") && refused.contains("401"), "{refused}");
    assert!(!refused.contains("wrong"), "{refused}");
    settings.topics.framing = Framing::Plain;
    assert_eq!(tributary_cli::registry::framing(&settings).unwrap(), Default::default());
}

#[test]
fn an_unreachable_registry_is_reported_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut sets = vec!["kafka.brokers=127.0.0.1:1".to_owned(), format!("state.path={}", folder.path().display())];
    sets.extend(framed_by(&format!("http://{away}")));
    let mut command = tributary(&sets);
    command.args(["run", "--until-idle", "1"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("topics.registry") && said.contains(&away.to_string()), "{said}");
    // One that is not named is a mistake of the configuration.
    let mut command = tributary(&["kafka.brokers=127.0.0.1:1".to_owned(), "topics.framing=confluent".to_owned()]);
    assert_eq!(command.arg("run").output().unwrap().status.code(), Some(2));
}

#[test]
fn rows_in_frames_are_read_by_every_command() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start("");
    let plain = pipeline(brokers, "framed", folder.path(), &[]);
    let framed = [plain.clone(), framed_by(&registry.url)].concat();
    let records = history(80, 24, false);
    let (early, late) = records.split_at(records.len() / 2);
    // Plain rows first: the setting may change at any time.
    send(&plain, early);
    finish(&plain);
    send(&framed, late);
    finish(&framed);
    assert_eq!(registry.subjects().len(), 6);
    check(&framed, &records);
    check_exported(&plain, folder.path());
    let mut audit = tributary(&framed);
    audit.args(["audit", "--json"]);
    succeed(audit);
    let (credits, touches) = (first_bytes(brokers, "framed.credits"), first_bytes(brokers, "framed.touchpoints"));
    assert!(credits.contains(&0) && credits.contains(&0x0a), "frames and plain rows: {credits:?}");
    assert!(touches.contains(&0) && touches.contains(&0x0a), "{touches:?}");
}

/// The first bytes of the values of a topic, each once.
fn first_bytes(brokers: &str, topic: &str) -> BTreeSet<u8> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "others").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    (0..4).for_each(|partition| drop(list.add_partition_offset(topic, partition, Offset::Beginning)));
    consumer.assign(&list).unwrap();
    let (mut bytes, mut ended) = (BTreeSet::new(), 0);
    while ended < 4 {
        match consumer.poll(Duration::from_secs(30)).unwrap() {
            Ok(record) => bytes.extend(record.payload().and_then(|value| value.first().copied())),
            Err(KafkaError::PartitionEOF(_)) => ended += 1,
            Err(error) => panic!("{error}"),
        }
    }
    bytes
}
