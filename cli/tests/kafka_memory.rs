//! A process stays within the memory that it was given, whatever waits for it and however slow the brokers are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use support::broker::Broker;
use support::{history, pipeline, send, tributary};

/// The process's memory limit, MiB; small, so that few records exceed it.
const MEMORY_MB: u64 = 256;
/// The most that it may take, KB.
const PEAK_KB_MAX: u64 = MEMORY_MB * 1024;

/// Works off a backlog in one process; returns the most memory it had, in KB. `slow` is what happens to the broker meanwhile, again and
/// again.
fn peak_kb(broker: &Broker, name: &str, slow: impl Fn()) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&broker.address, name, folder.path(), &[format!("worker.memory_mb={MEMORY_MB}")]);
    send(&sets, &history(2_500, 1, false));
    let mut run = tributary(&sets).args(["run", "--until-idle", "1"]).stderr(Stdio::inherit()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        slow();
        sleep(Duration::from_millis(100));
        let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(mark.map_or(0, |mark| mark.trim().trim_end_matches(" kB").parse().unwrap()));
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success(), "{status}");
    peak
}

#[test]
fn memory_stays_within_its_budget_also_beside_a_slow_broker() {
    let Some(broker) = Broker::start("-memory") else { return };
    let peak = peak_kb(&broker, "swift", || ());
    eprintln!("peak beside a swift broker: {peak} KB of {} KB", MEMORY_MB * 1024);
    assert!(peak <= PEAK_KB_MAX, "{peak} KB");
    // It has a quarter of the time: what is sent waits, and so must what is read.
    let peak = peak_kb(&broker, "slow", || {
        broker.signal(1, "STOP");
        sleep(Duration::from_millis(300));
        broker.signal(1, "CONT");
    });
    eprintln!("peak beside a slow broker: {peak} KB of {} KB", MEMORY_MB * 1024);
    assert!(peak <= PEAK_KB_MAX, "{peak} KB");
}
