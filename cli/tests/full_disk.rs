//! A disk without room: what runs waits for some and goes on, and nothing is missing then. What writes files fails and says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::command::{err, tributary};
use support::disk::{DISK_MB, fill, namespace};
use support::service::Service;

/// 40,000 events: several times what the write buffers hold.
const PEOPLE: &str = "2000";

/// A small disk, and a service that works on it and is audited.
struct SmallDisk {
    service: Service,
    folder: PathBuf,
    log: PathBuf,
}

impl SmallDisk {
    /// Sends a history to `service`, whose state is in `folder`, processes it, and audits.
    fn work(&self, mut unshare: Command) -> Child {
        let history = self.folder.join("history");
        let file = |name: &str| history.join(name).to_str().unwrap().to_owned();
        self.service.ok(&[
            "generate",
            "--out",
            history.to_str().unwrap(),
            "--people",
            PEOPLE,
            "--seed",
            "3",
            "--messy",
            "--json",
        ]);
        let script = format!(
            "set -e; mount -t tmpfs -o size={DISK_MB}m tmpfs {}; t() {{ {} \"$@\" --config {} {}; }}; {}
             t send --json --sdk {} --utm {} --webhook {} --offline {}; t run --until-idle 1; t audit",
            self.state().display(),
            env!("CARGO_BIN_EXE_tributary"),
            file("market.toml"),
            self.service.sets.iter().map(|set| format!("--set '{set}' ")).collect::<String>(),
            if self.service.sets.iter().any(|set| set.starts_with("kafka")) { "t topics create" } else { ":" },
            file("sdk.ndjson"),
            file("utm.ndjson"),
            file("webhook.ndjson"),
            file("offline.ndjson"),
        );
        let log = File::create(&self.log).unwrap();
        unshare.args(["sh", "-c", &script]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn wait(&self, child: &mut Child, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(120);
        while !is_so(self) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before {what}: {}", self.log());
            assert!(Instant::now() < until, "never {what}: {}", self.log());
            sleep(Duration::from_millis(5));
        }
    }
}

fn waits_for_room_and_goes_on(service: Service, folder: &Path, working: &str) {
    let Some(unshare) = namespace() else { return };
    let disk = SmallDisk { service, folder: folder.to_owned(), log: folder.join("log") };
    fs::create_dir(disk.state()).unwrap();
    let mut child = disk.work(unshare);
    let seen = PathBuf::from(format!("/proc/{}/root{}", child.id(), disk.state().display()));
    disk.wait(&mut child, "at work", |disk| disk.log().contains("started") && seen.join(working).exists());
    let filler = seen.join("filler");
    fill(&filler);
    disk.wait(&mut child, "out of room", |disk| disk.log().contains("No space left") || disk.log().contains("no space left"));
    sleep(Duration::from_secs(2));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait: {}", disk.log());
    fs::remove_file(&filler).unwrap();
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{}", disk.log());
    assert!(disk.log().contains("All of it adds up."), "{}", disk.log());
}

#[test]
fn the_embedded_log_waits_for_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 2);
    service.sets.push("worker.memory_mb=256".into());
    waits_for_room_and_goes_on(service, folder.path(), "log/CURRENT");
}

#[test]
fn a_worker_on_kafka_waits_for_room() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 2);
    service.sets.extend(["worker.memory_mb=256".into(), format!("kafka.brokers={brokers}")]);
    waits_for_room_and_goes_on(service, folder.path(), "attributor/1/CURRENT");
}

#[test]
fn a_replay_fails_where_a_file_cannot_be_written_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let deal = r#"{"timestamp": "2024-03-09T10:00:00Z", "email": "zhang@b-corp.example", "kind": "milestone",
        "milestone": "closed_won", "object_id": "006X", "value": "100.00", "currency": "CNY"}"#;
    fs::write(file("offline.ndjson"), deal.replace('\n', "")).unwrap();
    for (results, name) in [("a", "credits.ndjson"), ("b", "credit-table.ndjson"), ("c", "milestones.ndjson")] {
        let results = folder.path().join(results);
        fs::create_dir(&results).unwrap();
        // So few updates are written at the end only.
        std::os::unix::fs::symlink("/dev/full", results.join(name)).unwrap();
        let replayed = tributary(&["replay", "--offline", &file("offline.ndjson"), "--out", results.to_str().unwrap()]);
        assert!(!replayed.status.success(), "{name}");
        assert!(err(&replayed).contains(name) && err(&replayed).contains("No space left"), "{}", err(&replayed));
    }
}
