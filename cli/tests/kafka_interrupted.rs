//! `send` and `import` to real Kafka, killed at any moment and given again: each record once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use rand_chacha::ChaCha8Rng;
use support::kill::{kill_until_done, random};
use tributary_runtime::topic::Topic;

fn command(sets: &[String], args: &[&str]) -> Command {
    let mut command = support::tributary(sets);
    command.args(args);
    command
}

/// The records of a topic of one partition, in their order.
fn lines(sets: &[String], topic: Topic) -> Vec<String> {
    let found = support::succeed(command(sets, &["tail", topic.name(), "--from-beginning", "--until-end"]));
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn kill(sets: &[String], args: &[&str], note: &Path, random: &mut ChaCha8Rng, longest_us: u64) -> usize {
    let again = || command(sets, args);
    let kills = kill_until_done(&again, &|| note.exists(), random, longest_us);
    assert!(!note.exists());
    eprintln!("{kills} kills of {}", args[0]);
    kills
}

#[test]
fn a_command_killed_at_any_moment_sends_each_record_once() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (mut sdk, mut utm, mut sheet) = (String::new(), String::new(), "timestamp,user_id\n".to_owned());
    for number in 0..60_000 {
        writeln!(sdk, "{{\"messageId\":\"{number}\"}}").unwrap();
    }
    for number in 0..30_000 {
        writeln!(utm, "{{\"n\":{number}}}").unwrap();
        writeln!(sheet, "{},u{number}", if number % 100 == 7 { "never" } else { "2022-04-13" }).unwrap();
    }
    fs::write(path("sdk.ndjson"), &sdk).unwrap();
    fs::write(path("utm.ndjson"), &utm).unwrap();
    fs::write(path("list.csv"), &sheet).unwrap();
    let (sdk_file, utm_file, list) = (path("sdk.ndjson"), path("utm.ndjson"), path("list.csv"));
    let send = ["send", "--sdk", sdk_file.to_str().unwrap(), "--utm", utm_file.to_str().unwrap()];
    let import = ["import", list.to_str().unwrap()];
    let mut random = random("send and import to Kafka");
    let mut kills = 0;
    for round in 0..2 {
        let name = format!("interrupted{round}");
        let sets = support::pipeline(&brokers, &name, folder.path(), &["topics.partitions=1".to_owned()]);
        kills += kill(&sets, &send, &path("sdk.ndjson.sent"), &mut random, if round == 0 { 300_000 } else { 600_000 });
        assert!(lines(&sets, Topic::Sdk) == sdk.lines().collect::<Vec<_>>(), "{name}: sdk");
        assert!(lines(&sets, Topic::Utm) == utm.lines().collect::<Vec<_>>(), "{name}: utm");
        kills += kill(&sets, &import, &path("list.csv.imported"), &mut random, 300_000);
        let rows = lines(&sets, Topic::Offline);
        let expected: Vec<String> =
            (0..30_000).filter(|number| number % 100 != 7).map(|number| format!("\"u{number}\"")).collect();
        assert_eq!(rows.len(), expected.len());
        assert!(rows.iter().zip(&expected).all(|(row, user)| row.contains(user)), "{name}: offline");
        // Its end was reported: started again, it sends everything again.
        support::succeed(command(&sets, &send));
        assert_eq!(lines(&sets, Topic::Utm).len(), 60_000);
    }
    assert!(kills > 1, "{kills}");
}
