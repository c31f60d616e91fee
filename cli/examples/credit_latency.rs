//! How long after an event was received its credit can be read: reads the credit topic for a while and prints the quantiles.
//!
//! `cargo run --release -p tributary --example credit_latency -- BROKERS TOPIC SECONDS`

#![allow(clippy::print_stdout, reason = "its result")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, seconds] = arguments.as_slice() else { anyhow::bail!("usage: credit_latency BROKERS TOPIC SECONDS") };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "credit-latency")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "5")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let partitions = metadata.topics().first().map_or(0, |found| found.partitions().len());
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        list.add_partition_offset(topic, partition, Offset::End)?;
    }
    consumer.assign(&list)?;
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let mut latencies_ms: Vec<i64> = Vec::new();
    while Instant::now() < end {
        if let Some(message) = consumer.poll(Duration::from_millis(20)) {
            let received_ms = message?.timestamp().to_millis().unwrap_or(0);
            let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
            latencies_ms.push(now_ms - received_ms);
        }
    }
    latencies_ms.sort_unstable();
    let quantile =
        |permille: usize| latencies_ms.get(latencies_ms.len().saturating_sub(1) * permille / 1000).copied().unwrap_or(0);
    println!(
        "{{\"updates\":{},\"p50_ms\":{},\"p99_ms\":{},\"max_ms\":{}}}",
        latencies_ms.len(),
        quantile(500),
        quantile(990),
        quantile(1000)
    );
    Ok(())
}
