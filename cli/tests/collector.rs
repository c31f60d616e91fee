//! SDKs of others, unchanged, send to the collector; what they sent ends as profiles, touches and credit. Killed and started again in the
//! midst of it, it loses nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::sdks::{self, Sdks};
use support::{Running, broker, finish, pipeline, succeed, tributary};

const KEY: &str = "a-write-key-0123";
/// Messages of one person: page, identify, group, two tracks, alias.
const MESSAGES: usize = 6;

/// A pipeline with a collector.
struct Collected {
    sets: Vec<String>,
    port: u16,
    /// The command that takes events.
    command: &'static [&'static str],
}

impl Collected {
    fn new(mut sets: Vec<String>, command: &'static [&'static str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        sets.push(format!("collector.listen=127.0.0.1:{port}"));
        // SDKs of servers: theirs is a key that no page shows.
        sets.push(format!("collector.write_keys.backend={{ key = \"{KEY}\", trust = \"trusted\" }}"));
        sets.push("ingest.milestone_events.Deal Won=closed_won".to_owned());
        Self { sets, port, command }
    }

    fn embedded(folder: &Path) -> Self {
        let state = format!("state.path={}", folder.join("state").display());
        Self::new(vec![state, "topics.partitions=3".to_owned()], &["run", "--collect"])
    }

    /// Starts it, and waits until it listens.
    fn start(&self) -> Running {
        let mut command = tributary(&self.sets);
        command.args(self.command);
        let running = Running::start(command);
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "the collector does not listen");
            sleep(Duration::from_millis(20));
        }
        running
    }

    fn host(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut command = tributary(&self.sets);
        command.args(args);
        let output = succeed(command).stdout;
        serde_json::Deserializer::from_slice(&output).into_iter().map(Result::unwrap).collect()
    }

    /// Each message id on the raw topic, and how often it is there.
    fn messages(&self) -> BTreeMap<String, usize> {
        let mut messages = BTreeMap::new();
        for message in self.json(&["tail", "sdk", "--from-beginning", "--until-end"]) {
            *messages.entry(message["messageId"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        messages
    }

    /// All that these people have sent is there once: two touches, an email, an account, and a deal with all its value credited.
    fn check(&self, names: &[&str], count: usize) {
        assert_eq!(self.messages().len(), names.len() * count * MESSAGES);
        let mut credit: BTreeMap<String, i64> = BTreeMap::new();
        for update in self.json(&["tail", "credits", "--from-beginning", "--until-end"]) {
            if update["model"] == "linear" {
                let change = update["delta_value_minor"].as_i64().unwrap_or(0);
                *credit.entry(update["milestone_id"].as_str().unwrap().to_owned()).or_default() += change;
            }
        }
        for (name, number) in names.iter().flat_map(|name| (0..count).map(move |number| (name, number))) {
            let user = format!("{name}-{number}");
            assert_eq!(credit.get(&format!("closed_won:{user}")), Some(&10_000), "{user}");
            // To check each of them would take minutes: only the first and the last are checked.
            if number == 0 || number + 1 == count {
                self.check_profile(&user);
            }
        }
        assert_eq!(credit.len(), names.len() * count);
    }

    fn check_profile(&self, user: &str) {
        let profile = self.json(&["profile", &format!("user_id:{user}"), "--json"]).remove(0);
        assert_eq!(profile["account_id"], format!("account-{user}"), "{profile}");
        let identifiers = profile["identifiers"].as_array().unwrap();
        let mut known: Vec<&str> = identifiers.iter().map(|known| known["identifier"].as_str().unwrap()).collect();
        known.sort_unstable();
        let cookie: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        let expected =
            [format!("anonymous_id||{cookie:0>32}"), format!("email||{user}@b-corp.example"), format!("user_id||{user}")];
        assert_eq!(known, expected);
        let touches: i64 = identifiers.iter().map(|known| known["brought"]["touches"].as_i64().unwrap()).sum();
        assert_eq!(touches, 2, "{profile}");
    }
}

/// Starts every SDK at once: the names of their people, and the processes.
fn start(sdks: &Sdks, host: &str, count: usize, pause_ms: u64) -> Vec<(&'static str, Child)> {
    let arguments = [host, KEY];
    let start = |name: &'static str, mut command: Command| {
        let child = command.args(arguments).args([name, &count.to_string(), &pause_ms.to_string()]).spawn().unwrap();
        (name, child)
    };
    vec![
        start("python", sdks.python("python_segment.py")),
        start("node", sdks.node("node_segment.cjs")),
        start("rudder", sdks.node("node_rudder.cjs")),
    ]
}

/// Waits until they have delivered everything; returns the names of their people.
fn wait(senders: Vec<(&'static str, Child)>) -> Vec<&'static str> {
    let ended = senders.into_iter().map(|(name, mut child)| {
        assert!(child.wait().unwrap().success(), "{name} has given messages up");
        name
    });
    ended.collect()
}

/// Kills the collector twice while they send, with a pause in which nobody listens.
fn send_and_kill(collected: &Collected, sdks: &Sdks, count: usize) -> Vec<&'static str> {
    let mut running = collected.start();
    let mut senders = start(sdks, &collected.host(), count, 40);
    for milliseconds in [900, 1_300] {
        sleep(Duration::from_millis(milliseconds));
        let sending = senders.iter_mut().any(|(_, sender)| sender.try_wait().unwrap().is_none());
        assert!(sending, "all was sent before the collector was killed");
        running.kill();
        sleep(Duration::from_millis(400));
        running = collected.start();
    }
    let names = wait(senders);
    running.terminate();
    names
}

#[test]
fn sdks_send_to_it_unchanged() {
    let Some(sdks) = sdks::fetch() else { return };
    let folder = tempfile::tempdir().unwrap();
    let collected = Collected::embedded(folder.path());
    let running = collected.start();
    let names = wait(start(&sdks, &collected.host(), 3, 5));
    running.terminate();
    finish(&collected.sets);
    collected.check(&names, 3);
    let twice = collected.messages().into_values().filter(|times| *times > 1).count();
    assert_eq!(twice, 0);
}

#[test]
fn killed_while_they_send_it_loses_nothing() {
    let Some(sdks) = sdks::fetch() else { return };
    let folder = tempfile::tempdir().unwrap();
    let collected = Collected::embedded(folder.path());
    let names = send_and_kill(&collected, &sdks, 60);
    finish(&collected.sets);
    collected.check(&names, 60);
}

#[test]
fn killed_while_they_send_it_loses_nothing_on_kafka() {
    let (Some(sdks), Some(brokers)) = (sdks::fetch(), broker()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let collected = Collected::new(pipeline(&brokers, "collected", folder.path(), &[]), &["collect"]);
    let names = send_and_kill(&collected, &sdks, 60);
    finish(&collected.sets);
    collected.check(&names, 60);
}

#[test]
fn the_embedded_log_is_collected_by_run_and_nobody_is_no_sender() {
    let folder = tempfile::tempdir().unwrap();
    let collected = Collected::embedded(folder.path());
    let mut collect = tributary(&collected.sets);
    let found = collect.arg("collect").output().unwrap();
    assert_eq!(found.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&found.stderr).contains("run --collect"));
    let mut run = tributary(&[collected.sets[0].clone()]);
    let found = run.args(["run", "--collect", "--until-idle", "1"]).output().unwrap();
    assert_eq!(found.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&found.stderr).contains("collector.write_keys"));
}
