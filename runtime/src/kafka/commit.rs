//! One transaction per batch, in the order that [`commit`] prescribes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use tributary_proto::{DeadLetter, partition};

use super::context::{Delivered, Tag};
use super::message::{has_version, now_ms};
use super::options::KafkaOptions;
use super::partitions::metadata;
use super::session::{Consumed, KafkaSession, Produced};
use crate::exactly_once::{Ended, Failed as Unsure, INPUTS_KEY, Inputs, TransactionWriter, VERSION, VERSION_HEADER, commit};
use crate::log::{LogError, Routed, Session, Transaction};
use crate::stage::Output;
use crate::topic::Topic;
use crate::trace::{HEADER, TraceContext};

const OPERATION: &str = "committing";
/// Time slice of waiting for deliveries, or for space in the producer's queue. The client's own flush waits in full slices of 100 ms, and
/// busy-waits for less than a millisecond, which on a small machine takes CPU time from the broker.
const WAIT_SLICE: Duration = Duration::from_micros(300);

/// A record to be sent.
struct Outgoing<'a> {
    topic: &'a str,
    partition: u32,
    key: &'a [u8],
    value: Option<&'a [u8]>,
    timestamp_ms: Option<i64>,
    headers: Option<OwnedHeaders>,
    tag: Tag,
}

impl KafkaSession {
    pub(super) fn commit_transaction(&mut self, mut transaction: Transaction) -> Result<(), LogError> {
        for letter in &mut transaction.dead_letters {
            self.name_source(letter);
        }
        let letters = if transaction.dead_letters.is_empty() { 0 } else { self.partitions(Topic::DeadLetters)? };
        let end = Instant::now() + Duration::from_millis(self.options.transaction_timeout_ms);
        let changelog = self.log.changelog.map(|changelog| self.options.topics.of(changelog));
        let spread = self.spread();
        let mut wire = KafkaWriter {
            options: &self.options,
            consumer: self.consumer.as_ref(),
            changelog,
            spread,
            letters,
            end,
            traces: &transaction.traces,
            outputs: 0,
        };
        let keeps_state = changelog.is_some();
        match commit(&mut wire, &mut self.producer, &mut self.owned, keeps_state, &transaction, now_ms) {
            Ok(_) => Ok(()),
            Err(Unsure::Log(error)) => Err(error),
            Err(Unsure::Writer(producer, failed)) => Err(self.give_up(&producer, failed)),
        }
    }

    fn give_up(&mut self, producer: &Produced, failed: Failed) -> LogError {
        match failed {
            Failed::Client(error) => {
                // Recovery can take longer than this transaction's timeout: abort it now, so that readers need not wait for it.
                let _settled_anew = producer.abort_transaction(Duration::from_secs(1));
                self.transaction_failed(OPERATION, &error)
            }
            Failed::Delivery(topic, error) => {
                let _settled_anew = producer.abort_transaction(Duration::from_secs(1));
                let failure = self.transaction_failed(OPERATION, &error);
                tracing::warn!(stage = self.log.stage, topic, %error, "a record was not delivered");
                failure
            }
            Failed::Unknown(why) => LogError::recover(OPERATION, why),
        }
    }

    /// A dead letter names its source by the topic's configured name, not by its role.
    fn name_source(&self, letter: &mut DeadLetter) {
        if let Some(topic) = Topic::find(&letter.topic) {
            letter.topic = self.options.topics.of(topic).to_owned();
        }
    }
}

/// One transaction being written to the brokers.
struct KafkaWriter<'a> {
    options: &'a KafkaOptions,
    consumer: Option<&'a Consumed>,
    changelog: Option<&'a str>,
    /// The metadata of committed offsets.
    spread: Option<String>,
    /// The number of partitions of the dead letters.
    letters: u32,
    end: Instant,
    /// The contexts of outputs that follow from traced records, by position.
    traces: &'a BTreeMap<usize, TraceContext>,
    /// The number of outputs written.
    outputs: usize,
}

impl KafkaWriter<'_> {
    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn changelog(&self) -> Result<&str, Failed> {
        self.changelog.ok_or_else(|| Failed::Unknown("a stage without state has no changelog".to_owned()))
    }
}

impl TransactionWriter for KafkaWriter<'_> {
    type Producer = Produced;
    type Error = Failed;

    fn begin(&mut self, producer: &Produced) -> Result<(), Failed> {
        // Events from between two transactions do not matter, because nothing of ours was in flight.
        drain(producer, self.end);
        drop(producer.context().take());
        Ok(producer.begin_transaction()?)
    }

    fn output(&mut self, producer: &Produced, routed: &Routed) -> Result<(), Failed> {
        let trace = self.traces.get(&self.outputs);
        self.outputs += 1;
        let value = routed.output.value.as_deref();
        let framed = value.and_then(|value| self.options.framing.framed(routed.output.topic, value));
        let outgoing = Outgoing {
            topic: self.options.topics.of(routed.output.topic),
            partition: routed.partition,
            key: &routed.output.key,
            value: framed.as_deref().or(value),
            timestamp_ms: Some(routed.timestamp_ms),
            headers: output_headers(routed.output.topic, trace),
            tag: 0,
        };
        send(producer, outgoing, self.end)
    }

    fn dead_letter(&mut self, producer: &Produced, letter: &DeadLetter) -> Result<(), Failed> {
        let output = Output::dead_letter(letter, self.options.json_dead_letters);
        let outgoing = Outgoing {
            topic: self.options.topics.of(output.topic),
            partition: partition::of(&output.key, self.letters),
            key: &output.key,
            value: output.value.as_deref(),
            timestamp_ms: None,
            headers: Some(dead_letter_headers(letter)),
            tag: 0,
        };
        send(producer, outgoing, self.end)
    }

    fn change(&mut self, producer: &Produced, partition: u32, key: &[u8], value: Option<&[u8]>) -> Result<(), Failed> {
        send(producer, change(self.changelog()?, partition, key, value), self.end)
    }

    fn inputs(&mut self, producer: &Produced, partition: u32, inputs: &Inputs) -> Result<(), Failed> {
        let encoded = inputs.encode();
        let last = change(self.changelog()?, partition, INPUTS_KEY, Some(&encoded));
        send(producer, Outgoing { headers: Some(version_header(inputs.version())), ..last }, self.end)
    }

    fn offsets(&mut self, producer: &Produced, transaction: &Transaction, next: &BTreeMap<u32, Inputs>) -> Result<(), Failed> {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in &transaction.offsets {
            let number = i32::try_from(*partition).map_err(|error| Failed::Unknown(error.to_string()))?;
            let offset = i64::try_from(*offset).map_err(|error| Failed::Unknown(error.to_string()))?;
            let mut element = list.add_partition(self.options.topics.of(*topic), number);
            element.set_offset(Offset::Offset(offset))?;
            if let Some(spread) = &self.spread {
                element.set_metadata(metadata(spread, next.get(partition)));
            }
        }
        let consumer = self.consumer.ok_or_else(|| Failed::Unknown("the session is closed".to_owned()))?;
        // A consumer that was removed from the group has no generation, and the broker might accept an offset commit without one.
        if consumer.assignment_lost() {
            return Err(Failed::Unknown("the partitions were taken from us".to_owned()));
        }
        let member = consumer.group_metadata().ok_or_else(|| Failed::Unknown("the consumer has no group".to_owned()))?;
        producer.send_offsets_to_transaction(&list, &member, self.left())?;
        Ok(())
    }

    fn end(&mut self, producer: &Produced) -> Result<Ended, Failed> {
        drain(producer, self.end);
        if !producer.context().has_failed() {
            producer.commit_transaction(self.left())?;
            // The client has noted a lost connection before it had the answer; that note is read now.
            drain(producer, self.end);
        }
        let Delivered { changelog, failed, connection_lost } = producer.context().take();
        match failed {
            Some((topic, error)) => Err(Failed::Delivery(topic, error)),
            None => Ok(Ended { changelog, connection_lost }),
        }
    }
}

/// Why a transaction was not committed, or may not be.
enum Failed {
    Client(KafkaError),
    /// A record of this topic was not delivered.
    Delivery(String, KafkaError),
    Unknown(String),
}

impl From<KafkaError> for Failed {
    fn from(error: KafkaError) -> Self {
        Self::Client(error)
    }
}

fn change<'a>(topic: &'a str, partition: u32, key: &'a [u8], value: Option<&'a [u8]>) -> Outgoing<'a> {
    let tag = usize::try_from(partition).map_or(0, |number| number + 1);
    Outgoing { topic, partition, key, value, timestamp_ms: None, headers: None, tag }
}

fn version_header(version: &[u8]) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(1).insert(Header { key: VERSION_HEADER, value: Some(version) })
}

/// Headers of an output: the format's version between stages, and the context of a traced record.
fn output_headers(topic: Topic, trace: Option<&TraceContext>) -> Option<OwnedHeaders> {
    let version = has_version(topic).then(|| version_header(VERSION));
    match trace {
        None => version,
        Some(trace) => {
            let value = trace.header();
            Some(version.unwrap_or_default().insert(Header { key: HEADER, value: Some(value.as_str()) }))
        }
    }
}

/// Queues a record; waits if the queue is full.
fn send(producer: &Produced, outgoing: Outgoing<'_>, end: Instant) -> Result<(), Failed> {
    let number = i32::try_from(outgoing.partition).map_err(|error| Failed::Unknown(error.to_string()))?;
    let mut record: BaseRecord<'_, [u8], [u8], Tag> =
        BaseRecord::with_opaque_to(outgoing.topic, outgoing.tag).partition(number).key(outgoing.key);
    record.payload = outgoing.value;
    record.timestamp = outgoing.timestamp_ms.filter(|timestamp_ms| *timestamp_ms > 0);
    record.headers = outgoing.headers;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, refused))
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) && Instant::now() < end =>
            {
                serve(producer);
                record = refused;
            }
            Err((error, _)) => return Err(Failed::Delivery(outgoing.topic.to_owned(), error)),
        }
    }
}

/// Waits until every record is delivered and all events of the client are read, or a delivery has failed, or until `end`.
fn drain(producer: &Produced, end: Instant) {
    while producer.in_flight_count() > 0 && !producer.context().has_failed() && Instant::now() < end {
        serve(producer);
    }
}

/// Reads the next delivery report; waits a slice if there is none.
fn serve(producer: &Produced) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::sleep(WAIT_SLICE);
    }
}

/// Headers of a dead letter, readable without decoding it: `reason`, `topic`, `partition` and `offset`, as text. Part of the contract.
fn dead_letter_headers(letter: &DeadLetter) -> OwnedHeaders {
    let (number, offset) = (letter.partition.to_string(), letter.offset.to_string());
    let mut headers = OwnedHeaders::new_with_capacity(4);
    for (key, value) in [("reason", &letter.reason), ("topic", &letter.topic), ("partition", &number), ("offset", &offset)] {
        headers = headers.insert(Header { key, value: Some(value.as_str()) });
    }
    headers
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers;

    use super::*;

    fn literal(headers: &OwnedHeaders) -> Vec<(String, Vec<u8>)> {
        headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec())).collect()
    }

    #[test]
    fn headers_are_the_literal_bytes_of_the_contract() {
        let letter = DeadLetter {
            reason: "json_malformed".into(),
            topic: "tributary.sdk".into(),
            partition: 3,
            offset: 41,
            ..DeadLetter::default()
        };
        let expected: [(&str, &[u8]); 4] =
            [("reason", b"json_malformed"), ("topic", b"tributary.sdk"), ("partition", b"3"), ("offset", b"41")];
        assert_eq!(literal(&dead_letter_headers(&letter)), expected.map(|(key, value)| (key.to_owned(), value.to_vec())));
        assert_eq!(literal(&version_header(VERSION)), [("v".to_owned(), b"1".to_vec())]);
    }
}
