//! Files as they come: endless lines, broken bytes, things that are no files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tributary_runtime::topic::Topic;

use super::interrupted::records;
use super::support::command::{err, out};
use super::support::service::Service;

const GOOD: &str = "{\"timestamp\":\"2022-04-13\",\"user_id\":\"u\"}";

/// A file of good lines around bad ones; how many lines are good.
fn around(path: &Path, bad: &[Vec<u8>]) -> usize {
    let mut text = Vec::new();
    for line in bad {
        text.extend_from_slice(GOOD.as_bytes());
        text.push(b'\n');
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(GOOD.as_bytes());
    fs::write(path, text).unwrap();
    bad.len() + 1
}

fn bad_lines() -> Vec<Vec<u8>> {
    let padded = |length: usize| {
        let mut line = GOOD.as_bytes().to_vec();
        line.resize(length, b' ');
        line
    };
    vec![
        vec![b'x'; 5 << 20],
        padded(5 << 20),
        padded((4 << 20) + 1),
        padded(4 << 20),
        padded((1 << 20) + 1),
        [b" ".repeat(5 << 20), GOOD.as_bytes().to_vec()].concat(),
        b"\xff\xfe".to_vec(),
        b"\0".to_vec(),
        [GOOD.as_bytes(), b"\0"].concat(),
        [GOOD.as_bytes(), b"\r", GOOD.as_bytes()].concat(),
        [b"\xef\xbb\xbf\xef\xbb\xbf", GOOD.as_bytes()].concat(),
        b"{".to_vec(),
        b"[".repeat(100_000),
    ]
}

#[test]
fn bad_lines_are_dead_letters_and_all_others_records() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("offline.ndjson");
    let bad = bad_lines();
    let good = around(&file, &bad);
    let said = err(&service.command(&["send", "--offline", file.to_str().unwrap()]));
    assert!(said.contains("line=2 bytes=5242880"), "{said}");
    assert_eq!(records(folder.path(), Topic::Offline).len(), good + bad.len());
    service.drain();
    let list = service.ok(&["dead-letters", "list", "--json", "--max", "1000"]);
    let reasons: Vec<String> =
        list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons.len(), bad.len(), "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| *reason == "record_too_large").count(), 6, "{reasons:?}");
    service.ok(&["audit"]);

    let results = folder.path().join("results");
    service.ok(&["replay", "--offline", file.to_str().unwrap(), "--out", results.to_str().unwrap()]);
    let letters = fs::read_to_string(results.join("dead-letters.ndjson")).unwrap();
    assert_eq!(letters.lines().count(), bad.len(), "replay refuses the same");
}

#[test]
fn an_import_refuses_bad_lines_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("list.ndjson");
    let bad = bad_lines();
    let good = around(&file, &bad);
    let found = service.command(&["import", file.to_str().unwrap(), "--json"]);
    assert_eq!(found.status.code(), Some(1), "{}", err(&found));
    let report: Value = serde_json::from_str(&out(&found)).unwrap();
    let lines: Vec<u64> =
        report["problems"].as_array().unwrap().iter().map(|problem| problem["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=bad.len() as u64).map(|number| 2 * number).collect::<Vec<_>>());
    assert_eq!(records(folder.path(), Topic::Offline).len(), good);
}

#[test]
fn rows_that_are_too_long_or_open_are_refused_and_the_others_sent() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("list.csv");
    let long = "x".repeat(2 << 20);
    let lines = "y\n".repeat(700_000);
    let text = format!(
        "timestamp,user_id,traits.note\n2022-04-13,a,{long}\n2022-04-13,b,\n2022-04-13,c,\"{lines}\"\n2022-04-13,d,\n2022-04-13,e,\"\n\
         2022-04-13,f,\n2022-04-13,g,\n"
    );
    fs::write(&file, text).unwrap();
    let found = service.command(&["import", file.to_str().unwrap(), "--json"]);
    assert_eq!(found.status.code(), Some(1), "{}", err(&found));
    let report: Value = serde_json::from_str(&out(&found)).unwrap();
    let lines: Vec<(u64, &str)> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["line"].as_u64().unwrap(), problem["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 700_006], "{lines:?}");
    assert!(lines[1].1.contains("lines 4 to 700004") && lines[2].1.contains("never closed"), "{lines:?}");
    assert_eq!(records(folder.path(), Topic::Offline).len(), 2, "b and d");
}

#[test]
fn unreadable_files_are_reported_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("good.ndjson");
    fs::write(&file, GOOD).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("link")).unwrap();
    for (bad, said) in
        [("folder", "directory"), ("none", "No such file"), ("link", "No such file"), ("good.ndjson/x", "Not a dir")]
    {
        let bad = folder.path().join(bad);
        for command in ["send", "import"] {
            let args = match command {
                "send" => vec!["send", "--sdk", file.to_str().unwrap(), "--offline", bad.to_str().unwrap()],
                _ => vec!["import", bad.to_str().unwrap()],
            };
            let found = service.command(&args);
            assert!(found.status.code() == Some(1) && err(&found).contains(said), "{args:?}: {}", err(&found));
            assert!(!folder.path().join("state/log").exists(), "{args:?}: nothing was begun");
        }
    }
}

#[test]
fn pipes_and_standard_input_are_sent_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let send = |file: &str| {
        let mut command = super::support::tributary(&service.sets);
        command.args(["send", "--sdk", file]).stdin(Stdio::piped()).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    for name in ["-", "/dev/stdin"] {
        let mut child = send(name);
        child.stdin.take().unwrap().write_all(b"\xef\xbb\xbf{}\n\n{}\r\n{}").unwrap();
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(records(folder.path(), Topic::Sdk), vec![b"{}".to_vec(); 6]);
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = send(pipe.to_str().unwrap());
    File::options().write(true).open(&pipe).unwrap().write_all(b"{}\n{}\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(records(folder.path(), Topic::Sdk).len(), 8);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing beside the pipe");
}

#[test]
fn a_line_of_gigabytes_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("zeros.ndjson");
    let mut zeros = File::create(&file).unwrap();
    zeros.write_all(format!("{GOOD}\n").as_bytes()).unwrap();
    // A hole of the file system: zeros, and no line end.
    zeros.set_len(3 << 29).unwrap();
    let mut command = super::support::tributary(&service.sets);
    let child = command.args(["send", "--offline", file.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut running = super::support::Running(child);
    let mut most_kb = 0;
    while running.0.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most_kb = most_kb.max(peak.unwrap_or(0));
        std::thread::yield_now();
    }
    let found = records(folder.path(), Topic::Offline);
    assert_eq!((found.len(), found[1].len()), (2, (1 << 20) + 1));
    assert!((1..300_000).contains(&most_kb), "{most_kb} KB at most");
}
