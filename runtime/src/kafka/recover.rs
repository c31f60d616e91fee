//! Recovery: a new producer, and a return to the committed offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use super::ASK;
use super::context::ProducerEvents;
use super::failure::{Remedy, SAME_INSTANCE, remedy};
use super::metrics;
use super::reach::AWAY;
use super::session::{KafkaSession, Produced};
use crate::exactly_once::{Inputs, Recovery, recover};
use crate::log::LogError;

const OPERATION: &str = "recovering";
/// Timeout of one attempt to settle the former transaction. Short, so that the worker can react to a stop.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Margin for the group to notice the end of a session.
const SESSION_ENDS: Duration = Duration::from_secs(2);
/// Fenced twice within this time: two processes may be taking the transactional id from each other.
const FENCED_AGAIN: Duration = Duration::from_mins(2);

impl KafkaSession {
    /// One attempt to recover; the error says whether another attempt makes sense.
    pub(super) fn recover_transaction(&mut self) -> Result<(), LogError> {
        // While the brokers are away, waits as long as it takes; no requests are sent.
        if self.options.reach.is_away() {
            self.recovering_since = None;
            return Err(LogError::recover(OPERATION, AWAY));
        }
        let since = *self.recovering_since.get_or_insert_with(Instant::now);
        let result = recover(&mut GoingBack(self));
        match result {
            Ok(()) => {
                self.recovering_since = None;
                Ok(())
            }
            Err(LogError::Recover { operation, why }) => {
                let waited_ms = since.elapsed().as_millis();
                if waited_ms > u128::from(self.options.recover_timeout_ms) {
                    return Err(LogError::stop(operation, format!("gave up after {} s: {why}", waited_ms / 1000)));
                }
                Err(LogError::Recover { operation, why })
            }
            Err(stop) => Err(stop),
        }
    }

    /// Replaces a consumer with a fatal error. One whose instance name was taken over must not take it back, though.
    fn replace_broken_consumer(&mut self) -> Result<(), LogError> {
        let Some((code, why)) = self.consumer()?.client().fatal_error() else { return Ok(()) };
        if code == RDKafkaErrorCode::FencedInstanceId {
            self.doubt_name()?;
        }
        tracing::warn!(stage = self.log.stage, why, "the Kafka consumer is replaced");
        let owned: Vec<u32> = self.owned.partitions().collect();
        for partition in owned {
            self.drop_owned(partition);
        }
        self.places.clear();
        let fresh = self.new_consumer()?;
        self.close_consumer();
        self.consumer = Some(fresh);
        self.membership.taken(true);
        self.subscribe()
    }

    /// Another member of the group has our name. It may be what is left of ourselves: a join whose answer was lost, with its broker or in a
    /// crash. Such a member sends no heartbeats and is removed after a session timeout; another process is not.
    fn doubt_name(&mut self) -> Result<(), LogError> {
        let since = *self.doubted_since.get_or_insert_with(Instant::now);
        if since.elapsed() < self.session_ends() {
            return Err(LogError::recover(
                OPERATION,
                "another member of the group has the name of this process: checking whether it is alive",
            ));
        }
        let (group, name) = (self.options.group(self.log.stage), self.options.member(self.log.stage));
        let found =
            self.consumer()?.fetch_group_list(Some(&group), ASK).map_err(|error| LogError::recover(OPERATION, error))?;
        if found.groups().iter().flat_map(|group| group.members()).any(|member| member.client_id() == name) {
            return Err(LogError::stop(OPERATION, SAME_INSTANCE));
        }
        self.doubted_since = None;
        Ok(())
    }

    /// Handles an error of the producer. The outcome of its transaction is unknown, whatever the error is, so the producer is not used
    /// again.
    pub(super) fn transaction_failed(&mut self, operation: &'static str, error: &KafkaError) -> LogError {
        self.producer = None;
        match remedy(error) {
            Remedy::Stop(advice) => LogError::stop(operation, format!("{error}: {advice}")),
            Remedy::Recover => LogError::recover(operation, error),
            Remedy::Fenced => {
                metrics::fenced(self.log.stage);
                let now = Instant::now();
                if self.fenced_at.replace(now).is_some_and(|before| now - before < FENCED_AGAIN) {
                    self.contested_since = Some(now);
                }
                LogError::recover(operation, error)
            }
        }
    }

    /// Two processes with the same name must neither take the transactional id from each other for ever, nor both give up. The group
    /// decides, because it accepts one. The loser learns that with the next heartbeat; a process that gets no error continues.
    fn await_verdict(&mut self) -> Result<(), LogError> {
        match self.contested_since {
            Some(since) if since.elapsed() < self.session_ends() => Err(LogError::recover(
                OPERATION,
                "another process may have the name of this one: waiting to see which one the group keeps",
            )),
            _ => {
                self.contested_since = None;
                Ok(())
            }
        }
    }

    /// How long the group may keep a member that is gone.
    fn session_ends(&self) -> Duration {
        Duration::from_millis(self.options.session_timeout_ms) + SESSION_ENDS
    }
}

/// A session that recovers.
struct GoingBack<'a>(&'a mut KafkaSession);

impl Recovery for GoingBack<'_> {
    type Producer = Produced;

    fn slot(&mut self) -> &mut Option<Produced> {
        &mut self.0.producer
    }

    fn replace_consumer(&mut self) -> Result<(), LogError> {
        self.0.replace_broken_consumer()
    }

    fn new_producer(&mut self) -> Result<Produced, LogError> {
        self.0.await_verdict()?;
        let config = self.0.options.producer(&self.0.log).map_err(|error| LogError::stop(OPERATION, error))?;
        let producer: Produced =
            config.create_with_context(ProducerEvents::default()).map_err(|error| LogError::stop(OPERATION, error))?;
        producer.init_transactions(ATTEMPT).map_err(|error| self.0.transaction_failed(OPERATION, &error))?;
        Ok(producer)
    }

    fn committed_offsets(&mut self) -> Result<Option<BTreeMap<u32, Inputs>>, LogError> {
        let partitions: BTreeSet<u32> = self.0.owned.partitions().collect();
        self.0.committed(&partitions)
    }

    /// Discards everything in memory of the owned partitions, and starts them at their committed offsets.
    fn begin_again(&mut self, committed: BTreeMap<u32, Inputs>) -> Result<(), LogError> {
        if committed.is_empty() {
            return Ok(());
        }
        let list = self.0.start_of(&committed)?;
        if let Some(restorer) = &mut self.0.restorer {
            committed.keys().for_each(|partition| restorer.cancel(*partition));
        }
        self.0.prepare(&committed, &list)?;
        self.0.show_begun(committed.keys().copied());
        self.0.owned.begin_again(committed);
        self.0.count_restoring();
        self.0.seek(list)?;
        let (held, now): (Vec<u32>, _) = (self.0.owned.partitions().collect(), Instant::now());
        self.0.since.extend(held.iter().map(|partition| (*partition, now)));
        self.0.pause_stopped(held)
    }
}
