//! Strangers at the doors of the real service, on the embedded log: few open files, many idle connections, half of much. Honest senders are
//! answered, health is told, and what was answered 200 is there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::service::Service;
use support::watched::Watched;
use tributary_runtime::descriptors;

const KEY: &str = "a-write-key-0123";
/// `key:` in base64.
const BASIC: &str = "Basic YS13cml0ZS1rZXktMDEyMzo=";
/// Longest wait for anything: a failing test ends, a slow machine passes.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is left of 1,024 files when the system's own are taken: so many connections had the old one for dead.
const STRANGERS: usize = 990;

/// A service that takes events.
struct Door {
    service: Service,
    watched: Watched,
    /// Where it takes them.
    address: String,
    /// The ids of messages that were answered 200.
    answered: BTreeSet<String>,
}

impl Door {
    /// Starts it with at most so many open files.
    fn open(folder: &Path, files: u32, sets: &[&str]) -> Self {
        let mut service = Service::in_folder(folder, 2);
        service.sets.extend(["collector.listen=127.0.0.1:0".into(), format!("collector.write_keys.web={KEY}")]);
        service.sets.extend(sets.iter().map(|set| (*set).to_owned()));
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_tributary")]);
        command.args(["run", "--collect"]).env_remove("TRIBUTARY_CONFIG");
        command.args(service.sets.iter().flat_map(|set| ["--set", set]));
        let watched = Watched::start(command, folder.join("log"));
        let log = watched.view.log();
        let listens = log.lines().find(|line| line.contains("the collector listens")).unwrap();
        let address = listens.split("address=").nth(1).unwrap().trim().to_owned();
        Self { service, watched, address, answered: BTreeSet::new() }
    }

    fn connect(&self) -> TcpStream {
        connect(&self.address)
    }

    /// Sends a message over a connection of its own; its status, `None` where there is no answer.
    fn send(&mut self, id: &str, bytes: usize) -> Option<u16> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        self.send_over(&mut stream, id, bytes)
    }

    fn send_over(&mut self, stream: &mut TcpStream, id: &str, bytes: usize) -> Option<u16> {
        let body = format!(r#"{{"userId": "u", "event": "E", "messageId": "{id}", "pad": "{}"}}"#, "x".repeat(bytes));
        let length = body.len();
        let head = format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: {BASIC}\r\ncontent-length: {length}\r\n\r\n");
        let status = ask(stream, &(head + &body))?;
        if status == 200 {
            self.answered.insert(id.to_owned());
        }
        Some(status)
    }

    /// So many honest messages are all answered with 200, and health is answered meanwhile.
    fn serves(&mut self, name: &str, count: usize) {
        for number in 0..count {
            let status = self.send(&format!("{name}-{number}"), 10);
            assert_eq!(status, Some(200), "{name}-{number}: {}", self.watched.view.log());
            let live = self.watched.view.get("/livez");
            assert_eq!(live.map(|(status, _)| status), Some(200), "{name}-{number}");
        }
    }

    /// Ends it; all that was answered is there.
    fn close(self) {
        self.watched.terminate();
        check_stored(&self.service, &self.answered);
    }
}

fn check_stored(service: &Service, answered: &BTreeSet<String>) {
    let tailed = service.ok(&["tail", "sdk", "--from-beginning", "--until-end"]);
    let message =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["messageId"].as_str().unwrap().to_owned();
    let stored: BTreeSet<String> = tailed.lines().map(message).collect();
    let lost: Vec<_> = answered.difference(&stored).collect();
    assert!(lost.is_empty() && !answered.is_empty(), "{lost:?}");
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The status of the answer to a request; `None` where there is none.
fn ask(stream: &mut TcpStream, request: &str) -> Option<u16> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be refused before all of it was read.
    let _ = stream.write_all(request.as_bytes());
    let (mut heard, mut part) = (String::new(), [0; 4_096]);
    // Answers end with what they are about.
    while !heard.ends_with('}') {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        heard.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    heard.split(' ').nth(1)?.parse().ok()
}

/// Whether this test may open as many files as it needs; prints a line if it may not.
fn has_files(needed: u64) -> bool {
    descriptors::raise();
    let has = descriptors::allowed() > needed;
    if !has {
        eprintln!(
            "==== strangers at the door: NOT TESTED HERE: this process may open {} files only ====",
            descriptors::allowed()
        );
    }
    has
}

#[test]
fn with_few_file_descriptors_idle_connections_block_neither_senders_nor_the_log() {
    if !has_files(STRANGERS as u64 + 200) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut door = Door::open(folder.path(), 1_024, &["worker.memory_mb=256", "collector.rate=0"]);
    door.serves("before", 5);
    let mut strangers: Vec<TcpStream> = (0..STRANGERS).map(|_| door.connect()).collect();
    door.serves("beside", 20);
    for half in ["P", "POST /v1/track HTTP/1.1\r\nhost: a\r\n"] {
        for stranger in strangers.iter_mut().step_by(2) {
            let _ = stranger.write_all(half.as_bytes());
        }
        door.serves(&format!("beside-{}", half.len()), 20);
        // Those that were sent away come again.
        strangers.iter_mut().step_by(3).for_each(|stranger| *stranger = connect(&door.address));
    }
    // Enough for the log to need new files beside them.
    for number in 0..240 {
        assert_eq!(door.send(&format!("large-{number}"), 250_000), Some(200), "{}", door.watched.view.log());
    }
    door.serves("after", 5);
    drop(strangers);
    door.serves("alone", 5);
    door.close();
}

#[test]
fn health_is_answered_beside_idle_connections() {
    if !has_files(1_200) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut door = Door::open(folder.path(), 1_024, &["worker.memory_mb=256"]);
    let log = door.watched.view.log();
    let health = log.split("http=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let mut strangers: Vec<TcpStream> = (0..1_000).map(|_| connect(&health)).collect();
    door.serves("beside", 20);
    strangers.iter_mut().for_each(|stranger| drop(stranger.write_all(b"GET /livez HTTP/1.1\r\n")));
    door.serves("halfway", 20);
    door.close();
}

#[test]
fn half_sent_bodies_stay_within_the_memory() {
    const MEMORY_MB: u64 = 256;
    const HALF: usize = 500_000;
    if !has_files(1_200) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut door = Door::open(folder.path(), 2_048, &[&format!("worker.memory_mb={MEMORY_MB}")]);
    door.serves("before", 2);
    let head = format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: {BASIC}\r\ncontent-length: 1000000\r\n\r\n");
    let half = [head.as_bytes(), &vec![b' '; HALF]].concat();
    let mut strangers = Vec::new();
    for number in 0..900 {
        let mut stranger = door.connect();
        // It may be sent away before it has sent all of it.
        let _ = stranger.write_all(&half);
        strangers.push(stranger);
        if number % 100 == 99 {
            door.serves(&format!("beside-{number}"), 2);
        }
    }
    door.serves("beside", 10);
    let status = fs::read_to_string(format!("/proc/{}/status", door.watched.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kb: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    eprintln!("peak beside 900 half-sent bodies: {peak_kb} KB of {} KB", MEMORY_MB << 10);
    assert!(peak_kb <= (MEMORY_MB << 10) * 11 / 10, "{peak_kb} KB");
    drop(strangers);
    door.close();
}

#[test]
fn a_failed_log_ends_the_process_with_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let mut door = Door::open(folder.path(), 1_024, &["worker.memory_mb=256", "collector.rate=0"]);
    door.serves("before", 5);
    let mut stream = door.connect();
    assert_eq!(door.send_over(&mut stream, "last", 10), Some(200));
    // From now on it gets no file that it does not have, and the log needs one before long.
    let pid = door.watched.id().to_string();
    let few = Command::new("prlimit").args(["--pid", &pid, "--nofile=12:12"]).status();
    if !few.is_ok_and(|status| status.success()) {
        eprintln!("==== a log without files: NOT TESTED HERE: there is no prlimit ====");
        return;
    }
    let until = Instant::now() + PATIENCE;
    let mut sent = 0;
    let status = loop {
        assert!(Instant::now() < until, "it goes on: {}", door.watched.view.log());
        if let Some(status) = door.watched.ended() {
            break status;
        }
        if door.send_over(&mut stream, &format!("large-{sent}"), 250_000) != Some(200) {
            sleep(Duration::from_millis(20));
        }
        sent += 1;
    };
    let log = door.watched.view.log();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("Too many open files") && log.contains("ulimit -n"), "{log}");
    check_stored(&door.service, &door.answered);
    door.service.drain();
}

#[test]
fn check_lists_what_needs_file_descriptors() {
    let folder = tempfile::tempdir().unwrap();
    let state = format!("state.path={}", folder.path().join("state").display());
    let check = |files: u32| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_tributary"), "check"]);
        let sets =
            [&state, "http.listen=127.0.0.1:0", "collector.listen=127.0.0.1:0", "collector.write_keys.web=a-write-key-0123"];
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let output = command.env_remove("TRIBUTARY_CONFIG").output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let line = told.lines().find(|line| line.contains("open files")).unwrap().to_owned();
        (output.status.code(), line)
    };
    let (code, line) = check(4_096);
    assert!(
        code == Some(0)
            && line.starts_with("ok")
            && line.contains("of 4096 open files")
            && line.contains("has 1024 connections"),
        "{line}"
    );
    let (code, line) = check(1_024);
    assert!(
        code == Some(0) && line.contains("of 1024 open files") && line.contains("and not collector.connections_max = 1024"),
        "{line}"
    );
    let (code, line) = check(128);
    assert!(code == Some(1) && line.starts_with("FAILED") && line.contains("LimitNOFILE"), "{line}");
}
