//! The log as the collector sees it: for each record, either it is stored, or the outcome is unknown.

mod embedded;
mod kafka;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use tokio::sync::oneshot;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::topic::Topic;

use crate::budget::Budget;
use crate::metrics::{BYTES, QUEUE_BYTES, RECORDS};
use crate::refusal::Refusal;
use crate::settings::Settings;

pub(crate) use kafka::TOPICS;
pub use kafka::{KafkaError, KafkaLog};

/// How often it is logged that the log is unreachable.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Writes records to the log, within limits. Records have no key, as those of `tributary send`: ingest keeps no state, and with keys chosen
/// by senders, one partition could get all the work.
pub struct Log {
    target: Target,
    budget: Arc<Budget>,
    ack: Duration,
    away: AtomicBool,
    /// Why it is unreachable, as last logged, and when that was.
    told: Mutex<Option<(String, Instant)>>,
    stored: AtomicU64,
}

enum Target {
    Kafka(KafkaLog),
    Embedded(embedded::Writer),
}

/// Receives true when records are stored, or false if they are not.
type Outcome = oneshot::Receiver<bool>;

impl Log {
    /// Writes to Kafka's raw topics. Counts as unreachable until [it answers](Self::look).
    pub fn kafka(kafka: KafkaLog, settings: &Settings) -> Self {
        Self::new(Target::Kafka(kafka), settings, true)
    }

    /// Writes to the raw topics of an embedded log.
    ///
    /// # Errors
    /// When the writing thread cannot be started.
    pub fn embedded(log: EmbeddedLog, settings: &Settings) -> std::io::Result<Self> {
        Ok(Self::new(Target::Embedded(embedded::Writer::start(log)?), settings, false))
    }

    fn new(target: Target, settings: &Settings, away: bool) -> Self {
        let budget = Budget::new((settings.queue_mb as usize) << 20, settings.address_percent);
        Self {
            target,
            budget,
            ack: Duration::from_millis(settings.ack_ms.into()),
            away: AtomicBool::new(away),
            told: Mutex::new(None),
            stored: AtomicU64::new(0),
        }
    }

    /// Stores the records of a request, received at `now_ms`. Returns when the log has stored all of them.
    ///
    /// # Errors
    /// When there is no room, or the log does not confirm in time. Then some records may be stored nevertheless, or later.
    pub async fn store(&self, topic: Topic, records: Vec<String>, now_ms: i64) -> Result<(), Refusal> {
        if records.is_empty() {
            return Ok(());
        }
        if self.is_away() {
            return Err(Refusal::LogAway);
        }
        let (count, bytes) = (records.len() as u64, records.iter().map(String::len).sum::<usize>());
        let room = self.budget.take(bytes)?;
        let outcome = match &self.target {
            Target::Kafka(kafka) => {
                let outcome = kafka.send(topic, &records, now_ms, room)?;
                // The client has its own copy.
                drop(records);
                outcome
            }
            Target::Embedded(writer) => writer.send(topic, records, now_ms, room),
        };
        let Ok(Ok(true)) = tokio::time::timeout(self.ack, outcome).await else {
            self.away.store(true, Ordering::Relaxed);
            return Err(Refusal::LogAway);
        };
        self.stored.fetch_add(count, Ordering::Relaxed);
        counter!(RECORDS.name, "topic" => topic.name()).increment(count);
        counter!(BYTES.name, "topic" => topic.name()).increment(bytes as u64);
        Ok(())
    }

    /// The memory budget for requests and for records waiting for the log.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Why the log has failed permanently, if it has: this process cannot store anything any more.
    pub fn failure(&self) -> Option<String> {
        match &self.target {
            Target::Kafka(_) => None,
            Target::Embedded(writer) => writer.failure(),
        }
    }

    /// Whether the log did not answer when last used.
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Checks whether an unreachable log is back, and publishes what is queued. Blocks; to be called regularly. Returns how many records
    /// were stored since the last call.
    pub fn look(&self) -> u64 {
        gauge!(QUEUE_BYTES.name).set(self.budget.used() as f64);
        if self.is_away() {
            let found = match &self.target {
                Target::Kafka(kafka) => kafka.look(),
                // Only a write shows whether writing works.
                Target::Embedded(_) => Ok(()),
            };
            match found {
                Ok(()) => {
                    tracing::info!("the collector's log answers");
                    *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    self.away.store(false, Ordering::Relaxed);
                }
                Err(error) => self.tell_away(error.to_string()),
            }
        }
        self.stored.swap(0, Ordering::Relaxed)
    }

    /// Logs why the log is unreachable, and again from time to time.
    fn tell_away(&self, error: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref().is_none_or(|(why, when)| *why != error || when.elapsed() >= TELL_AGAIN) {
            tracing::warn!(error, "the collector's log is away: requests are answered 503");
            *told = Some((error, Instant::now()));
        }
    }

    /// Waits until everything accepted is stored or has failed. Nothing may be stored afterwards.
    pub fn close(&self) {
        match &self.target {
            Target::Kafka(kafka) => kafka.flush(self.ack),
            Target::Embedded(writer) => writer.close(),
        }
    }
}
