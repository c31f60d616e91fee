//! The broker goes away under load, and comes back. `TRIBUTARY_OUTAGE_S` says for how long.

use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::audit::differences;
use crate::support::broker::Broker;
use crate::support::proxy::Proxy;
use crate::support::watched::{Look, Recording, Row, Watched, table};
use crate::support::{history, pipeline, send, settings, succeed, tributary};

/// Seconds for which the broker is away, in the usual tests.
const SHORT_S: u64 = 12;
/// By then each stage has measured its lag once more.
const MEASURED_AGAIN: Duration = Duration::from_secs(7);
/// Of the pipeline: four raw topics and two inboxes, of four partitions.
const INPUTS: usize = 24;

fn is_drained(look: &Look) -> bool {
    let lags = look.lags();
    look.ready == Some(true) && lags.len() == INPUTS && lags.values().all(|lag| *lag == 0.0)
}

/// Waits until all inputs were read to their ends. Each stage measures that every five seconds, at times of its own: it is so if it stays so
/// for longer.
pub fn wait_drained(watched: &mut Watched) {
    let since: Cell<Option<Instant>> = Cell::new(None);
    watched.wait("drained", |look| {
        since.set(is_drained(look).then(|| since.get().unwrap_or_else(Instant::now)));
        since.get().is_some_and(|since| since.elapsed() > MEASURED_AGAIN)
    });
}

#[test]
fn an_outage_of_the_broker_is_reported_truthfully_and_loses_nothing() {
    let proxy = Proxy::bind();
    let Some(broker) = Broker::start_proxied("outage", proxy.port) else { return };
    proxy.forward_to(broker.behind());
    let seconds = std::env::var("TRIBUTARY_OUTAGE_S").map_or(SHORT_S, |given| given.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&proxy.address(), "outage", folder.path(), &["worker.batch_records=300".to_owned()]);
    let records = history(400, 5, true);
    let (before, after) = records.split_at(records.len() / 2);
    let mut command = tributary(&sets);
    command.arg("run");
    let mut watched = Watched::start(command, folder.path().join("log"));
    watched.wait("ready", |look| look.ready == Some(true) && look.brokers() == Some(1.0));

    let recording = Recording::begin(watched.view.clone());
    recording.note("the load begins");
    send(&sets, before);
    watched.wait("at work", |look| look.since_commit().is_some());
    recording.note("nothing gets through to the broker any more, and then it is stopped");
    // A slow machine may have waited for the broker at the start too.
    let said_before = watched.view.log().len();
    let stopped = Instant::now();
    // A broker that is alone and stops before the marks of a committed transaction are written forgets them when it comes back: seen with
    // Apache Kafka 4.3.1, and no client's doing. So what it has accepted it may finish.
    proxy.freeze();
    sleep(Duration::from_secs(1));
    broker.stop();
    proxy.cut();
    proxy.thaw();
    watched.wait("unready", |look| look.ready == Some(false) && look.reasons.contains("no broker has answered"));
    watched.wait("without lag", |look| look.lags().is_empty());
    let noticed = Instant::now();
    sleep(Duration::from_secs(seconds).saturating_sub(stopped.elapsed()));
    let back = Instant::now();
    recording.note("the broker is started");
    broker.start_again();
    watched.wait("ready again", |look| look.ready == Some(true));
    recording.note("the load goes on");
    send(&sets, after);
    wait_drained(&mut watched);
    let log = watched.view.log()[said_before..].to_owned();
    watched.terminate();
    let rows = recording.end();
    println!("{}", table(&rows));

    // A look takes a moment: what was seen just before the broker was back may have been asked for just after.
    let away: Vec<&Row> = rows.iter().filter(|row| row.at > noticed && row.at + Duration::from_secs(1) < back).collect();
    assert!(!away.is_empty());
    for Row { second, look, .. } in away {
        assert_eq!((look.ready, look.live), (Some(false), Some(true)), "second {second}: {}", look.reasons);
        assert_eq!((look.brokers(), look.lags().len()), (Some(0.0), 0), "second {second}");
        assert!(look.reasons.contains("brokers: no broker has answered for "), "second {second}: {}", look.reasons);
    }
    let said = |what: &str| log.matches(what).count() as u64;
    let (away, again) = (said("no broker answers (kafka.brokers = "), said("brokers answer again"));
    assert!(again == 1 && (1..=2 + stopped.elapsed().as_secs() / 30).contains(&away), "{away} and {again} times: {log}");
    let lines = log.lines().count() as u64;
    assert!(lines < 120 + 2 * seconds, "{lines} lines: {log}");

    let mut settings = settings();
    settings.kafka.brokers = broker.address.clone();
    settings.topics.prefix = "outage".to_owned();
    let found = differences(&settings, &records);
    assert!(found.is_empty(), "{found:#?}");
    let mut audit = tributary(&sets);
    audit.arg("audit");
    succeed(audit);
}
