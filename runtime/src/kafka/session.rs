//! The session: opening, polling, closing.

mod lag;
mod membership;
mod stopped;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::BaseProducer;
use rdkafka::topic_partition_list::Offset;

use super::ASK;
use super::connection_errors::ConnectionErrors;
use super::context::{ConsumerEvents, ProducerEvents};
use super::failure::{Remedy, remedy};
use super::message;
use super::options::KafkaOptions;
use super::restore::Restorer;
use crate::exactly_once::Ownership;
use crate::log::{Assignment, Batch, BatchLimits, LogError, Session, StageLog, Transaction};
use crate::metrics::{Sizes, StateSizes};
use crate::obstacle::Obstacle;
use crate::service::Pulse;
use crate::state::RocksStore;
use crate::topic::Topic;
use lag::HeldUps;
use membership::Membership;
use stopped::Accepted;

/// The wait between two attempts to open.
const OPEN_AGAIN: Duration = Duration::from_millis(500);
/// Longest wait for a consumer to end.
const CLOSE_MAX: Duration = Duration::from_secs(30);
/// How long to wait for records while partitions wait for their state.
const RESTORING_WAIT: Duration = Duration::from_millis(1);

pub(super) type Consumed = BaseConsumer<ConsumerEvents>;
pub(super) type Produced = BaseProducer<ProducerEvents>;

/// A worker's session on Kafka. See the module.
pub struct KafkaSession {
    pub(super) options: KafkaOptions,
    pub(super) log: StageLog,
    /// The inputs with their names.
    pub(super) inputs: Vec<(Topic, String)>,
    /// Partitions of inputs that the group has given us. Raw topics need not have the same number.
    pub(super) places: BTreeSet<(Topic, u32)>,
    pub(super) counts: BTreeMap<Topic, u32>,
    /// Over how many partitions the keys of inboxes are spread that were worked on before.
    pub(super) spread_over: BTreeMap<Topic, u32>,
    /// When they were looked at.
    pub(super) counted: Instant,
    /// `None` only while it is replaced, and once closed.
    pub(super) consumer: Option<Consumed>,
    /// `None` after an error in a transaction, until recovered.
    pub(super) producer: Option<Produced>,
    /// Whether we have asked to be one of the group.
    pub(super) subscribed: bool,
    pub(super) restorer: Option<Restorer>,
    pub(super) owned: Ownership<RocksStore>,
    pub(super) membership: Membership,
    /// When each partition was given to us, or had to be begun again.
    pub(super) since: BTreeMap<u32, Instant>,
    pub(super) fenced_at: Option<Instant>,
    /// Since when another process seems to take the transactional id from us.
    pub(super) contested_since: Option<Instant>,
    /// Since when the group has our name for another member.
    pub(super) doubted_since: Option<Instant>,
    pub(super) recovering_since: Option<Instant>,
    pub(super) assigning_since: Option<Instant>,
    pub(super) held_ups: HeldUps,
    pub(super) accepted: Accepted,
    /// Partitions whose store cannot be opened: when that was tried last, and why.
    pub(super) unopened: BTreeMap<u32, (Instant, String)>,
    sizes: StateSizes,
}

impl KafkaSession {
    /// Opens a session as soon as brokers answer and have settled what an earlier run left open, however long that takes; `None` when the
    /// worker is told to leave before.
    ///
    /// # Errors
    /// When topics, partitions or settings are wrong.
    pub fn open_patiently(options: &KafkaOptions, log: StageLog, pulse: &Pulse) -> Result<Option<Self>, LogError> {
        while options.reach.wait(pulse) {
            match Self::open(options.clone(), log) {
                Ok(session) => return session.settled(pulse),
                Err(LogError::Recover { why, .. }) => {
                    tracing::info!(stage = log.stage, why, "not opened yet");
                    pulse.rest(OPEN_AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The session once nothing is open that an earlier run has left.
    fn settled(mut self, pulse: &Pulse) -> Result<Option<Self>, LogError> {
        while self.producer.is_none() {
            if !self.options.reach.wait(pulse) {
                return Ok(None);
            }
            match self.recover() {
                Err(LogError::Recover { .. }) => {
                    pulse.turn(0);
                    pulse.rest(OPEN_AGAIN);
                }
                settled => settled?,
            }
        }
        Ok(Some(self))
    }

    /// Opens a session: checks the topics and settles what an earlier run of the same worker left open. It joins the group when it is first
    /// polled: what can fail has failed before it takes partitions from others.
    ///
    /// # Errors
    /// [`LogError::Recover`] when no broker answers in time, [`LogError::Stop`] when topics, partitions or settings are wrong. What an
    /// earlier run left open and cannot be settled yet is left to [`Session::recover`].
    pub fn open(options: KafkaOptions, log: StageLog) -> Result<Self, LogError> {
        let inputs = log.inputs.iter().map(|topic| (*topic, options.topics.of(*topic).to_owned())).collect();
        let mut session = Self {
            options,
            log,
            inputs,
            places: BTreeSet::new(),
            counts: BTreeMap::new(),
            spread_over: BTreeMap::new(),
            subscribed: false,
            counted: Instant::now(),
            consumer: None,
            producer: None,
            restorer: None,
            owned: Ownership::new(log.changelog.is_some()),
            membership: Membership::default(),
            since: BTreeMap::new(),
            fenced_at: None,
            contested_since: None,
            doubted_since: None,
            recovering_since: None,
            assigning_since: None,
            held_ups: HeldUps::new(),
            accepted: Accepted::default(),
            unopened: BTreeMap::new(),
            sizes: StateSizes::of(log.stage),
        };
        session.consumer = Some(session.new_consumer()?);
        session.check_topics()?;
        // Brokers that are busy with a former transaction may take a while: the worker tries again, and heeds being told to stop.
        match session.recover() {
            Err(LogError::Recover { why, .. }) => tracing::info!(stage = log.stage, why, "waiting for the brokers"),
            settled => settled?,
        }
        Ok(session)
    }

    pub(super) fn new_consumer(&self) -> Result<Consumed, LogError> {
        let config = self.options.consumer(&self.log).map_err(|error| LogError::stop("opening the log", error))?;
        let cooperative = KafkaOptions::is_cooperative(&self.log);
        let events = ConsumerEvents::new(self.log.stage, cooperative, ConnectionErrors::of(&config));
        config.create_with_context(events).map_err(|error: KafkaError| LogError::stop("opening the log", error))
    }

    /// Ends the consumer of the inputs. The client may take its time to leave, and has been seen never to end: it is waited for in a thread
    /// of its own, and left behind after a while.
    pub(super) fn close_consumer(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        consumer.context().close(&consumer);
        let (ends, ended) = mpsc::channel();
        let closing = thread::Builder::new().name("kafka-close".to_owned()).spawn(move || {
            drop(consumer);
            // Nobody waits any more.
            let _late = ends.send(());
        });
        if closing.is_ok() && ended.recv_timeout(CLOSE_MAX) == Err(RecvTimeoutError::Timeout) {
            let seconds = CLOSE_MAX.as_secs();
            tracing::warn!(stage = self.log.stage, seconds, "the Kafka consumer does not close, and is abandoned");
        }
    }

    pub(super) fn subscribe(&mut self) -> Result<(), LogError> {
        let names: Vec<&str> = self.inputs.iter().map(|(_, name)| name.as_str()).collect();
        self.consumer()?.subscribe(&names).map_err(|error| LogError::stop("joining the group", error))?;
        self.subscribed = true;
        Ok(())
    }

    pub(super) fn consumer(&self) -> Result<&Consumed, LogError> {
        self.consumer.as_ref().ok_or_else(|| LogError::stop("using the log", "the session is closed"))
    }

    /// The places of the inputs of partitions, of those that are ours, with an offset each.
    pub(super) fn places(
        &self,
        partitions: impl Iterator<Item = u32>,
        offset: impl Fn(u32, Topic) -> Offset,
    ) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            let number = i32::try_from(partition).map_err(|error| LogError::stop("listing partitions", error))?;
            for (topic, name) in self.inputs.iter().filter(|(topic, _)| self.places.contains(&(*topic, partition))) {
                list.add_partition_offset(name, number, offset(partition, *topic))
                    .map_err(|error| LogError::stop("listing partitions", error))?;
            }
        }
        Ok(list)
    }

    /// Reads until the queue is empty or a limit is reached.
    fn gather(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<(), LogError> {
        let Some(consumer) = self.consumer.as_ref() else { return Ok(()) };
        let mut wait = Duration::from_millis(limits.wait_ms);
        if self.to_restore().is_some() {
            wait = wait.min(RESTORING_WAIT);
        }
        if self.owned.has_changes() {
            wait = Duration::ZERO;
        }
        let mut end: Option<Instant> = None;
        while batch.len() < limits.records_max && batch.bytes() < limits.bytes_max {
            match consumer.poll(wait) {
                // Nothing more, or a rebalance: both end the batch.
                None => break,
                Some(Ok(message)) => message::take(&mut self.owned, &self.inputs, self.options.traced, &message, batch)?,
                Some(Err(error)) => {
                    self.consumer_failed(&error)?;
                    break;
                }
            }
            wait = Duration::ZERO;
            let now = Instant::now();
            if now > *end.get_or_insert(now + Duration::from_millis(limits.gather_ms)) {
                break;
            }
        }
        Ok(())
    }

    /// An error the consumer reports. The client goes on by itself after most of them.
    fn consumer_failed(&self, error: &KafkaError) -> Result<(), LogError> {
        const OPERATION: &str = "reading";
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            return Err(LogError::stop(OPERATION, self.out_of_range(&self.removed())));
        }
        match (remedy(error), error) {
            (Remedy::Stop(advice), _) => Err(LogError::stop(OPERATION, format!("{error}: {advice}"))),
            (_, KafkaError::MessageConsumptionFatal(_)) => Err(LogError::recover(OPERATION, error)),
            _ => {
                tracing::debug!(stage = self.log.stage, %error, "Kafka consumer");
                Ok(())
            }
        }
    }

    /// Says which partitions cannot be read on, and what can be done.
    fn out_of_range(&self, removed: &str) -> String {
        format!(
            "a committed offset is no longer in the topic: retention removed records that were not processed, or the topic was made \
             anew{removed}. Nothing is skipped by itself: to accept the loss, stop all processes, set the offsets of group {} with \
             kafka-consumer-groups.sh --reset-offsets, and for a stage with state delete and make anew its changelog and state folder",
            self.options.group(self.log.stage)
        )
    }

    /// The partitions of which the next record is not in the topic any more, as text.
    fn removed(&self) -> String {
        let places = self.owned.iter().flat_map(|(at, owned)| self.inputs.iter().map(move |input| (at, owned, input)));
        let removed = places.filter_map(|(partition, owned, (topic, name))| {
            let next = owned.committed.next.get(topic)?;
            let (low, high) = self.consumer.as_ref()?.fetch_watermarks(name, i32::try_from(partition).ok()?, ASK).ok()?;
            let held = u64::try_from(low).unwrap_or(0)..=u64::try_from(high).unwrap_or(0);
            (!held.contains(next))
                .then(|| format!("; {name}/{partition} is to be read from offset {next} and holds {low} to {high}"))
        });
        removed.collect()
    }

    /// A partition cannot be sought. The client refuses that where it has found that the offset is not in the topic, even before it says so.
    pub(super) fn seek_failed(&self, error: &KafkaError) -> LogError {
        const OPERATION: &str = "going to the committed offsets";
        if error.rdkafka_error_code() == Some(Code::State) {
            let removed = self.removed();
            if !removed.is_empty() {
                return LogError::stop(OPERATION, self.out_of_range(&removed));
            }
        }
        LogError::recover(OPERATION, error)
    }

    fn publish_sizes(&mut self) {
        let (owned, budget) = (&self.owned, &self.options.budget);
        self.sizes.publish(|| {
            let stores = || owned.iter().filter_map(|(_, owned)| owned.store.as_ref());
            Sizes {
                state_bytes: stores().map(RocksStore::size_bytes).sum(),
                memory_bytes: budget.used_bytes(),
                stalled: stores().filter(|store| store.is_stalled()).count(),
            }
        });
    }
}

impl Session for KafkaSession {
    fn partitions(&mut self, topic: Topic) -> Result<u32, LogError> {
        self.count(topic)
    }

    fn poll(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<Vec<Assignment>, LogError> {
        if self.producer.is_none() {
            return Err(LogError::recover("reading", "the last transaction failed"));
        }
        if !self.subscribed {
            self.subscribe()?;
        }
        self.watch_counts()?;
        self.watch_share();
        self.publish_lag();
        self.settle(batch)?;
        if !self.begins() {
            self.gather(batch, limits)?;
        }
        // What was revoked meanwhile must not be in the batch.
        self.settle_rebalances(batch)?;
        self.publish_sizes();
        Ok(self.owned.take_changes())
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        self.commit_transaction(transaction)
    }

    fn recover(&mut self) -> Result<(), LogError> {
        self.recover_transaction()
    }

    fn obstacles(&self) -> Vec<Obstacle> {
        let mut found: Vec<Obstacle> = self.share_obstacle().into_iter().collect();
        match self.owned.restoring() {
            0 => {}
            partitions => found.push(Obstacle::Restoring { partitions }),
        }
        found.extend(
            self.unopened.iter().map(|(partition, (_, why))| Obstacle::Unopened { partition: *partition, why: why.clone() }),
        );
        found
    }

    fn stop_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.stop_place(topic, partition);
        Ok(())
    }

    fn resume_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.resume_place(topic, partition)
    }

    fn is_stopped(&self, topic: Topic, partition: u32) -> bool {
        self.stands_still(topic, partition)
    }

    fn accepted(&mut self, topic: Topic, partition: u32) -> Option<u64> {
        self.look_accepted(topic, partition)
    }

    fn close(&mut self) -> Result<(), LogError> {
        self.producer = None;
        self.restorer = None;
        self.close_consumer();
        self.owned.partitions().for_each(|partition| self.options.holdings.gone(self.worker(), partition));
        let stores: Vec<RocksStore> = self.owned.clear().into_values().filter_map(|owned| owned.store).collect();
        stores.iter().try_for_each(RocksStore::flush).map_err(|error| LogError::stop("closing the state", error))
    }
}

impl Drop for KafkaSession {
    fn drop(&mut self) {
        self.close_consumer();
    }
}
