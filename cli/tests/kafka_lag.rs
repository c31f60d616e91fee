//! Lag on real Kafka, as `/metrics` tells it: 0 once all is done, absent where it is not known, and never 0 while something is left.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::watched::{Look, Watched};
use support::{history, pipeline, send, tributary};

/// Four raw topics and two inboxes, of four partitions.
const INPUTS: usize = 24;

fn start(sets: &[String], name: &str, folder: &Path) -> Watched {
    let mut command = tributary(sets);
    let state = folder.join(name);
    command.args(["--set", &format!("kafka.instance={name}"), "--set", &format!("state.path={}", state.display()), "run"]);
    Watched::start(command, folder.join(format!("{name}.log")))
}

fn drained(look: &Look) -> bool {
    let lags = look.lags();
    look.ready == Some(true) && lags.len() == INPUTS && lags.values().all(|lag| *lag == 0.0)
}

/// All inputs, each reported by exactly one process.
fn shared_out(looks: &[Look]) -> bool {
    let all: Vec<(String, f64)> = looks.iter().flat_map(Look::lags).collect();
    let told: BTreeMap<&String, f64> = all.iter().map(|(labels, lag)| (labels, *lag)).collect();
    looks.iter().all(|look| look.ready == Some(true) && !look.lags().is_empty())
        && all.len() == INPUTS
        && told.len() == INPUTS
        && told.values().all(|lag| *lag == 0.0)
}

#[test]
fn lag_ends_at_0_and_stays_there_through_restarts_and_rebalances() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&brokers, "lag", folder.path(), &[]);

    let mut first = start(&sets, "first", folder.path());
    first.wait("known, of topics that never had a record", drained);
    send(&sets, &history(60, 3, false));
    first.wait("drained", |look| drained(look) && look.since_commit().is_some());
    first.terminate();

    let mut first = start(&sets, "first", folder.path());
    first.wait("known after a restart with nothing to do", drained);
    let mut second = start(&sets, "second", folder.path());
    second.wait("shared out", |look| shared_out(&[look.clone(), first.view.look()]));
    second.terminate();
    first.wait("whole again", drained);
    first.terminate();
}

#[test]
fn records_behind_an_open_transaction_are_no_lag_and_are_reported() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&brokers, "held", folder.path(), &[]);
    let mut watched = start(&sets, "one", folder.path());
    watched.wait("drained", drained);

    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &brokers).set("transactional.id", "stranger");
    let stranger: BaseProducer = config.create().unwrap();
    let patience = Duration::from_secs(60);
    stranger.init_transactions(patience).unwrap();
    stranger.begin_transaction().unwrap();
    stranger.send(BaseRecord::to("held.sdk").partition(1).key("").payload("{}")).map_err(|(error, _)| error).unwrap();
    stranger.flush(patience).unwrap();
    let place = "{stage=\"ingest\",topic=\"sdk\",partition=\"1\"}";
    let held_up = |look: &Look| look.series("tributary_held_up_seconds").get(place).copied();
    let look = watched.wait("held up", |look| held_up(look).is_some_and(|seconds| seconds > 0.0));
    assert_eq!(look.lags().get(place), Some(&0.0), "what can be read is read");
    stranger.commit_transaction(patience).unwrap();
    watched.wait("free", |look| held_up(look) == Some(0.0) && drained(look));
    // The record was no event.
    let look = watched.view.look();
    let letters = look.series("tributary_dead_letters_total");
    assert_eq!(letters.values().sum::<f64>(), 1.0, "{letters:?}");
    watched.terminate();
}
