//! What goes wrong in one place of a pipeline on real Kafka, and what goes on beside it: a process that cannot work, an upload that is junk,
//! a raw topic that grows.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tributary_cli::backlog::{Places, left_kafka};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::topic::Topic;

use crate::support::audit::differences;
use crate::support::watched::{Recording, Watched, table};
use crate::support::{self, Raw, history, pipeline, send, succeed, tributary};

/// Longest wait for anything: a failing test ends, a slow machine passes.
const PATIENCE: Duration = Duration::from_secs(180);

/// The broker of this test binary.
fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Option<String>> = OnceLock::new();
    BROKER.get_or_init(support::broker).as_deref()
}

fn settings(brokers: &str, name: &str) -> Settings {
    let mut settings = support::settings();
    settings.kafka.brokers = brokers.to_owned();
    settings.kafka.group_prefix = name.to_owned();
    settings.topics.prefix = name.to_owned();
    settings
}

fn process(sets: &[String], name: &str, folder: &Path) -> Command {
    let mut command = tributary(sets);
    let state = folder.join(name);
    command.args(["--set", &format!("kafka.instance={name}"), "--set", &format!("state.path={}", state.display()), "run"]);
    command
}

fn start(sets: &[String], name: &str, folder: &Path) -> Watched {
    Watched::start(process(sets, name, folder), folder.join(format!("{name}.log")))
}

/// Waits until the stages have read everything except stopped partitions; no process may end meanwhile.
fn read(settings: &Settings, stopped: &Places, running: &mut [&mut Watched]) {
    let until = Instant::now() + PATIENCE;
    loop {
        // A broker that is slow to answer gets another request.
        let left = match left_kafka(settings, &StageName::ALL, stopped) {
            Ok(None) => return,
            Ok(Some(left)) => left.to_string(),
            Err(error) => error.to_string(),
        };
        running.iter_mut().for_each(|process| drop(process.wait("running", |look| look.live == Some(true))));
        assert!(Instant::now() < until, "{left}");
        sleep(Duration::from_millis(300));
    }
}

/// The end of a partition. One that was just added has no leader for a moment.
fn end_of(producer: &BaseProducer, topic: &str, partition: i32) -> i64 {
    let until = Instant::now() + PATIENCE;
    loop {
        match producer.client().fetch_watermarks(topic, partition, PATIENCE) {
            Ok((_, end)) => return end,
            Err(error) => assert!(Instant::now() < until, "{topic}/{partition}: {error}"),
        }
        sleep(Duration::from_millis(100));
    }
}

fn produce(brokers: &str, topic: &str, partition: i32, records: &[Vec<u8>]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    // One that was just added is not known at once, and a record for one that is not known is dropped.
    let known =
        || producer.client().fetch_metadata(Some(topic), PATIENCE).map_or(0, |found| found.topics()[0].partitions().len());
    let until = Instant::now() + PATIENCE;
    while known() <= partition as usize {
        assert!(Instant::now() < until, "{topic}/{partition} is not there");
        sleep(Duration::from_millis(50));
    }
    let end = || end_of(&producer, topic, partition);
    let before = end();
    for record in records {
        let to: BaseRecord<'_, (), [u8]> = BaseRecord::to(topic).partition(partition).payload(record);
        producer.send(to).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    assert_eq!(end() - before, records.len() as i64, "delivered to {topic}/{partition}");
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn junk_in_one_partition_stops_that_one_until_it_is_accepted() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "poisoned", folder.path(), &["worker.dead_letters.in_a_row=20".to_owned()]);
    let settings = settings(brokers, "poisoned");
    let mut records = history(20, 5, false);
    send(&sets, &records);
    let [mut first, mut second] = ["first", "second"].map(|name| start(&sets, name, folder.path()));
    read(&settings, &Places::new(), &mut [&mut first, &mut second]);

    let recordings = [&first, &second].map(|process| Recording::begin(process.view.clone()));
    let note = |what: &str| recordings.iter().for_each(|recording| recording.note(what));
    note("100 records of junk arrive in offline/2");
    let junk: Vec<Vec<u8>> = (0..100).map(|at| format!("junk {at}").into_bytes()).collect();
    produce(brokers, "poisoned.offline", 2, &junk);
    let standing = |process: &Watched| process.view.look().reasons.contains("offline/2 is stopped");
    let until = Instant::now() + PATIENCE;
    while !standing(&first) && !standing(&second) {
        assert!(Instant::now() < until, "{}\n{}", first.view.log(), second.view.log());
        sleep(Duration::from_millis(100));
    }
    let looks = [first.view.look(), second.view.look()];
    let owner = looks.iter().find(|look| look.reasons.contains("offline/2")).unwrap();
    assert!(owner.ready == Some(false) && owner.reasons.contains("accept offline/2"), "{}", owner.reasons);
    let stopped = owner.series("tributary_stopped_partitions");
    let (labels, one) = stopped.first_key_value().unwrap();
    assert!(stopped.len() == 1 && *one == 1.0, "{stopped:?}");
    for label in ["stage=\"ingest\"", "topic=\"offline\"", "partition=\"2\""] {
        assert!(labels.contains(label), "{labels}");
    }

    note("events arrive in all partitions");
    // All others continue, also through rebalances: the processes share the partitions again.
    let more = history(20, 6, false);
    send(&sets, &more);
    records.extend(more);
    let only: Places = [(Topic::Offline, 2)].into();
    // What was sent to the stopped partition waits behind the junk.
    read(&settings, &only, &mut [&mut first, &mut second]);
    note("the second process is started again");
    second.terminate();
    let mut second = start(&sets, "second", folder.path());
    read(&settings, &only, &mut [&mut first, &mut second]);

    note("tributary dead-letters accept offline/2");
    let mut accept = tributary(&sets);
    accept.args(["dead-letters", "accept", "offline/2"]);
    succeed(accept);
    read(&settings, &Places::new(), &mut [&mut first, &mut second]);
    for process in [&mut first, &mut second] {
        process.wait("ready", |look| look.ready == Some(true));
        let stopped = process.view.look().series("tributary_stopped_partitions");
        assert!(stopped.values().all(|stopped| *stopped == 0.0), "{stopped:?}");
    }
    for recording in recordings {
        println!("{}", table(&recording.end()));
    }
    first.terminate();
    second.terminate();
    records.extend(junk.into_iter().map(|record| (Topic::Offline, record)));
    assert_eq!(differences(&settings, &records), Vec::<String>::new());
}

/// How often partitions have changed hands.
fn rebalances(process: &Watched) -> usize {
    process.view.log().lines().filter(|line| line.contains(" assigned ") || line.contains(" revoked ")).count()
}

#[test]
fn a_process_that_cannot_work_takes_nothing_from_one_that_can() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "beside", folder.path(), &[]);
    let settings = settings(brokers, "beside");
    let mut good = start(&sets, "good", folder.path());
    let mut records: Vec<Raw> = history(20, 7, false);
    send(&sets, &records);
    read(&settings, &Places::new(), &mut [&mut good]);
    good.wait("ready", |look| look.ready == Some(true));
    let (before, committed) = (rebalances(&good), good.view.look().sum("tributary_records_in_total").unwrap());

    // Below a file no folder can be made, not even by root; and where one listens no other can.
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let recording = Recording::begin(good.view.clone());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for round in 0..3 {
        recording.note("a process with an unwritable state folder starts");
        let more = history(10, 30 + round, false);
        send(&sets, &more);
        records.extend(more);
        let mut bad = process(&sets, "bad", &file);
        let ended = bad.output().unwrap();
        let said = text(&ended);
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains(&file.join("bad").display().to_string()) && said.contains("set state.path"), "{said}");
    }
    let mut deaf = process(&sets, "deaf", folder.path());
    deaf.args(["--set", &format!("http.listen={address}")]);
    let ended = deaf.output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", text(&ended));
    assert!(text(&ended).contains(&address.to_string()), "{}", text(&ended));

    read(&settings, &Places::new(), &mut [&mut good]);
    assert_eq!(rebalances(&good), before, "{}", good.view.log());
    assert!(good.view.look().sum("tributary_records_in_total").unwrap() > committed);
    println!("{}", table(&recording.end()));
    good.terminate();
    assert_eq!(differences(&settings, &records), Vec::<String>::new());
}

#[test]
fn a_raw_topic_grows_under_load_and_nothing_ends() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "grows", folder.path(), &[]);
    let settings = settings(brokers, "grows");
    let [mut first, mut second] = ["first", "second"].map(|name| start(&sets, name, folder.path()));
    let mut records = history(40, 8, false);
    send(&sets, &records);

    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let grown = runtime.block_on(admin.create_partitions([&NewPartitions::new("grows.sdk", 7)], &AdminOptions::new())).unwrap();
    grown.into_iter().for_each(|done| drop(done.unwrap()));
    // One record into each partition that is new, before anybody has noticed it, and a load on all.
    let more = history(40, 9, false);
    let sdk: Vec<&Raw> = more.iter().filter(|(topic, _)| *topic == Topic::Sdk).collect();
    for (partition, (_, record)) in (4..7).zip(&sdk) {
        produce(brokers, "grows.sdk", partition, std::slice::from_ref(record));
    }
    let rest: Vec<Raw> =
        more.iter().filter(|record| !sdk.iter().take(3).any(|sent| std::ptr::eq(*sent, *record))).cloned().collect();
    send(&sets, &rest);
    records.extend(more);

    read(&settings, &Places::new(), &mut [&mut first, &mut second]);
    for process in [&mut first, &mut second] {
        process.wait("ready", |look| look.ready == Some(true));
    }
    for command in [["topics", "plan"], ["check", "--json"]] {
        let mut planned = tributary(&sets);
        planned.args(command);
        succeed(planned);
    }
    first.terminate();
    second.terminate();
    // One that is started later agrees.
    support::finish(&sets);
    assert_eq!(differences(&settings, &records), Vec::<String>::new());
}

#[test]
fn a_store_that_cannot_be_opened_holds_up_its_partition_alone_until_it_can() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "unopened", folder.path(), &[]);
    let settings = settings(brokers, "unopened");
    // A file where the store's folder should be.
    let stage = folder.path().join("one/identity");
    fs::create_dir_all(&stage).unwrap();
    fs::write(stage.join("2"), b"").unwrap();
    let records = history(20, 11, false);
    send(&sets, &records);
    let mut one = start(&sets, "one", folder.path());
    let held = |reasons: &str| {
        reasons.contains("the state of partition 2 cannot be opened") && reasons.contains("restoring the state of 1 ")
    };
    let look = one.wait("held up at partition 2", |look| held(&look.reasons));
    assert_eq!(look.ready, Some(false));
    let only: Places = [(Topic::IdentityInbox, 2)].into();
    read(&settings, &only, &mut [&mut one]);
    fs::remove_file(stage.join("2")).unwrap();
    read(&settings, &Places::new(), &mut [&mut one]);
    one.wait("ready", |look| look.ready == Some(true));
    one.terminate();
    assert_eq!(differences(&settings, &records), Vec::<String>::new());
}
