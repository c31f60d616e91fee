//! `audit` beside running processes on real Kafka: what is on its way is not missing, what is lost is, and the last line says so.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use support::{Raw, Running, history, pipeline, run, send, tributary};
use tributary_runtime::topic::Topic;

/// Longest wait for what must come; far more than it takes.
const PATIENCE: Duration = Duration::from_mins(4);

/// The result of an audit: whether the exit code was 0, and the report.
fn audit(sets: &[String]) -> (bool, Value) {
    let found = tributary(sets).args(["audit", "--json"]).output().unwrap();
    let report = serde_json::from_slice(&found.stdout);
    (found.status.success(), report.unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&found.stderr).into_owned())))
}

fn sum(report: &Value, what: &str) -> u64 {
    report["records"].as_array().unwrap().iter().map(|row| row["account"][what].as_u64().unwrap()).sum()
}

/// Audits, each of which must add up, until one is as it should be.
#[track_caller]
fn until(what: &str, sets: &[String], good: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let (well, report) = audit(sets);
        if !is_early(&report) {
            assert!(well && report["verdict"]["adds_up"] == true, "{what}: {report}");
            if good(&report) {
                return report;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: {report}");
    }
}

/// Whether it reports that not all partitions are held yet.
fn is_early(report: &Value) -> bool {
    report.as_str().is_some_and(|told| told.contains("states cannot be read"))
}

fn is_done(report: &Value) -> bool {
    sum(report, "newer") + sum(report, "waiting") == 0
}

/// The last line for people.
fn last_line(sets: &[String]) -> (bool, String) {
    let found = tributary(sets).arg("audit").output().unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    (found.status.success(), text.lines().last().unwrap_or_default().to_owned())
}

fn named(sets: &[String], folder: &Path, name: &str) -> Vec<String> {
    let more = [format!("kafka.instance={name}"), format!("state.path={}", folder.join(name).display())];
    [sets, &more].concat()
}

/// Sets the offset of ingest to the end of the first partition, behind a record that it has not read.
fn lose(brokers: &str, group: &str, topic: &str) {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create().unwrap();
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(end)).unwrap();
    let begun = Instant::now();
    // Not before the group has removed the member that has left.
    while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Audits while records come in: each adds up, and some see records that are under way.
fn adds_up_under_load(sets: &[String], ingest: &[String], records: &[Raw]) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            records.chunks(100).for_each(|records| send(sets, records));
            done.store(true, Ordering::Relaxed);
        });
        let mut under_way = 0;
        while !done.load(Ordering::Relaxed) {
            let (well, report) = audit(ingest);
            if is_early(&report) {
                continue;
            }
            assert!(well && report["verdict"]["adds_up"] == true, "{report}");
            under_way += sum(&report, "newer") + sum(&report, "waiting");
        }
        assert!(under_way > 0, "all was at rest whenever it was looked at");
    });
}

#[test]
fn records_in_progress_are_not_missing_and_lost_ones_are() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&brokers, "audited", folder.path(), &["worker.batch_records=200".to_owned()]);
    let (keeper, ingest) = (named(&sets, folder.path(), "keeper"), named(&sets, folder.path(), "ingest"));
    let keep = || run(&keeper, &["--stages", "identity,attributor"]);
    let mut records = history(120, 41, true);
    records.insert(0, (Topic::Utm, b"poison".to_vec()));
    let (under_load, rest) = records.split_at(records.len() / 2);
    let (behind_disk, behind_process) = rest.split_at(rest.len() / 2);
    let taking: Running = run(&ingest, &["--stages", "ingest"]);

    // Under load, from a machine that has no state.
    let running = keep();
    adds_up_under_load(&sets, &ingest, under_load);
    let report = until("all is processed", &ingest, is_done);
    assert!(sum(&report, "applied") > 500 && sum(&report, "dead") > 0, "{report}");
    assert_eq!(last_line(&ingest), (true, "All of it adds up.".to_owned()));

    // The keeper has stopped: what comes now is behind its disk, and what is not on this machine is named.
    running.terminate();
    send(&sets, behind_disk);
    let report = until("ingest has read it", &keeper, |report| sum(report, "waiting") == 0);
    assert!(sum(&report, "newer") > 100, "{report}");
    let (well, line) = last_line(&keeper);
    assert!(well && line.starts_with("All of it adds up, as far as it was processed: "), "{line}");
    let (well, told) = audit(&ingest);
    assert!(!well && told.as_str().unwrap().contains("8 of 8 states cannot be read"), "{told}");

    // Killed, it leaves a disk that is behind by still more.
    let running = keep();
    until("all is processed", &ingest, is_done);
    send(&sets, behind_process);
    until("all is processed", &ingest, is_done);
    running.kill();
    let report = until("the disk is read", &keeper, |report| sum(report, "newer") > 0);
    assert_eq!((sum(&report, "missing"), sum(&report, "waiting")), (0, 0));

    // A record is lost: it is found to be missing, beside the process that never saw it.
    let running = keep();
    let before = until("all is processed", &ingest, is_done);
    taking.terminate();
    let place = |report: &Value| -> u64 {
        let rows = report["records"].as_array().unwrap();
        let row = rows.iter().find(|row| row["topic"] == "utm" && row["partition"] == 0).unwrap();
        row["account"]["records"].as_u64().unwrap()
    };
    let touch: Raw =
        (Topic::Utm, br#"{"anonymous_id": "lost", "timestamp": "2023-01-01T00:00:00Z", "url": "https://a.example/"}"#.to_vec());
    // To whichever partition it goes: until one has come to the first.
    let report = loop {
        send(&sets, std::slice::from_ref(&touch));
        let (_, report) = audit(&ingest);
        if place(&report) > place(&before) {
            break report;
        }
    };
    assert_eq!(place(&report), place(&before) + 1);
    lose(&brokers, "audited-ingest", "audited.utm");
    let (well, report) = audit(&ingest);
    assert_eq!((well, sum(&report, "missing"), sum(&report, "surplus")), (false, 1, 0), "{report}");
    assert_eq!(report["wrong"].as_array().unwrap().len(), 1);
    assert_eq!(last_line(&ingest), (false, "1 thing does not add up: 1 missing.".to_owned()));
    running.terminate();
}
