//! `explain` and `profile` beside running processes on real Kafka: they know what was credited a second ago, from any machine; and where
//! nobody can be asked, what they say of the disk is true.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{RECEIVED_MS, Raw, golden, history, pipeline, run, send, tailed_table, tributary};
use tributary_cli::ask::{self, Place, Places};
use tributary_cli::source;
use tributary_pipeline::explain::{Explanation, StageFreshness, explain};
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_pipeline::time::{minute, now_ms};
use tributary_runtime::config::{Sources, load};
use tributary_runtime::exactly_once::Inputs;
use tributary_runtime::state::{RocksStore, Snapshot, StoreBudget};
use tributary_runtime::topic::Topic;

const DEAL: &str = "closed_won:006X";
/// So much that stores need not make room by writing to the disk.
const ROOM: &str = "worker.memory_mb=1024";
/// Longest wait for what must come; far more than it takes.
const PATIENCE: Duration = Duration::from_mins(4);

/// The broker of this test binary.
fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Option<String>> = OnceLock::new();
    BROKER.get_or_init(support::broker).as_deref()
}

/// Asks until there is an answer.
#[track_caller]
fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(found) => assert!(begun.elapsed() < PATIENCE, "{what}: {found}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn with(sets: &[String], more: &[String]) -> Vec<String> {
    [sets, more].concat()
}

/// As from a machine that has no state.
fn elsewhere(sets: &[String], folder: &Path) -> Vec<String> {
    with(sets, &[format!("state.path={}", folder.join("nothing here").display())])
}

fn process(sets: &[String], folder: &Path, name: &str) -> Vec<String> {
    with(sets, &[format!("kafka.instance={name}"), format!("state.path={}", folder.join(name).display())])
}

fn settings(sets: &[String]) -> Settings {
    let mut flags = sets.to_vec();
    flags.push("identity.free_mail=[\"freemail.example\"]".into());
    load(&Sources { flags, ..Sources::default() }).unwrap()
}

fn command(sets: &[String], args: &[&str]) -> Output {
    tributary(sets).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Result<Value, String> {
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Where the state of every partition is read.
fn sources(settings: &Settings) -> BTreeMap<(&'static str, u32), Result<String, String>> {
    let told = |place| match place {
        Place::Process { instance, .. } => Ok(instance),
        Place::Disk { why, .. } | Place::Nowhere { why } => Err(why),
    };
    Places::find(settings).places.into_iter().map(|(of, place)| (of, told(place))).collect()
}

/// Waits until exactly these processes show all partitions.
fn until_shown_by(settings: &Settings, names: &[&str]) {
    until("all partitions are shown", || {
        let found = sources(settings);
        let all: Option<BTreeSet<&str>> = found.values().map(|of| of.as_deref().ok()).collect();
        if all == Some(names.iter().copied().collect()) { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Waits until the credits in the log are those of these records.
fn until_credited(sets: &[String], records: &[Raw]) {
    let expected = support::table_of(records);
    until("all is credited", || {
        let found = support::table_text(&tailed_table(sets));
        if found == expected { Ok(()) } else { Err(format!("{} bytes of {}", found.len(), expected.len())) }
    });
}

/// Every milestone with its explanation.
fn explained(settings: &Settings, milestones: &BTreeSet<String>) -> (Vec<Explanation>, Vec<StageFreshness>) {
    let pipeline = Pipeline::compile(settings).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut states = ask::open(settings).unwrap();
    let explanations = milestones.iter().map(|id| explain(&mut states, &pipeline, id, None).unwrap()).collect();
    (explanations, states.freshness(settings).stages)
}

fn replayed(records: &[Raw], milestones: &BTreeSet<String>) -> Vec<Explanation> {
    let settings = support::settings();
    let pipeline = Pipeline::compile(&settings).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut replay = Replay::new(&settings, 4).unwrap_or_else(|problems| panic!("{problems:?}"));
    records.iter().for_each(|(topic, record)| replay.append(*topic, RECEIVED_MS, record));
    replay.run().unwrap();
    milestones.iter().map(|id| explain(replay.snapshot(), &pipeline, id, None).unwrap()).collect()
}

#[test]
fn recent_credit_is_explained_and_answers_from_disk_give_their_age() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "fresh", folder.path(), &[ROOM.to_owned()]);
    let records = golden();
    let running = run(&sets, &[]);
    let anywhere = elsewhere(&sets, folder.path());
    until_shown_by(&settings(&anywhere), &[&gethostname()]);
    send(&sets, &records);
    until("the deal is credited", || {
        let table = tailed_table(&sets);
        let credited = table.rows().any(|row| row.milestone_id == DEAL);
        if credited { Ok(()) } else { Err(format!("{} updates", table.updates())) }
    });

    // Most of it has not reached the disk.
    assert!(behind(&settings(&sets)).values().sum::<u64>() > 0);
    for sets in [&sets, &anywhere] {
        let found = json(&command(sets, &["explain", DEAL, "--json"])).unwrap();
        assert!(!found["credit"].as_array().unwrap().is_empty(), "{found}");
        let read = found["freshness"]["stages"].as_array().unwrap();
        assert!(read.len() > 2 && read.iter().skip(1).all(|stage| stage["source"] == "process"), "{found}");
    }
    until_credited(&sets, &records);
    let person = until("the answer is of all there is", || {
        let found = command(&anywhere, &["profile", "email:zhang@b-corp.example"]);
        let said = text(&found.stdout);
        if found.status.success() && said.starts_with("email||zhang") { Ok(said) } else { Err(said + &text(&found.stderr)) }
    });
    assert!(person.contains("account 001B"), "{person}");
    let unknown = command(&anywhere, &["profile", "phone:13912345678"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("no event has named this phone"), "{}", text(&unknown.stderr));

    // No process runs any more: the answer from disk is reported as old, with the exact number of newer records.
    running.kill();
    let denied = until("the group has forgotten the process", || {
        let denied = command(&sets, &["explain", DEAL]);
        let said = text(&denied.stderr);
        if said.contains("no running process holds it") { Ok((denied.status.code(), said)) } else { Err(said) }
    });
    assert_eq!(denied.0, Some(1), "{}", denied.1);
    let of_deal = |name: &str| tributary_proto::partition::of(name.as_bytes(), 4);
    let disk = settings(&sets);
    // It has looked for the milestone in one partition of identity, for the milestone and for those of the same object.
    let mut looked: BTreeSet<u32> = BTreeSet::from([of_deal(DEAL)]);
    let pipeline = Pipeline::compile(&disk).unwrap_or_else(|problems| panic!("{problems:?}"));
    looked.extend(pipeline.plan().kinds().map(|kind| of_deal(&format!("{kind}:006X"))));
    let newer: u64 = looked.iter().map(|partition| behind(&disk)[&("identity", *partition)]).sum();
    let line = format!("As of {}", &now()[..10]);
    assert!(
        denied.1.contains(&line) && denied.1.contains(&format!(": {newer} records in the topics are newer")),
        "{newer}: {}",
        denied.1
    );

    let nowhere = command(&anywhere, &["explain", DEAL]);
    assert_eq!(nowhere.status.code(), Some(1));
    let said = text(&nowhere.stderr);
    assert!(said.contains("no state can be read") && said.contains("no running process holds it"), "{said}");

    // Started again, it finds all of it in the changelog, and answers at its new address.
    let _running = run(&sets, &[]);
    let found = until("it is back", || json(&command(&anywhere, &["explain", DEAL, "--json"])));
    assert!(!found["credit"].as_array().unwrap().is_empty(), "{found}");
}

/// Now, as times are shown.
fn now() -> String {
    minute(now_ms())
}

#[test]
fn any_instance_answers_for_all_partitions() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "many", folder.path(), &[ROOM.to_owned()]);
    let (a, b) = (process(&sets, folder.path(), "a"), process(&sets, folder.path(), "b"));
    let anywhere = settings(&elsewhere(&sets, folder.path()));
    let records = history(60, 31, false);
    let (early, _) = records.split_at(records.len() / 2);
    let running_a = run(&a, &[]);
    let running_b = run(&b, &[]);
    until_shown_by(&anywhere, &["a", "b"]);
    send(&sets, early);
    until_credited(&sets, early);
    check(&sets, &anywhere, early, &["a", "b"]);

    // The other one takes over what it held, and all that has come meanwhile.
    running_a.kill();
    send(&sets, &records[early.len()..]);
    until_credited(&sets, &records);
    until_shown_by(&anywhere, &["b"]);
    check(&sets, &anywhere, &records, &["b"]);

    // Killed too, it leaves a disk that is behind by the number that is reported.
    running_b.kill();
    let disk = settings(&b);
    until("no process is named", || {
        let found = sources(&disk);
        let gone = found.values().all(|of| of.as_ref().is_err_and(|why| why.contains("no running process holds it")));
        if gone { Ok(()) } else { Err(format!("{found:?}")) }
    });
    check_newer(&disk);
}

/// The processes' answer for every milestone is that of a replay, and it comes from all of them.
fn check(sets: &[String], anywhere: &Settings, records: &[Raw], names: &[&str]) {
    let milestones: BTreeSet<String> = tailed_table(sets).rows().map(|row| row.milestone_id.to_owned()).collect();
    assert!(milestones.len() > 5);
    let expected = replayed(records, &milestones);
    let read = until("the answers are those of a replay", || {
        let (found, read) = explained(anywhere, &milestones);
        let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        differing.map_or(Ok(read), |(found, expected)| Err(format!("{found:?}\nis not\n{expected:?}")))
    });
    let asked: BTreeSet<&str> = read.iter().filter_map(|stage| stage.instance.as_deref()).collect();
    assert_eq!(asked, names.iter().copied().collect::<BTreeSet<_>>());
    assert!(read.iter().skip(1).all(|stage| stage.source == "process"), "{read:?}");
}

/// The records of the inboxes behind the offsets of the stores on the disk.
fn behind(disk: &Settings) -> BTreeMap<(&'static str, u32), u64> {
    let budget = StoreBudget::new(8 << 20);
    let mut from: BTreeMap<(&'static str, u32), Inputs> = BTreeMap::new();
    for store in tributary_cli::state::stores(disk) {
        let inputs = RocksStore::open_read_only(&store.path, &budget).unwrap().inputs().unwrap().unwrap_or_default();
        from.insert((store.stage, store.partition), inputs);
    }
    let mut expected: BTreeMap<(&'static str, u32), u64> = from.keys().map(|of| (*of, 0)).collect();
    for (stage, topic) in [("identity", Topic::IdentityInbox), ("attributor", Topic::AttributorInbox)] {
        source::each(disk, topic, &mut |found| {
            let of = (stage, found.partition);
            let next = from.get(&of).and_then(|inputs| inputs.next.get(&topic)).copied().unwrap_or(0);
            if let Some(count) = expected.get_mut(&of) {
                *count += u64::from(found.offset >= next);
            }
            Ok(())
        })
        .unwrap();
    }
    expected
}

/// The number of newer records that is reported is the number that the disk is behind.
fn check_newer(disk: &Settings) {
    let (mut states, expected) = (ask::open(disk).unwrap(), behind(disk));
    for (stage, partition) in expected.keys() {
        states.state(stage, *partition).unwrap();
    }
    let freshness = states.freshness(disk);
    let told: BTreeMap<(&str, u32), u64> = freshness
        .stages
        .iter()
        .filter_map(|stage| Some(((stage.stage.as_str(), stage.partition?), stage.newer_records?)))
        .collect();
    assert_eq!(told, expected);
    assert!(freshness.exact && !freshness.current && expected.values().sum::<u64>() > 0, "{freshness:?}");
}

#[test]
fn an_unreachable_process_is_named_with_what_to_configure() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "closed", folder.path(), &["kafka.instance=closed-one".to_owned()]);
    // As seen from another machine: nobody listens there.
    let _running = run(&with(&sets, &["admin.advertise=127.0.0.1:1".to_owned()]), &[]);
    let anywhere = elsewhere(&sets, folder.path());
    let said = until("its address is known", || {
        let found = command(&anywhere, &["explain", DEAL]);
        let said = text(&found.stderr);
        assert_eq!(found.status.code(), Some(1), "{said}");
        if said.contains("cannot be asked") { Ok(said) } else { Err(said) }
    });
    for part in
        ["the process closed-one holds it", "127.0.0.1:1 cannot be reached", "admin.listen, admin.advertise and admin.token"]
    {
        assert!(said.contains(part), "{said}");
    }

    // Without the right token, the error names the wrong setting.
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(brokers, "guarded", folder.path(), &[]);
    let token = with(&sets, &["admin.token=sentinel-token-51".to_owned()]);
    let _running = run(&token, &[]);
    until_shown_by(&settings(&elsewhere(&token, folder.path())), &[&gethostname()]);
    let found = command(&elsewhere(&sets, folder.path()), &["explain", DEAL]);
    let said = text(&found.stderr);
    assert!(said.contains("401") && said.contains("set admin.token") && !said.contains("sentinel"), "{said}");
}

fn gethostname() -> String {
    Settings::default().kafka.instance_name()
}
