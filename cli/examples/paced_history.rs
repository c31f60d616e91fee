//! Sends an invented history to the raw topics in the order of its arrival, over all sources, at a steady rate.
//!
//! `cargo run --release -p tributary --example paced_history -- BROKERS TOPIC_PREFIX SEED RECORDS_A_SECOND SECONDS`

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tributary_cli::generate::{EVENTS_PER_PERSON, History, Item, Spec};
use tributary_cli::sink::{KafkaSink, RawSink};
use tributary_pipeline::settings::Settings;

/// Records are sent in bursts this far apart.
const BURST: Duration = Duration::from_millis(10);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, prefix, seed, rate, seconds] = arguments.as_slice() else {
        anyhow::bail!("usage: paced_history BROKERS TOPIC_PREFIX SEED RECORDS_A_SECOND SECONDS")
    };
    let (rate, seconds): (u64, u64) = (rate.parse()?, seconds.parse()?);
    let mut settings = Settings::default();
    settings.kafka.brokers = brokers.clone();
    settings.topics.prefix = prefix.clone();
    let mut sink = KafkaSink::open(&settings)?;
    let events = rate * seconds;
    let spec =
        Spec { people: events / EVENTS_PER_PERSON, seed: seed.parse()?, days: 540, events, messy: false, dimensions: false };
    let started = Instant::now();
    let mut sent: u64 = 0;
    for item in History::new(spec) {
        let Item::Record(record) = item else { continue };
        let due = Duration::from_micros(sent * 1_000_000 / rate);
        if due > started.elapsed() + BURST {
            sink.flush()?;
            std::thread::sleep(due.saturating_sub(started.elapsed()));
        }
        let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        sink.send(record.topic, &[], &record.value, now_ms)?;
        sent += 1;
        if started.elapsed().as_secs() >= seconds {
            break;
        }
    }
    sink.flush()?;
    Ok(())
}
