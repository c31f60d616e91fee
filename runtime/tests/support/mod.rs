//! A real broker for tests, and what a test does with it beside the session under test.

#![allow(dead_code)]

pub mod broker;
pub mod counter;
pub mod proxy;
pub mod signal;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, TopicPartitionList};

pub use broker::Broker;

/// Longest wait for anything: a failing test ends, a slow machine passes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The broker of this test binary, or `None` (with a line on standard error) if there can be none.
pub fn broker() -> Option<&'static str> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    BROKER.get_or_init(|| Broker::start("")).as_ref().map(|broker| broker.address.as_str())
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    client(brokers).create().unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

pub fn create_topics(brokers: &str, topics: &[(String, i32, bool)]) {
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|(name, partitions, compacted)| {
            let topic = NewTopic::new(name, *partitions, TopicReplication::Fixed(1));
            if *compacted { topic.set("cleanup.policy", "compact") } else { topic }
        })
        .collect();
    for created in wait(admin(brokers).create_topics(&new, &AdminOptions::new())).unwrap() {
        created.unwrap();
    }
}

pub fn add_partitions(brokers: &str, topic: &str, partitions: usize) {
    let new = NewPartitions::new(topic, partitions);
    wait(admin(brokers).create_partitions([&new], &AdminOptions::new()))
        .unwrap()
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
}

pub fn delete_records_before(brokers: &str, topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    wait(admin(brokers).delete_records(&list, &AdminOptions::new())).unwrap();
}

/// Commits an offset of a group without members, as an operator would.
pub fn reset_offset(brokers: &str, group: &str, topic: &str, partition: i32, offset: i64) {
    let consumer: BaseConsumer = client(brokers).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    let begun = Instant::now();
    // The group keeps its members until their sessions time out.
    while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Writes records of (partition, key, value) in order.
pub fn produce(brokers: &str, topic: &str, records: &[(i32, &str, &str)]) {
    let producer: BaseProducer = client(brokers).set("linger.ms", "0").create().unwrap();
    for (partition, key, value) in records {
        producer
            .send(BaseRecord::to(topic).partition(*partition).key(*key).payload(*value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

pub fn transactional(brokers: &str, id: &str) -> BaseProducer {
    let producer: BaseProducer = client(brokers).set("transactional.id", id).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

/// Writes records in a transaction and aborts it: they keep their offsets and are never seen.
pub fn produce_aborted(brokers: &str, topic: &str, records: &[(i32, &str, &str)]) {
    let producer = transactional(brokers, &format!("aborter-{topic}"));
    producer.begin_transaction().unwrap();
    for (partition, key, value) in records {
        producer
            .send(BaseRecord::to(topic).partition(*partition).key(*key).payload(*value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    producer.abort_transaction(PATIENCE).unwrap();
}

/// What a reader of committed records sees of a topic: partition, key and value, in order within a partition.
pub fn read_committed(brokers: &str, topic: &str, partitions: i32) -> Vec<(i32, Vec<u8>, Option<Vec<u8>>)> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "reader")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut seen, mut open) = (Vec::new(), partitions);
    let begun = Instant::now();
    while open > 0 {
        assert!(begun.elapsed() < PATIENCE, "the end of {topic} is not reached");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => {
                seen.push((
                    message.partition(),
                    message.key().unwrap_or_default().to_vec(),
                    message.payload().map(<[u8]>::to_vec),
                ));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{error}"),
        }
    }
    seen
}
