//! A new producer, and back to the committed offsets.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use super::context::ProducerEvents;
use super::failure::{Remedy, SAME_INSTANCE, remedy};
use super::metrics;
use super::session::{KafkaSession, Produced};
use crate::log::LogError;

const OPERATION: &str = "recovering";
/// One attempt to settle the former transaction. Short, so that a worker that is told to stop gets to see it.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Fenced twice within this: two processes take the transactional id from each other.
const FENCED_AGAIN: Duration = Duration::from_mins(2);

impl KafkaSession {
    /// One attempt; the error says whether another one makes sense.
    pub(super) fn recover_transaction(&mut self) -> Result<(), LogError> {
        self.producer = None;
        let since = *self.recovering_since.get_or_insert_with(Instant::now);
        let result = self.attempt();
        match result {
            Ok(()) => {
                self.recovering_since = None;
                Ok(())
            }
            Err(LogError::Recover { operation, why }) => {
                self.producer = None;
                let waited_ms = since.elapsed().as_millis();
                if waited_ms > u128::from(self.options.recover_timeout_ms) {
                    return Err(LogError::stop(operation, format!("gave up after {} s: {why}", waited_ms / 1000)));
                }
                Err(LogError::Recover { operation, why })
            }
            Err(stop) => Err(stop),
        }
    }

    fn attempt(&mut self) -> Result<(), LogError> {
        self.replace_broken_consumer()?;
        // The order matters: once the new producer has its epoch, the former transaction is settled whole, and what is committed
        // is what was.
        self.producer = Some(self.new_producer()?);
        self.begin_again()
    }

    /// A consumer with a fatal error is of no more use; one whose instance name was taken over must not take it back.
    fn replace_broken_consumer(&mut self) -> Result<(), LogError> {
        let Some((code, why)) = self.consumer()?.client().fatal_error() else { return Ok(()) };
        if code == RDKafkaErrorCode::FencedInstanceId {
            return Err(LogError::stop(OPERATION, SAME_INSTANCE));
        }
        tracing::warn!(stage = self.log.stage, why, "the Kafka consumer is replaced");
        let owned: Vec<u32> = self.owned.partitions().collect();
        for partition in owned {
            self.drop_owned(partition);
        }
        self.consumer()?.context().close();
        self.consumer = Some(self.new_consumer()?);
        self.subscribe()
    }

    fn new_producer(&mut self) -> Result<Produced, LogError> {
        let config = self.options.producer(&self.log).map_err(|error| LogError::stop(OPERATION, error))?;
        let producer: Produced =
            config.create_with_context(ProducerEvents::default()).map_err(|error| LogError::stop(OPERATION, error))?;
        producer.init_transactions(ATTEMPT).map_err(|error| self.transaction_failed(OPERATION, &error))?;
        Ok(producer)
    }

    /// Everything owned is void in memory and begun from its committed offsets.
    fn begin_again(&mut self) -> Result<(), LogError> {
        let partitions: BTreeSet<u32> = self.owned.partitions().collect();
        if partitions.is_empty() {
            return Ok(());
        }
        let Some(committed) = self.committed(&partitions)? else {
            return Err(LogError::recover(OPERATION, "no answer about the committed offsets yet"));
        };
        let list = self.start_of(&committed)?;
        if let Some(restorer) = &mut self.restorer {
            partitions.iter().for_each(|partition| restorer.cancel(*partition));
        }
        self.prepare(&committed, &list)?;
        self.owned.begin_again(committed);
        self.count_restoring();
        self.seek(list)
    }

    /// What follows from an error of the producer. Its outcome is not known, whatever it says: it is not used again.
    pub(super) fn transaction_failed(&mut self, operation: &'static str, error: &KafkaError) -> LogError {
        self.producer = None;
        match remedy(error) {
            Remedy::Stop(advice) => LogError::stop(operation, format!("{error}: {advice}")),
            Remedy::Recover => LogError::recover(operation, error),
            Remedy::Fenced => {
                metrics::fenced(self.log.stage);
                match self.fenced_at.replace(Instant::now()) {
                    Some(before) if before.elapsed() < FENCED_AGAIN => {
                        LogError::stop(operation, format!("{error}: {SAME_INSTANCE}"))
                    }
                    _ => LogError::recover(operation, error),
                }
            }
        }
    }
}
