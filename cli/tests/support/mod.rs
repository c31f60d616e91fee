//! What the tests of the whole pipeline share: histories, answers, a broker, the binary.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

pub mod audit;
#[path = "../../../runtime/tests/support/broker.rs"]
pub mod broker;
pub mod command;
pub mod disk;
pub mod kill;
pub mod pages;
#[path = "../../../export/tests/support/parquet.rs"]
pub mod parquet;
#[path = "../../../runtime/tests/support/proxy.rs"]
pub mod proxy;
pub mod registry;
pub mod sdks;
pub mod service;
#[path = "../../../runtime/tests/support/signal.rs"]
pub mod signal;
pub mod watched;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use broker::Broker;
use tributary_cli::generate::{History, Item, Spec};
use tributary_pipeline::credit_table::CreditTable;
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_runtime::log::BatchLimits;
use tributary_runtime::topic::Topic;

/// A raw record of a topic.
pub type Raw = (Topic, Vec<u8>);

/// When records of tests are received: after all of their events.
pub const RECEIVED_MS: i64 = 1_900_000_000_000;

pub fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/zhang")
}

/// The golden journey, as its four sources send it.
pub fn golden() -> Vec<Raw> {
    let mut records = Vec::new();
    for (topic, file) in [(Topic::Sdk, "sdk.ndjson"), (Topic::Utm, "utm.ndjson"), (Topic::Webhook, "webhook.ndjson")] {
        let text = fs::read_to_string(golden_folder().join(file)).unwrap();
        records.extend(text.lines().map(|line| (topic, line.as_bytes().to_vec())));
    }
    let decoder = tributary_ingest::Decoder::new(&settings().ingest, &settings().kinds.kinds()).unwrap();
    let rows = tributary_cli::rows::Rows::open(&golden_folder().join("offline.csv"), &decoder).unwrap();
    let mut add = |row: tributary_cli::rows::Row| {
        records.push((Topic::Offline, row.unwrap().1.into_bytes()));
        Ok(())
    };
    rows.each(&mut add).unwrap();
    records
}

/// An invented history.
pub fn history(people: u64, seed: u64, messy: bool) -> Vec<Raw> {
    let spec = Spec { people, seed, days: 365, events: people * 20, messy, dimensions: false };
    let record = |item| if let Item::Record(record) = item { Some((record.topic, record.value)) } else { None };
    History::new(spec).filter_map(record).collect()
}

pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.identity.free_mail.push("freemail.example".into());
    settings
}

/// The credit table and the profiles of a replay, as text.
pub fn answer(records: &[Raw], partitions: u32, batch: usize) -> String {
    let limits = BatchLimits { records_max: batch, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let mut replay = Replay::with_limits(&settings(), partitions, limits).unwrap_or_else(|problems| panic!("{problems:?}"));
    for (topic, record) in records {
        replay.append(*topic, RECEIVED_MS, record);
    }
    let results = replay.finish().unwrap();
    assert_eq!(results.table().imbalances(), []);
    results.text().unwrap()
}

/// The credit table alone, as text.
pub fn table_text(table: &CreditTable) -> String {
    table.rows().map(|row| serde_json::to_string(&row).unwrap() + "\n").collect()
}

/// The credit table of a replay, as text.
pub fn table_of(records: &[Raw]) -> String {
    let mut replay = Replay::new(&settings(), 1).unwrap_or_else(|problems| panic!("{problems:?}"));
    for (topic, record) in records {
        replay.append(*topic, RECEIVED_MS, record);
    }
    table_text(replay.finish().unwrap().table())
}

/// Writes records as the files that `send` takes; returns its arguments.
pub fn write_files(folder: &Path, records: &[Raw]) -> Vec<String> {
    let mut arguments = Vec::new();
    for topic in Topic::RAW {
        let file = folder.join(format!("{}.ndjson", topic.name()));
        let mut text = Vec::new();
        for (_, record) in records.iter().filter(|(of, _)| *of == topic) {
            text.extend_from_slice(record);
            text.push(b'\n');
        }
        fs::write(&file, text).unwrap();
        arguments.extend([format!("--{}", topic.name()), file.display().to_string()]);
    }
    arguments
}

/// A command of the binary, on the log that `sets` choose.
pub fn tributary(sets: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.env_remove("TRIBUTARY_CONFIG");
    for set in sets {
        command.args(["--set", set]);
    }
    command.args(["--set", "identity.free_mail=[\"freemail.example\"]", "--set", "http.listen=127.0.0.1:0"]);
    command
}

pub fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// What is left of a process: killed when dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a command in the background.
    pub fn start(mut command: Command) -> Self {
        Self(command.stderr(Stdio::inherit()).spawn().unwrap())
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM; the exit must be clean.
    pub fn terminate(mut self) {
        signal::send(self.0.id(), "TERM");
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// The credit table of what `tail` prints.
pub fn tailed_table(sets: &[String]) -> CreditTable {
    let mut command = tributary(sets);
    command.args(["tail", "credits", "--from-beginning", "--until-end"]);
    let output = succeed(command);
    let mut table = CreditTable::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        table.add(&serde_json::from_str(line).unwrap());
    }
    table
}

/// Settings of a pipeline with topics, groups and state of its own, on 4 partitions.
pub fn pipeline(brokers: &str, name: &str, folder: &Path, more: &[String]) -> Vec<String> {
    let mut sets = vec![
        format!("kafka.brokers={brokers}"),
        format!("topics.prefix={name}"),
        format!("kafka.group_prefix={name}"),
        "topics.partitions=4".to_owned(),
        format!("state.path={}", folder.join("state").display()),
        "worker.memory_mb=256".to_owned(),
    ];
    sets.extend_from_slice(more);
    let mut create = tributary(&sets);
    create.args(["topics", "create"]);
    succeed(create);
    sets
}

pub fn send(sets: &[String], records: &[Raw]) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tributary(sets);
    command.arg("send").args(write_files(folder.path(), records));
    succeed(command);
}

pub fn run(sets: &[String], arguments: &[&str]) -> Running {
    let mut command = tributary(sets);
    command.arg("run").args(arguments);
    Running::start(command)
}

/// Runs all stages until there is nothing left to do.
pub fn finish(sets: &[String]) {
    let mut command = tributary(sets);
    command.args(["run", "--until-idle", "1"]);
    succeed(command);
}

/// Starts a broker that ends when this process does; `None` (with a line on standard error) if there can be none.
pub fn broker() -> Option<String> {
    Broker::start("").map(|broker| broker.address)
}

/// The same, in this folder and with further arguments of the script.
pub fn broker_in(folder: &Path, further: &[String]) -> Option<String> {
    Broker::start_in(folder.to_owned(), 1, further).map(|broker| broker.address)
}
