//! How long large components take: a star of many identifiers around one shared value, and a chain.
//!
//! `cargo run --release -p tributary-identity --example large_components -- [identifiers]`

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints and reads the clock")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use tributary_identity::{IdentityStage, LOG, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, IdentityMessage, Message, Touch, identity_message};
use tributary_runtime::config::Section;
use tributary_runtime::log::{BatchLimits, MemoryLog};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

/// Links are of one partition, so that all of the work is in one thread.
fn run(name: &str, pairs: impl Iterator<Item = [Identifier; 2]>) -> Result<(), Box<dyn Error>> {
    let rules = Settings::default().compiled(&Kinds::default()).map_err(|errors| format!("{errors:?}"))?;
    let rules = Arc::new(rules);
    let log = MemoryLog::new(1);
    let limits = BatchLimits { records_max: 1_000, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let build = Box::new(move |share| Box::new(IdentityStage::new(rules.clone(), share)) as Box<_>);
    let options = WorkerOptions::in_memory(limits);
    let mut worker = Worker::new(log.session(LOG), LOG, build, options);
    let (mut count, mut slowest_ms, mut bytes_max) = (0u64, 0, 0);
    let begin = Instant::now();
    for (at, identifiers) in pairs.enumerate() {
        let [primary, _] = &identifiers;
        let key = primary.key();
        let body = Some(Body::Touch(Touch { channel: "direct".into(), ..Touch::default() }));
        let event = Event { event_id: format!("e{at}"), time_ms: 1, identifiers: identifiers.into(), body, ..Event::default() };
        let message = IdentityMessage { body: Some(identity_message::Body::Event(event)) };
        log.append(Topic::IdentityInbox, 1, key, message.encode_to_vec());
        count += 1;
        if count.is_multiple_of(1_000) {
            let batch = Instant::now();
            while worker.step()? > 0 {}
            slowest_ms = slowest_ms.max(batch.elapsed().as_millis());
            for topic in [Topic::AttributorInbox, Topic::Profiles] {
                bytes_max = log
                    .drain(topic)
                    .iter()
                    .filter_map(|output| output.value.as_ref())
                    .map(Vec::len)
                    .fold(bytes_max, usize::max);
            }
        }
    }
    while worker.step()? > 0 {}
    let seconds = begin.elapsed().as_secs_f64();
    let per_second = count as f64 / seconds;
    println!(
        "{name}: {count} links in {seconds:.1} s, {per_second:.0}/s, slowest batch of 1,000 {slowest_ms} ms, largest output {bytes_max} bytes"
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let cookie = |at: u32| Identifier::new("anonymous_id", "", format!("cookie-{at}"));
    run("star", (0..count).map(|at| [cookie(at), Identifier::new("device_id", "", "kiosk")]))?;
    run("chain", (0..count).map(|at| [cookie(at), cookie(at + 1)]))?;
    // Every second link first, so that pieces of all sizes come together.
    run("chain of pieces", (0..count).map(|at| (at * 7) % count).map(|at| [cookie(at), cookie(at + 1)]))
}
