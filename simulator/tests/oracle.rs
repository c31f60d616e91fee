//! The stages in memory, without faults: the oracle agrees with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use tributary_attributor::plan::Plan;
use tributary_attributor::stage::AttributorStage;
use tributary_identity::IdentityStage;
use tributary_ingest::{Decoder, IngestStage};
use tributary_runtime::log::{BatchLimits, MemoryLog, StageLog};
use tributary_runtime::stage::Stage;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{BuildStage, Worker, WorkerOptions};
use tributary_simulator::check::{Outputs, check};
use tributary_simulator::history::History;
use tributary_simulator::oracle::judge;

fn run(history: &History, partitions: u32, records_max: usize) -> Outputs {
    let log = MemoryLog::new(partitions);
    let decoder = Arc::new(Decoder::new(&history.ingest).unwrap());
    let rules = Arc::new(history.rules.identity.compile().unwrap());
    let plan = Arc::new(Plan::compile(&history.rules.attribution).unwrap());
    let ingest: BuildStage = Box::new(move |_| Box::new(IngestStage::new(decoder.clone())) as Box<dyn Stage>);
    let identity: BuildStage = Box::new(move |share| Box::new(IdentityStage::new(rules.clone(), share)) as Box<dyn Stage>);
    let attributor: BuildStage = Box::new(move |share| Box::new(AttributorStage::new(plan.clone(), share)) as Box<dyn Stage>);
    let logs = [
        StageLog { stage: "ingest", inputs: &Topic::RAW, changelog: None },
        tributary_identity::LOG,
        StageLog { stage: "attributor", inputs: &[Topic::AttributorInbox], changelog: Some(Topic::AttributorChangelog) },
    ];
    let limits = BatchLimits { records_max, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let options = WorkerOptions { limits, cache_bytes: usize::MAX, json: Vec::new() };
    for (at, raw) in history.records.iter().enumerate() {
        log.append_raw(raw.topic, at as u32 % partitions, raw.received_ms, raw.value.clone().into_bytes());
    }
    for (stage, build) in logs.into_iter().zip([ingest, identity, attributor]) {
        let mut worker = Worker::new(log.session(stage), stage, build, options.clone());
        while worker.step().unwrap() > 0 {}
    }
    let mut outputs = Outputs::default();
    for topic in [Topic::Profiles, Topic::Accounts, Topic::Credits] {
        for output in log.drain(topic) {
            outputs.add(topic, &output.value.unwrap()).unwrap();
        }
    }
    outputs
}

#[test]
fn the_oracle_and_the_stages_agree_on_quiet_histories() {
    let mut failed = 0;
    for seed in 0..1_500 {
        let history = History::of(seed);
        let events: Vec<_> = history.outcomes().unwrap().into_iter().flat_map(|outcome| outcome.events).collect();
        let verdict = judge(&events, &history.rules);
        let outputs = run(&history, 1 + seed as u32 % 4, 1 + seed as usize % 40);
        if let Err(why) = check(&outputs, &verdict, &history.rules) {
            failed += 1;
            println!("seed {seed}: {} records: {why}", history.records.len());
        }
    }
    assert_eq!(failed, 0);
}
