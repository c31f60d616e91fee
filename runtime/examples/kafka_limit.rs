//! The limit to compare the pipeline with: bare transactional consume-produce loops over the same hops and bytes.
//!
//! ```text
//! cargo run --release -p tributary-runtime --example kafka_limit -- brokers=127.0.0.1:9092 hops=3 records=1000000 bytes=300
//! ```
//!
//! Each hop is a thread with a consumer and a transactional producer that copies its topic to the next one, record by record, with the
//! same drain before the commit as the pipeline's own session, and decides nothing. All hops run at once. With `input=TOPIC` the first
//! hop reads an existing topic instead of one that is filled first; then give its number of records. Arguments, with defaults:
//! `brokers=127.0.0.1:9092 hops=3 records=200000 bytes=300 batch=5000 partitions=4 input=`.

use std::collections::HashMap;
use std::error::Error;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, TopicPartitionList};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const WAIT: Duration = Duration::from_secs(60);
const DRAIN_SLICE: Duration = Duration::from_micros(300);
const ROOM_SLICE: Duration = Duration::from_millis(1);

struct Settings {
    brokers: String,
    hops: usize,
    records: usize,
    bytes: usize,
    batch: usize,
    partitions: i32,
    input: String,
}

fn settings() -> Outcome<Settings> {
    let given: HashMap<String, String> = std::env::args()
        .skip(1)
        .map(|argument| match argument.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("`{argument}` is not NAME=VALUE")),
        })
        .collect::<Result<_, _>>()?;
    let text = |name: &str, default: &str| given.get(name).cloned().unwrap_or_else(|| default.to_owned());
    let number = |name: &str, default: &str| text(name, default).parse::<usize>().map_err(|error| format!("{name}: {error}"));
    Ok(Settings {
        brokers: text("brokers", "127.0.0.1:9092"),
        hops: number("hops", "3")?.max(1),
        records: number("records", "200000")?,
        bytes: number("bytes", "300")?,
        batch: number("batch", "5000")?.max(1),
        partitions: i32::try_from(number("partitions", "4")?.max(1))?,
        input: text("input", ""),
    })
}

fn main() -> Outcome<()> {
    let settings = settings()?;
    let run = format!("limit-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let mut topics: Vec<String> = (0..=settings.hops).map(|hop| format!("{run}-{hop}")).collect();
    let filled = settings.input.is_empty();
    create(&settings, topics.get(usize::from(!filled)..).unwrap_or_default())?;
    if let Some(first) = topics.first_mut() {
        if filled {
            fill(&settings, first)?;
        } else {
            first.clone_from(&settings.input);
        }
    }
    // From the first record on: joining the groups is not what is measured.
    let begun = OnceLock::new();
    std::thread::scope(|scope| -> Outcome<()> {
        let hops: Vec<_> = topics
            .iter()
            .zip(topics.iter().skip(1))
            .map(|(from, to)| scope.spawn(|| hop(&settings, &run, from, to, &begun)))
            .collect();
        for (number, hop) in hops.into_iter().enumerate() {
            let transactions = hop.join().map_err(|_| "a hop panicked")??;
            println!("hop {}: {:.0} records a transaction", number + 1, settings.records as f64 / transactions as f64);
        }
        Ok(())
    })?;
    let seconds = begun.get_or_init(Instant::now).elapsed().as_secs_f64();
    println!("{} records of {} bytes over {} hops in {seconds:.2} s", settings.records, settings.bytes, settings.hops);
    println!("{:.0} records/s", settings.records as f64 / seconds);
    Ok(())
}

fn client(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.brokers);
    config
}

fn create(settings: &Settings, topics: &[String]) -> Outcome<()> {
    let admin: AdminClient<DefaultClientContext> = client(settings).create()?;
    let new: Vec<_> = topics.iter().map(|name| NewTopic::new(name, settings.partitions, TopicReplication::Fixed(1))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    for created in runtime.block_on(admin.create_topics(&new, &AdminOptions::new()))? {
        created.map_err(|(topic, code)| format!("{topic}: {code}"))?;
    }
    Ok(())
}

fn fill(settings: &Settings, topic: &str) -> Outcome<()> {
    let producer: BaseProducer =
        client(settings).set("compression.type", "lz4").set("queue.buffering.max.messages", "500000").create()?;
    // Half of it does not compress, as in real records.
    let mut value = vec![b'x'; settings.bytes];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..settings.records {
        for byte in value.iter_mut().take(settings.bytes / 2) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (seed >> 56) as u8;
        }
        let partition = i32::try_from(number % usize::try_from(settings.partitions)?)?;
        send(&producer, topic, partition, &number.to_be_bytes(), &value)?;
    }
    producer.flush(WAIT)?;
    Ok(())
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, key: &[u8], value: &[u8]) -> Outcome<()> {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition).key(key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, refused)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                producer.poll(ROOM_SLICE);
                record = refused;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Copies one topic to the next until all records went through; returns the number of transactions.
fn hop(settings: &Settings, run: &str, from: &str, to: &str, begun: &OnceLock<Instant>) -> Outcome<usize> {
    let consumer: BaseConsumer = client(settings)
        .set("group.id", format!("{run}-{to}"))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.message.max.bytes", "4194304")
        .create()?;
    let producer: BaseProducer = client(settings)
        .set("transactional.id", format!("{run}-{to}"))
        .set("compression.type", "lz4")
        .set("linger.ms", "1")
        .set("queue.buffering.max.messages", "500000")
        .create()?;
    producer.init_transactions(WAIT)?;
    consumer.subscribe(&[from])?;
    let (mut done, mut transactions) = (0, 0);
    let mut progress = Instant::now();
    while done < settings.records {
        let copied = batch(settings, &consumer, &producer, from, to, begun)?;
        done += copied;
        if copied > 0 {
            transactions += 1;
            progress = Instant::now();
        } else if progress.elapsed() > WAIT {
            return Err(format!("{from} holds only {done} records").into());
        }
    }
    Ok(transactions)
}

fn batch(
    settings: &Settings,
    consumer: &BaseConsumer,
    producer: &BaseProducer,
    from: &str,
    to: &str,
    begun: &OnceLock<Instant>,
) -> Outcome<usize> {
    let mut next: HashMap<i32, i64> = HashMap::new();
    let (mut copied, mut wait) = (0, Duration::from_millis(100));
    while copied < settings.batch {
        let Some(message) = consumer.poll(wait) else { break };
        let message = message?;
        if copied == 0 {
            begun.get_or_init(Instant::now);
            producer.begin_transaction()?;
        }
        let partition = message.partition() % settings.partitions;
        send(producer, to, partition, message.key().unwrap_or_default(), message.payload().unwrap_or_default())?;
        next.insert(message.partition(), message.offset() + 1);
        copied += 1;
        wait = Duration::ZERO;
    }
    if copied == 0 {
        return Ok(0);
    }
    let mut offsets = TopicPartitionList::new();
    for (partition, offset) in next {
        offsets.add_partition_offset(from, partition, Offset::Offset(offset))?;
    }
    let member = consumer.group_metadata().ok_or("the consumer has no group")?;
    producer.send_offsets_to_transaction(&offsets, &member, WAIT)?;
    while producer.in_flight_count() > 0 {
        producer.poll(DRAIN_SLICE);
    }
    producer.commit_transaction(WAIT)?;
    Ok(copied)
}
