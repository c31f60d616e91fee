//! The stages in memory, without faults: the oracle agrees with them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_runtime::log::{BatchLimits, MemoryLog, Routed};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};
use tributary_simulator::check::check;
use tributary_simulator::history::History;
use tributary_simulator::oracle::judge;
use tributary_simulator::outputs::Outputs;
use tributary_simulator::pipeline::compile;

fn run(history: &History, pipeline: &Pipeline, partitions: u32, records_max: usize) -> Outputs {
    let log = MemoryLog::new(partitions);
    let limits = BatchLimits { records_max, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let options = WorkerOptions::in_memory(limits);
    for (at, raw) in history.records.iter().enumerate() {
        if raw.topic == Topic::IdentityInbox {
            log.append(raw.topic, raw.received_ms, raw.key(), raw.value());
        } else {
            log.extend([Routed::raw(raw.topic, at as u32 % partitions, raw.received_ms, raw.value())]);
        }
    }
    for stage in StageName::ALL {
        let mut worker = Worker::new(log.session(stage.log()), stage.log(), pipeline.build(stage), options.clone());
        while worker.step().unwrap() > 0 {}
    }
    let mut outputs = Outputs::default();
    for topic in Outputs::TOPICS {
        for output in log.drain(topic) {
            outputs.add(topic, &output.key, output.value.as_deref()).unwrap();
        }
    }
    outputs
}

#[test]
fn the_oracle_and_the_stages_agree_on_quiet_histories() {
    let mut failed = 0;
    for seed in 0..300 {
        let history = History::of(seed);
        let pipeline = compile(&history.ingest, &history.rules, None, None).unwrap();
        let events: Vec<_> = history.outcomes(pipeline.decoder()).into_iter().flat_map(|outcome| outcome.events).collect();
        let verdict = judge(&events, &history.rules);
        let outputs = run(&history, &pipeline, 1 + seed as u32 % 4, 1 + seed as usize % 40);
        if let Err(why) = check(&outputs, &verdict) {
            failed += 1;
            println!("seed {seed}: {} records: {why}", history.records.len());
        }
    }
    assert_eq!(failed, 0);
}
