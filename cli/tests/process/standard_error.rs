//! Where logs are JSON, every line of standard error is: also of a process that fails before it has read its configuration.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::watched::{Watched, free_address};

fn run(folder: &Path, sets: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.env_remove("TRIBUTARY_CONFIG").env("TRIBUTARY_LOG__FORMAT", "json").arg("run");
    let state = format!("state.path={}", folder.join("state").display());
    let own = [state, "http.listen=127.0.0.1:0".to_owned()];
    command.args(own.iter().chain(sets).flat_map(|set| ["--set", set]));
    command
}

/// Every line, each of which must be an object of a log.
fn parsed<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    let parse = |line: &str| -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["timestamp"].is_string() && value["level"].is_string() && value["message"].is_string(), "{line}");
        value
    };
    lines.into_iter().map(parse).collect()
}

/// Runs it to its end, which is a failure: the lines about why, each with the exit code.
fn failed(mut command: Command, code: i32) -> Vec<Value> {
    let found = command.output().unwrap();
    let said = String::from_utf8(found.stderr).unwrap();
    assert_eq!(found.status.code(), Some(code), "{said}");
    let fatal = |line: &Value| line["level"] == "ERROR" && line["exit_code"] == code;
    let fatal: Vec<Value> = parsed(said.lines()).into_iter().filter(fatal).collect();
    assert!(!fatal.is_empty(), "{said}");
    fatal
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap()
}

#[test]
fn errors_of_the_configuration_are_a_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    fs::write(&file, "[topcis]\npartitions = 0\n[log]\nformat = \"json\"\nlevl = 1\n[kafka\n").unwrap();
    let mut command = run(folder.path(), &["worker.batch_ms=0".to_owned()]);
    // The log format is set in the file alone, which is full of errors.
    command.env_remove("TRIBUTARY_LOG__FORMAT").arg("--config").arg(&file);
    let lines = failed(command, 2);
    let keys: Vec<&str> = lines.iter().map(|line| line["key"].as_str().unwrap()).collect();
    assert!(["topcis", "topics.partitions", "log.levl", "worker.batch_ms"].iter().all(|key| keys.contains(key)), "{keys:?}");
    assert!(lines.iter().any(|line| line["origin"].as_str().unwrap().ends_with("t.toml:2")), "{lines:?}");
}

#[test]
fn arguments_that_cannot_be_read_are_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = run(folder.path(), &[]);
    command.args(["--stages", "nothing"]);
    let lines = failed(command, 2);
    assert!(lines.len() == 1 && message(&lines[0]).contains("invalid value 'nothing'"), "{lines:?}");
}

#[test]
fn a_port_that_is_taken_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let lines = failed(run(folder.path(), &[format!("http.listen={}", taken.local_addr().unwrap())]), 1);
    assert!(lines.len() == 1 && message(&lines[0]).contains("http.listen"), "{lines:?}");
}

#[test]
fn a_state_folder_that_cannot_be_used_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("state"), "a file").unwrap();
    let lines = failed(run(folder.path(), &[]), 1);
    assert!(lines.len() == 1 && message(&lines[0]).contains("embedded log"), "{lines:?}");
}

#[test]
fn a_state_in_use_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Watched::start(run(folder.path(), &[]));
    running.line(&["started"]);
    let lines = failed(run(folder.path(), &[]), 1);
    assert!(lines.len() == 1 && message(&lines[0]).contains("in use by another process"), "{lines:?}");
    let (status, lines) = running.terminate();
    assert!(status.success());
    parsed(lines.iter().map(String::as_str));
}

#[test]
fn messages_of_a_client_without_brokers_are_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Watched::start(run(folder.path(), &[format!("kafka.brokers={}", free_address())]));
    running.line(&["started"]);
    running.line(&["broker"]);
    let (_, lines) = running.terminate();
    parsed(lines.iter().map(String::as_str));
}

#[test]
fn in_text_format_errors_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = run(folder.path(), &["worker.batch_ms=0".to_owned()]);
    let found = command.env_remove("TRIBUTARY_LOG__FORMAT").output().unwrap();
    let said = String::from_utf8(found.stderr).unwrap();
    assert!(said.starts_with("error: 1 problem in the configuration\n  --set worker.batch_ms"), "{said}");
}

/// A panic's message may quote what somebody sent: the line gives the place in the code, and no more.
#[test]
fn a_panic_is_a_line_that_quotes_nothing() {
    const CHILD: &str = "TRIBUTARY_TEST_PANICS";
    if std::env::var_os(CHILD).is_some() {
        tributary_cli::logging::begin(tributary_runtime::config::settings::LogFormat::Json);
        tributary_cli::logging::report_panics();
        let panicking = std::thread::Builder::new().name("ingest-0".into()).spawn(|| -> u8 { panic!("zhang@b-corp.example") });
        assert!(panicking.unwrap().join().is_err());
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    let name = "standard_error::a_panic_is_a_line_that_quotes_nothing";
    let found = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").env_remove("RUST_BACKTRACE").output().unwrap();
    assert!(found.status.success(), "{found:?}");
    let said = String::from_utf8(found.stderr).unwrap();
    let lines = parsed(said.lines());
    assert!(!said.contains("zhang"), "{said}");
    assert!(lines.len() == 1 && lines[0]["thread"] == "ingest-0", "{said}");
    assert!(lines[0]["place"].as_str().unwrap().contains("standard_error.rs"), "{said}");
}

/// What is refused is in the log, by its place alone; a flood is counted.
#[test]
fn what_is_refused_has_a_line_and_a_flood_has_ten() {
    let folder = tempfile::tempdir().unwrap();
    let bad: String = (0..40).map(|number| format!("{{\"email\": \"zhang{number}@b-corp.example\"}}\n")).collect();
    let file = folder.path().join("bad.ndjson");
    fs::write(&file, bad).unwrap();
    let state = format!("state.path={}", folder.path().join("state").display());
    let one = "topics.partitions=1".to_owned();
    let mut send = Command::new(env!("CARGO_BIN_EXE_tributary"));
    send.env_remove("TRIBUTARY_CONFIG").args(["send", "--offline", file.to_str().unwrap(), "--set", &state, "--set", &one]);
    assert!(send.output().unwrap().status.success());
    let mut command = run(folder.path(), &[one]);
    let found = command.args(["--until-idle", "0.2"]).output().unwrap();
    let said = String::from_utf8(found.stderr).unwrap();
    assert!(found.status.success() && !said.contains("zhang"), "{said}");
    let lines = parsed(said.lines());
    let refused: Vec<&Value> = lines.iter().filter(|line| line["reason"] == "timestamp_missing").collect();
    let offsets: Vec<i64> = refused.iter().map(|line| line["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, (0..10).collect::<Vec<_>>(), "{said}");
    let first = refused[0];
    assert_eq!(
        (&first["stage"], &first["topic"], &first["partition"], &first["level"]),
        (&"ingest".into(), &"offline".into(), &0.into(), &"WARN".into())
    );
    assert!(lines.iter().any(|line| line["stage"] == "ingest" && line["count"] == 30), "{said}");
}
