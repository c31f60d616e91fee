//! One transaction a batch: outputs, dead letters, changelog and offsets; then the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use tributary_proto::{DeadLetter, Message, partition};

use super::changelog::{INPUTS_KEY, Inputs, VERSION, VERSION_HEADER};
use super::context::Tag;
use super::session::{KafkaSession, Produced, has_version};
use crate::log::{LogError, Routed, Session, Transaction};
use crate::state::{Position, Write};
use crate::topic::Topic;

const OPERATION: &str = "committing";
/// A slice of waiting for deliveries, or for room in the producer's queue. The client's own flush waits in slices of 100 ms, each out to
/// its end, and spins for what is less than a millisecond: on a small machine that takes the broker's time.
const WAIT_SLICE: Duration = Duration::from_micros(300);

/// A record on its way out.
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
        // What failed to be begun is not known to be harmless either: from here on every error costs the producer.
        let Some(producer) = self.producer.take() else {
            return Err(LogError::recover(OPERATION, "the last transaction failed"));
        };
        let next = self.next_inputs(&transaction)?;
        for letter in &mut transaction.dead_letters {
            self.name_source(letter);
        }
        let letters = self.dead_letter_partitions(&transaction.dead_letters)?;
        let end = Instant::now() + Duration::from_millis(self.options.transaction_timeout_ms);
        let committed = self.transact(&producer, &transaction, &letters, &next, end);
        let positions = match committed {
            Ok(positions) => positions,
            Err(Failed::Client(error)) => {
                // Going back can take longer than this transaction's time out: end it now, so that readers need not wait for it.
                let _settled_anew = producer.abort_transaction(Duration::from_secs(1));
                return Err(self.transaction_failed(OPERATION, &error));
            }
            Err(Failed::Delivery(topic, error)) => {
                let _settled_anew = producer.abort_transaction(Duration::from_secs(1));
                let failure = self.transaction_failed(OPERATION, &error);
                tracing::warn!(stage = self.log.stage, topic, %error, "a record was not delivered");
                return Err(failure);
            }
            Err(Failed::Unknown(why)) => return Err(LogError::recover(OPERATION, why)),
        };
        self.store_state(&transaction, &next, &positions)?;
        self.producer = Some(producer);
        for (partition, inputs) in next {
            self.note_done(partition, &inputs)?;
            if let Some(owned) = self.owned.get_mut(&partition) {
                owned.committed = inputs;
            }
        }
        Ok(())
    }

    /// The input offsets of the touched partitions after this transaction.
    fn next_inputs(&self, transaction: &Transaction) -> Result<BTreeMap<u32, Inputs>, LogError> {
        let touched: BTreeSet<u32> =
            transaction.offsets.iter().map(|(_, at, _)| *at).chain(transaction.state.iter().map(|(at, _)| *at)).collect();
        let mut next = BTreeMap::new();
        for partition in touched {
            let Some(owned) = self.owned.get(&partition) else {
                return Err(LogError::recover(OPERATION, format!("partition {partition} is no longer ours")));
            };
            next.insert(partition, owned.committed.clone());
        }
        for (topic, partition, offset) in &transaction.offsets {
            if let Some(inputs) = next.get_mut(partition) {
                inputs.0.insert(*topic, *offset);
            }
        }
        Ok(next)
    }

    /// A dead letter names its source by the topic's name, not its role.
    fn name_source(&self, letter: &mut DeadLetter) {
        if let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.name() == letter.topic) {
            letter.topic = self.options.topics.of(topic).to_owned();
        }
    }

    fn dead_letter_partitions(&mut self, letters: &[DeadLetter]) -> Result<Vec<u32>, LogError> {
        if letters.is_empty() {
            return Ok(Vec::new());
        }
        let count = self.partitions(Topic::DeadLetters)?;
        Ok(letters.iter().map(|letter| partition::of(&letter.key, count)).collect())
    }

    /// Writes and commits; returns the offset after the last changelog record, by partition.
    fn transact(
        &self,
        producer: &Produced,
        transaction: &Transaction,
        letters: &[u32],
        next: &BTreeMap<u32, Inputs>,
        end: Instant,
    ) -> Result<BTreeMap<u32, u64>, Failed> {
        drop(producer.context().take());
        producer.begin_transaction()?;
        for routed in &transaction.outputs {
            send(producer, self.output(routed), end)?;
        }
        for (letter, partition) in transaction.dead_letters.iter().zip(letters) {
            self.send_dead_letter(producer, letter, *partition, end)?;
        }
        if let Some(changelog) = self.log.changelog {
            self.send_changes(producer, self.options.topics.of(changelog), transaction, next, end)?;
        }
        self.send_offsets(producer, transaction, end)?;
        drain(producer, end);
        if !producer.context().has_failed() {
            producer.commit_transaction(end.saturating_duration_since(Instant::now()))?;
        }
        let delivered = producer.context().take();
        match delivered.failed {
            Some((topic, error)) => Err(Failed::Delivery(topic, error)),
            None => Ok(delivered.changelog),
        }
    }

    fn output<'a>(&'a self, routed: &'a Routed) -> Outgoing<'a> {
        Outgoing {
            topic: self.options.topics.of(routed.output.topic),
            partition: routed.partition,
            key: &routed.output.key,
            value: routed.output.value.as_deref(),
            timestamp_ms: Some(routed.timestamp_ms),
            headers: has_version(routed.output.topic).then(version_header),
            tag: 0,
        }
    }

    fn send_dead_letter(&self, producer: &Produced, letter: &DeadLetter, partition: u32, end: Instant) -> Result<(), Failed> {
        let outgoing = Outgoing {
            topic: self.options.topics.of(Topic::DeadLetters),
            partition,
            key: &letter.key,
            value: Some(&letter.encode_to_vec()),
            timestamp_ms: None,
            headers: Some(dead_letter_headers(letter)),
            tag: 0,
        };
        send(producer, outgoing, end)
    }

    /// The changes of the state, and behind those of each partition the offsets they stand for.
    fn send_changes(
        &self,
        producer: &Produced,
        topic: &str,
        transaction: &Transaction,
        next: &BTreeMap<u32, Inputs>,
        end: Instant,
    ) -> Result<(), Failed> {
        for (partition, writes) in &transaction.state {
            for Write { key, value } in writes {
                send(producer, change(topic, *partition, key, value.as_deref()), end)?;
            }
        }
        for (partition, inputs) in next {
            let encoded = inputs.encode();
            let last = Outgoing { headers: Some(version_header()), ..change(topic, *partition, INPUTS_KEY, Some(&encoded)) };
            send(producer, last, end)?;
        }
        Ok(())
    }

    fn send_offsets(&self, producer: &Produced, transaction: &Transaction, end: Instant) -> Result<(), Failed> {
        let mut list = TopicPartitionList::new();
        for (topic, partition, next) in &transaction.offsets {
            let number = i32::try_from(*partition).map_err(|error| Failed::Unknown(error.to_string()))?;
            let offset = i64::try_from(*next).map_err(|error| Failed::Unknown(error.to_string()))?;
            list.add_partition_offset(self.options.topics.of(*topic), number, Offset::Offset(offset))?;
        }
        let consumer = self.consumer.as_ref().ok_or_else(|| Failed::Unknown("the session is closed".to_owned()))?;
        // A consumer that was thrown out has no generation, and an offset commit without one might be let through.
        if consumer.assignment_lost() {
            return Err(Failed::Unknown("the partitions were taken from us".to_owned()));
        }
        let member = consumer.group_metadata().ok_or_else(|| Failed::Unknown("the consumer has no group".to_owned()))?;
        producer.send_offsets_to_transaction(&list, &member, end.saturating_duration_since(Instant::now()))?;
        Ok(())
    }

    /// Writes the committed changes to the stores. Must follow the commit: state is never ahead of the log.
    fn store_state(
        &self,
        transaction: &Transaction,
        next: &BTreeMap<u32, Inputs>,
        positions: &BTreeMap<u32, u64>,
    ) -> Result<(), LogError> {
        const OPERATION: &str = "writing the committed state";
        if self.log.changelog.is_none() {
            return Ok(());
        }
        for (partition, inputs) in next {
            let store = self.owned.get(partition).and_then(|owned| owned.store.as_ref());
            let (Some(store), Some(changelog_next)) = (store, positions.get(partition)) else {
                return Err(LogError::recover(
                    OPERATION,
                    format!("partition {partition} has no store or no changelog position"),
                ));
            };
            let encoded = inputs.encode();
            let of_partition = transaction.state.iter().filter(|(at, _)| at == partition).flat_map(|(_, writes)| writes);
            let changes = of_partition
                .map(|write| (write.key.as_slice(), write.value.as_deref()))
                .chain(std::iter::once((INPUTS_KEY, Some(encoded.as_slice()))));
            let position = Position { changelog_next: *changelog_next, as_of_ms: now_ms() };
            store.write(changes, position).map_err(|error| LogError::stop(OPERATION, error))?;
        }
        Ok(())
    }
}

/// Why a transaction was not committed, or is not known to be.
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

fn version_header() -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(1).insert(Header { key: VERSION_HEADER, value: Some(VERSION) })
}

/// Queues a record, waiting for room.
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

/// Waits until every record was delivered, or one was not, or until `end`.
fn drain(producer: &Produced, end: Instant) {
    while producer.in_flight_count() > 0 && !producer.context().has_failed() && Instant::now() < end {
        serve(producer);
    }
}

/// Takes in the next delivery report; waits a slice where there is none.
fn serve(producer: &Produced) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::sleep(WAIT_SLICE);
    }
}

/// For the age of a position only: no decision about data reads it.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What a dead letter says without being decoded: `reason`, `topic`, `partition` and `offset`, as texts. Part of the contract.
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
        assert_eq!(literal(&version_header()), [("v".to_owned(), b"1".to_vec())]);
    }
}
