//! The session on a real broker: exactly once, whatever happens between reading and committing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too"
)]
#![cfg(feature = "native")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseRecord, Producer};
use support::counter::{Bench, Counter, LOG, PARTITIONS};
use support::{PATIENCE, produce, produce_aborted, transactional};
use tributary_runtime::kafka::KafkaSession;
use tributary_runtime::log::{LogError, Session};
use tributary_runtime::topic::Topic;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_batch_that_is_given_up_is_done_again_once() {
    let Some(bench) = Bench::new("given-up") else { return };
    bench.feed(3, 10);
    let mut counter = bench.open("a");
    counter.handle(40);
    // Read and handled, then given up before the commit.
    let begun = Instant::now();
    while counter.work().unwrap().1 == 0 {
        assert!(begun.elapsed() < PATIENCE);
    }
    counter.recover().unwrap();
    // Refused in the commit: somebody else had the transactional id for a moment.
    let (transaction, _) = loop {
        let work = counter.work().unwrap();
        if work.1 > 0 {
            break work;
        }
    };
    drop(transactional(&bench.brokers, "given-up-identity-a-0"));
    let refused = counter.session.commit(transaction).unwrap_err();
    assert!(matches!(refused, LogError::Recover { .. }), "{refused}");
    // Until it has recovered, it does nothing.
    assert!(matches!(counter.step(), Err(LogError::Recover { .. })));
    counter.recover().unwrap();
    let left = 120 - counter.handled;
    counter.handle(left);
    counter.close();
    bench.expect(3, 10);
}

#[test]
fn of_two_processes_with_one_name_the_later_one_continues() {
    let Some(bench) = Bench::new("one-name") else { return };
    bench.feed(2, 10);
    let mut first = bench.open("same");
    first.handle(20);
    let mut options = bench.options("same");
    options.state_path = bench.folder.path().join("elsewhere");
    let mut second = Counter::new(options);
    bench.feed(2, 10);
    let why = std::thread::scope(|scope| {
        let stopped = scope.spawn(|| first.stopped());
        let begun = Instant::now();
        while !stopped.is_finished() {
            assert!(begun.elapsed() < PATIENCE);
            second.step_and_recover().unwrap();
        }
        stopped.join().unwrap()
    });
    assert!(why.contains("instance name"), "{why}");
    bench.work_off(&mut second, 160);
    second.close();
    bench.expect(2, 20);
}

#[test]
fn state_that_is_lost_or_behind_is_restored_from_the_changelog() {
    let Some(bench) = Bench::new("restore") else { return };
    let state = bench.folder.path().join("a");
    bench.feed(5, 4);
    let mut counter = bench.open("a");
    counter.handle(80);
    counter.close();

    // As after a crash between the commit in Kafka and the write to RocksDB, only further behind.
    let behind = bench.folder.path().join("behind");
    copy(&state, &behind);
    let mut counter = bench.open("a");
    bench.feed(5, 3);
    produce(&bench.brokers, bench.names.of(Topic::IdentityInbox), &[(0, "key-0-0", "forget"), (1, "key-1-0", "forget")]);
    counter.handle(62);
    counter.close();
    let expected = |counter: &mut Counter| {
        counter.run_until(|counter| counter.slots.len() == PARTITIONS as usize);
        for at in 0..PARTITIONS as u32 {
            for key in 0..5 {
                let forgotten = key == 0 && at < 2;
                assert_eq!(counter.count(at, &format!("key-{at}-{key}")), (!forgotten).then_some(7));
            }
        }
        assert_eq!(counter.handled, 0);
    };
    let replace = |with: Option<&Path>| {
        std::fs::remove_dir_all(&state).unwrap();
        if let Some(with) = with {
            copy(with, &state);
        }
    };

    replace(Some(&behind));
    let mut counter = bench.open("a");
    expected(&mut counter);
    counter.close();

    // So far behind that tombstones may be gone: removed keys must not come back.
    replace(Some(&behind));
    let mut options = bench.options("a");
    options.tombstone_retention_ms = 5_000;
    std::thread::sleep(Duration::from_millis(options.tombstone_retention_ms));
    let mut counter = Counter::new(options);
    expected(&mut counter);
    counter.close();

    replace(None);
    let mut counter = bench.open("a");
    expected(&mut counter);
    // And it continues from there.
    bench.feed(5, 1);
    counter.handle(20);
    assert_eq!((counter.count(0, "key-0-0"), counter.count(3, "key-3-4")), (Some(1), Some(8)));
    counter.close();
}

#[test]
fn offsets_of_aborted_records_and_of_marks_are_no_records() {
    let Some(bench) = Bench::new("gaps") else { return };
    let inbox = bench.names.of(Topic::IdentityInbox).to_owned();
    let changelog = bench.names.of(Topic::IdentityChangelog).to_owned();
    for _ in 0..5 {
        bench.feed(1, 1);
        produce_aborted(&bench.brokers, &inbox, &[(0, "key-0-0", "count"), (1, "key-1-0", "count")]);
        produce_aborted(&bench.brokers, &changelog, &[(0, "foreign", "x"), (1, "foreign", "x"), (2, "foreign", "x")]);
    }
    let mut counter = bench.open("a");
    counter.handle(20);
    produce_aborted(&bench.brokers, &changelog, &[(0, "foreign", "x"), (1, "foreign", "x")]);
    counter.close();
    std::fs::remove_dir_all(bench.folder.path().join("a")).unwrap();
    let mut counter = bench.open("a");
    counter.run_until(|counter| counter.slots.len() == PARTITIONS as usize);
    assert_eq!(counter.count(0, "key-0-0"), Some(5));
    bench.feed(1, 1);
    counter.handle(4);
    counter.close();
    bench.expect(1, 6);
}

#[test]
fn partitions_move_between_processes_and_nothing_is_done_twice() {
    let Some(bench) = Bench::new("move") else { return };
    let total = |records: u64| {
        let bench = &bench;
        move || bench.counted().values().sum::<u64>() >= records
    };
    let run = |counters: &mut [&mut Counter], done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < PATIENCE);
            for _ in 0..10 {
                for counter in counters.iter_mut() {
                    counter.step_and_recover().unwrap();
                }
            }
        }
    };
    bench.feed(3, 10);
    let mut first = bench.open("a");
    first.handle(60);
    let mut second = bench.open("b");
    bench.feed(3, 10);
    run(&mut [&mut first, &mut second], &total(240));
    let begun = Instant::now();
    while first.slots.len() != 2 || second.slots.len() != 2 {
        assert!(begun.elapsed() < PATIENCE, "{} and {} partitions", first.slots.len(), second.slots.len());
        first.step_and_recover().unwrap();
        second.step_and_recover().unwrap();
    }
    bench.feed(3, 5);
    run(&mut [&mut first, &mut second], &total(300));
    assert!(second.handled > 0);
    first.close();
    bench.feed(3, 5);
    run(&mut [&mut second], &total(360));
    assert_eq!(second.slots.len(), 4);
    second.close();
    bench.expect(3, 30);
}

#[test]
fn a_committed_offset_that_retention_removed_stops_the_worker() {
    let Some(bench) = Bench::new("removed") else { return };
    bench.feed(1, 10);
    let mut counter = bench.open("a");
    counter.handle(40);
    counter.close();
    bench.feed(1, 10);
    support::delete_records_before(&bench.brokers, bench.names.of(Topic::IdentityInbox), 2, 15);
    let why = bench.open("a").stopped();
    assert!(why.contains("removed.identity-inbox/2 is to be read from offset 10 and holds 15 to 20"), "{why}");
    assert!(why.contains("--reset-offsets"), "{why}");
}

#[test]
fn offsets_set_back_behind_the_state_stop_the_worker() {
    let Some(bench) = Bench::new("set-back") else { return };
    bench.feed(1, 10);
    let mut counter = bench.open("a");
    counter.handle(40);
    counter.close();
    support::reset_offset(&bench.brokers, "set-back-identity", bench.names.of(Topic::IdentityInbox), 1, 4);
    let why = bench.open("a").stopped();
    assert!(why.contains("reading identity-inbox 10, the group has committed identity-inbox 4"), "{why}");
}

#[test]
fn a_number_of_partitions_that_changes_stops_the_worker_and_the_next_one() {
    let Some(bench) = Bench::new("grown") else { return };
    bench.feed(1, 10);
    let mut counter = bench.open("a");
    counter.handle(40);
    for topic in [Topic::IdentityInbox, Topic::IdentityChangelog] {
        support::add_partitions(&bench.brokers, bench.names.of(topic), 6);
    }
    let why = counter.stopped();
    let expected = "topic grown.identity-inbox has 6 partitions, and the state behind it is spread over 4";
    assert!(why.contains(expected), "{why}");
    counter.close();
    let why = KafkaSession::open(bench.options("a"), LOG).err().unwrap().to_string();
    assert!(why.contains(expected), "{why}");
}

#[test]
fn a_hanging_transaction_is_reported_and_what_follows_it_waits() {
    let Some(bench) = Bench::new("hangs") else { return };
    let options = bench.options("a");
    let gauges = options.gauges.clone();
    let value = |name: &str, at: i32| {
        let (text, place) =
            (gauges.render(), format!("{name}{{stage=\"identity\",topic=\"identity-inbox\",partition=\"{at}\"}} "));
        text.lines().find_map(|line| line.strip_prefix(&place)).map(|value| value.parse::<f64>().unwrap())
    };
    let held_up = |at| value("tributary_held_up_seconds", at);
    let mut counter = Counter::new(options);
    bench.feed(1, 10);
    counter.handle(40);
    let stranger = support::transactional(&bench.brokers, "stranger");
    stranger.begin_transaction().unwrap();
    let record = BaseRecord::to(bench.names.of(Topic::IdentityInbox)).partition(1).key("stranger").payload("count");
    stranger.send(record).map_err(|(error, _)| error).unwrap();
    stranger.flush(support::PATIENCE).unwrap();
    bench.feed(1, 10);
    counter.handle(30);
    counter.run_until(|_| held_up(1).is_some_and(|seconds| seconds > 4.0));
    assert_eq!(held_up(0), Some(0.0));
    stranger.abort_transaction(support::PATIENCE).unwrap();
    counter.handle(10);
    counter.run_until(|_| held_up(1) == Some(0.0));
    counter.run_until(|_| (0..PARTITIONS).all(|at| value("tributary_consumer_lag_records", at) == Some(0.0)));
    counter.close();
    bench.expect(1, 20);
}

#[test]
fn a_missing_topic_is_named() {
    let Some(bench) = Bench::new("missing") else { return };
    let mut options = bench.options("a");
    let mut names = bench.names.clone();
    names.set(Topic::IdentityChangelog, "nowhere");
    options.topics = Arc::new(names);
    let error = KafkaSession::open(options, LOG).err().unwrap().to_string();
    assert!(error.contains("topic nowhere does not exist"), "{error}");
}
