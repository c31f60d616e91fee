//! `state restore` beside a service, of a damaged backup, killed at any moment: what is in place is the old state or the new one, whole.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use tributary_cli::state::hold::Hold;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::topic::Topic;

use super::interrupted::records;
use super::support::Running;
use super::support::command::{err, out};
use super::support::kill::{kill_until_done, random};
use super::support::service::Service;

struct Case {
    folder: tempfile::TempDir,
    service: Service,
}

impl Case {
    /// A state with `count` records of `bytes` bytes, and a backup of it; then some records more.
    fn new(count: usize, bytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::in_folder(folder.path(), 1);
        let case = Self { folder, service };
        case.send(count, bytes);
        case.service.ok(&["state", "backup", &case.at("backup")]);
        case.send(3, 10);
        case
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn send(&self, count: usize, bytes: usize) {
        let file = self.at("events.ndjson");
        let line = |number: usize| format!("{{\"n\":{number},\"x\":\"{}\"}}\n", "x".repeat(bytes));
        fs::write(&file, (0..count).map(line).collect::<String>()).unwrap();
        self.service.ok(&["send", "--sdk", &file]);
    }

    fn count(&self) -> usize {
        records(self.folder.path(), Topic::Sdk).len()
    }

    fn restore(&self, from: &str) -> (Option<i32>, String) {
        let found = self.service.command(&["state", "restore", from, "--replace"]);
        (found.status.code(), err(&found) + &out(&found))
    }
}

/// The files below a folder with their content, without the lock files.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !["LOCK", "lock"].iter().any(|name| path.ends_with(name)) {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

#[test]
fn beside_a_running_service_it_is_refused() {
    let case = Case::new(20, 10);
    let mut command = super::support::tributary(&case.service.sets);
    command.args(["run"]);
    let running = Running::start(command);
    while !EmbeddedLog::is_held(Path::new(&case.at("state/log"))).unwrap() {
        std::thread::yield_now();
    }
    let inode = fs::metadata(case.at("state/log")).unwrap().ino();
    for _ in 0..3 {
        let (code, said) = case.restore(&case.at("backup"));
        assert!(code == Some(1) && said.contains("in use by another process"), "{said}");
    }
    assert_eq!(fs::metadata(case.at("state/log")).unwrap().ino(), inode);
    assert!(!Path::new(&case.at("state/log.coming")).exists());
    running.terminate();
    assert_eq!(case.count(), 23);
    let (code, said) = case.restore(&case.at("backup"));
    assert!(code == Some(0) && said.contains("log.replaced"), "{said}");
    assert_eq!(case.count(), 20);
}

#[test]
fn whoever_starts_while_it_is_at_work_is_refused() {
    let case = Case::new(20, 10);
    let hold = Hold::take(Path::new(&case.at("state"))).unwrap();
    let file = case.at("events.ndjson");
    for args in [
        &["run", "--until-idle", "1"][..],
        &["send", "--sdk", &file],
        &["import", &file],
        &["erase", "email:a@b.example", "--yes"],
        &["state", "backup", &case.at("other")],
    ] {
        let found = case.service.command(args);
        assert!(found.status.code() == Some(1) && err(&found).contains("being restored"), "{args:?}: {}", err(&found));
    }
    let (code, said) = case.restore(&case.at("backup"));
    assert!(code == Some(1) && said.contains("in use"), "{said}");
    drop(hold);
    case.service.drain();
    assert_eq!(case.count(), 23);
    // RocksDB's own lock is held as well: who does not know of ours.
    let mut hold = Hold::take(Path::new(&case.at("state"))).unwrap();
    hold.add(Path::new(&case.at("state/log"))).unwrap();
    let other = fs::canonicalize(case.at("state/log")).unwrap();
    assert!(tributary_runtime::embedded::EmbeddedLog::is_in(&other));
}

/// One damage to a backup, by its name.
fn damage(backup: &Path, kind: u64, random: &mut ChaCha8Rng) -> String {
    let all: Vec<PathBuf> = files(backup).into_keys().collect();
    let file = &all[random.next_u64() as usize % all.len()];
    let mut bytes = fs::read(file).unwrap();
    let at = if bytes.is_empty() { 0 } else { random.next_u64() as usize % bytes.len() };
    let name = file.strip_prefix(backup).unwrap().display().to_string();
    let write = |bytes: &[u8]| fs::write(file, bytes).unwrap();
    match kind {
        0 if !bytes.is_empty() => {
            bytes[at] ^= 1 << (random.next_u64() % 8);
            write(&bytes);
            format!("a bit of {name} at {at}")
        }
        1 => {
            write(&bytes[..at]);
            if bytes.is_empty() {
                fs::remove_file(file).unwrap();
            }
            format!("{name} cut at {at}")
        }
        2 => {
            bytes.push(0);
            write(&bytes);
            format!("{name} with a byte more")
        }
        3 => {
            fs::remove_file(file).unwrap();
            format!("{name} gone")
        }
        4 => {
            let away = backup.with_extension("away");
            fs::rename(file, &away).unwrap();
            symlink(&away, file).unwrap();
            format!("{name} a link")
        }
        5 => {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
            format!("{name} a folder")
        }
        6 if !bytes.is_empty() && bytes.iter().any(|byte| *byte != 0) => {
            bytes.fill(0);
            write(&bytes);
            format!("{name} all zeros")
        }
        _ => {
            let other = all.iter().find(|other| *other != file && fs::read(other).unwrap() != bytes).unwrap();
            write(&fs::read(other).unwrap());
            format!("{name} with the content of another")
        }
    }
}

#[test]
fn a_damaged_backup_is_refused_before_anything_changes() {
    let mut random = random("damage");
    let case = Case::new(200, 100);
    let before = files(Path::new(&case.at("state")));
    for round in 0..96 {
        let copy_of = case.folder.path().join("damaged");
        copy(Path::new(&case.at("backup")), &copy_of);
        // A link in a manifest's place is read like the manifest: it is what it was.
        let what = loop {
            let what = damage(&copy_of, round % 8, &mut random);
            if what != "backup.json a link" {
                break what;
            }
            fs::remove_file(copy_of.join("backup.json")).unwrap();
            fs::copy(case.at("backup/backup.json"), copy_of.join("backup.json")).unwrap();
        };
        let (code, said) = case.restore(copy_of.to_str().unwrap());
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(said.contains("damaged") || said.contains("no backup, or not a whole one"), "{what}: {said}");
        assert!(before == files(Path::new(&case.at("state"))), "{what}: the state is not as it was");
        let _ = fs::remove_dir_all(&copy_of);
        let _ = fs::remove_file(copy_of.with_extension("away"));
    }
    assert_eq!(case.count(), 203);
}

#[test]
fn the_backup_and_the_state_lie_apart() {
    let case = Case::new(20, 10);
    for inside in ["state/backup", "state/log/backup", "state/../state/x/../backup"] {
        let found = case.service.command(&["state", "backup", &case.at(inside)]);
        assert!(found.status.code() == Some(1) && err(&found).contains("must not be inside one another"), "{}", err(&found));
    }
    symlink(case.at("state"), case.at("link")).unwrap();
    let found = case.service.command(&["state", "backup", &case.at("link/backup")]);
    assert!(err(&found).contains("must not be inside one another"), "{}", err(&found));
    let dangling = case.at("dangling");
    symlink(case.at("nowhere"), &dangling).unwrap();
    assert!(err(&case.service.command(&["state", "backup", &dangling])).contains("exists"));

    // The state itself, and folders that are no backups.
    for from in ["state", "state/log", ".", "nowhere", "events.ndjson"] {
        let (code, said) = case.restore(&case.at(from));
        assert!(code == Some(1) && said.contains("no backup, or not a whole one"), "{from}: {said}");
    }
    // A backup that was moved into the log's folder, and one that contains the state folder.
    copy(Path::new(&case.at("backup")), Path::new(&case.at("state/log/inner")));
    let (code, said) = case.restore(&case.at("state/log/inner"));
    assert!(code == Some(1) && said.contains("must not be inside one another"), "{said}");
    fs::remove_dir_all(case.at("state/log/inner")).unwrap();
    assert_eq!(case.count(), 23);
    // By a link, and with more in the folder than there was: it is the same backup.
    symlink(case.at("backup"), case.at("monday")).unwrap();
    fs::write(case.at("backup/notes.txt"), "mine").unwrap();
    assert_eq!(case.restore(&case.at("monday")).0, Some(0));
    assert_eq!(case.count(), 20);
    assert!(!Path::new(&case.at("state/notes.txt")).exists());
}

#[test]
fn a_log_that_is_a_link_to_another_disk_stays_there() {
    let case = Case::new(20, 10);
    fs::create_dir(case.at("disk")).unwrap();
    fs::rename(case.at("state/log"), case.at("disk/log")).unwrap();
    symlink(case.at("disk/log"), case.at("state/log")).unwrap();
    assert_eq!(case.restore(&case.at("backup")).0, Some(0));
    assert_eq!(case.count(), 20);
    assert!(Path::new(&case.at("state/log")).is_symlink() && Path::new(&case.at("disk/log.replaced")).is_dir());
}

#[test]
fn what_was_accepted_is_in_the_backup() {
    let case = Case::new(20, 10);
    case.service.ok(&["dead-letters", "accept", "offline/0"]);
    fs::remove_dir_all(case.at("backup")).unwrap();
    case.service.ok(&["state", "backup", &case.at("backup")]);
    fs::remove_dir_all(case.at("state")).unwrap();
    assert_eq!(case.restore(&case.at("backup")).0, Some(0));
    assert!(Path::new(&case.at("state/log/accepted/offline-0")).is_file());
}

#[test]
fn backups_of_an_older_version_are_restored_too() {
    let case = Case::new(20, 10);
    let manifest = case.at("backup/backup.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    old["version"] = 1.into();
    old.as_object_mut().unwrap().retain(|key, _| key != "files" && key != "sha256");
    fs::write(&manifest, old.to_string()).unwrap();
    // A newer one is not read, and nobody strips one of its checksums.
    let mut newer = old.clone();
    newer["version"] = 3.into();
    let mut stripped = old.clone();
    stripped["version"] = 2.into();
    for wrong in [newer, stripped] {
        fs::write(&manifest, wrong.to_string()).unwrap();
        assert_eq!(case.restore(&case.at("backup")).0, Some(1));
    }
    fs::write(&manifest, old.to_string()).unwrap();
    assert_eq!(case.restore(&case.at("backup")).0, Some(0));
    assert_eq!(case.count(), 20);
}

#[test]
fn killed_at_any_moment_the_state_is_the_old_or_the_new_one() {
    let mut random = random("restore");
    let case = Case::new(12_000, 1_500);
    let (mut olds, mut news, mut kills) = (0, 0, 0);
    // About when the new state takes its place: sooner after a kill that came too late, later after one that came too soon.
    let mut about_us = 300_000;
    for round in 0..25 {
        let command = || {
            let mut command = super::support::tributary(&case.service.sets);
            command.args(["state", "restore", &case.at("backup"), "--replace"]);
            command
        };
        let mut child = command().stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(about_us / 2 + random.next_u64() % about_us));
        let _ = child.kill();
        kills += usize::from(!child.wait().unwrap().success());
        match case.count() {
            12_000 => (news, about_us) = (news + 1, about_us * 3 / 4),
            other if other > 12_000 => (olds, about_us) = (olds + 1, about_us * 4 / 3),
            other => panic!("round {round}: {other} records"),
        }
        let info = case.service.command(&["state", "verify"]);
        assert!(info.status.success(), "round {round}: {}", err(&info));
        case.send(1, 10);
    }
    eprintln!("{kills} kills of restore: {olds} times the old state, {news} times the new one");
    assert!(olds > 0 && news > 0);
    let again = || {
        let mut command = super::support::tributary(&case.service.sets);
        command.args(["state", "restore", &case.at("backup"), "--replace"]);
        command
    };
    kill_until_done(&again, &|| false, &mut random, 300_000);
    assert_eq!(case.count(), 12_000);
    let mut left: Vec<String> =
        fs::read_dir(case.at("state")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.retain(|name| !name.starts_with("unfinished-"));
    left.sort();
    assert_eq!(left, ["lock", "log", "log.replaced"]);
}

#[test]
fn a_missing_log_is_not_replaced_by_an_empty_one() {
    let case = Case::new(20, 10);
    assert_eq!(case.restore(&case.at("backup")).0, Some(0));
    fs::rename(case.at("state/log"), case.at("state/log.coming")).unwrap();
    fs::write(case.at("state/log.coming/RESTORING"), "copying").unwrap();
    let file = case.at("events.ndjson");
    for args in [&["run", "--until-idle", "1"][..], &["send", "--sdk", &file], &["state", "info"], &["state", "verify"]] {
        let found = case.service.command(args);
        let said = err(&found);
        assert!(
            found.status.code() == Some(1) && said.contains("log.coming") && said.contains("state restore"),
            "{args:?}: {said}"
        );
        assert!(!Path::new(&case.at("state/log")).exists(), "{args:?}");
    }
    // Verified, it is put in its place by whoever comes first.
    fs::write(case.at("state/log.coming/RESTORING"), "whole").unwrap();
    let found = case.service.command(&["state", "info"]);
    assert!(found.status.success() && err(&found).contains("was finished"), "{}", err(&found));
    assert_eq!(case.count(), 20);
    // Only what was replaced is there.
    fs::remove_dir_all(case.at("state/log")).unwrap();
    let found = case.service.command(&["run", "--until-idle", "1"]);
    assert!(err(&found).contains("log.replaced"), "{}", err(&found));
    fs::rename(case.at("state/log.replaced"), case.at("state/log")).unwrap();
    case.service.drain();
    assert_eq!(case.count(), 23);
}
