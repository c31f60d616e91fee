//! Whether the brokers can be reached: one monitor for the process, independent of its workers.
//!
//! It has its own client, which keeps a connection to every broker and constantly sends small requests. The client's statistics show which
//! connections are up. So an outage is known within seconds, while workers may still wait for the brokers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::{Broker, Statistics};
use rdkafka::{ClientConfig, ClientContext};

use super::connection_errors::ConnectionErrors;
use super::metrics;
use crate::fresh::FreshGauges;
use crate::obstacle::Obstacle;
use crate::service::Pulse;

/// How long no broker may answer before the brokers count as away. Short: a broken connection is usually up again after a tenth of it.
const AWAY_AFTER: Duration = Duration::from_millis(1_200);
/// A broker that has not answered a request for longer counts as away, whatever the state of its connection; microseconds.
const SILENT_US: i64 = 5_000_000;
/// How often it is logged that they are away.
const SAY_AGAIN: Duration = Duration::from_secs(30);
/// Timeout of a request, and the pause before the next one.
const ASK: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(250);
/// How often a worker that waits for the brokers checks.
const LOOK: Duration = Duration::from_millis(50);

/// The error of what is not tried while the brokers are away.
pub(super) const AWAY: &str = "no broker answers";

/// The reason, if the client's log has none.
const UNTOLD: &str = "connections are closed, or get no answers";

/// Whether the brokers answer: shared by all clients of a process.
#[derive(Debug)]
pub struct Reach(Mutex<State>);

#[derive(Debug)]
struct State {
    /// When one last answered; before that, the start.
    since: Instant,
    /// Whether one ever answered.
    met: bool,
    away: bool,
    /// When it was last logged that they are away.
    said: Option<Instant>,
}

/// What is to be logged.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Away(Duration),
    Back(Duration),
}

impl State {
    fn new() -> Self {
        Self { since: Instant::now(), met: false, away: false, said: None }
    }

    fn note(&mut self, reachable: usize, now: Instant) -> Option<News> {
        let gone = now.saturating_duration_since(self.since);
        if reachable > 0 {
            let back = std::mem::take(&mut self.away).then_some(News::Back(gone));
            *self = Self { since: now, met: true, away: false, said: None };
            return back;
        }
        if gone < AWAY_AFTER {
            return None;
        }
        self.away = true;
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < SAY_AGAIN) {
            return None;
        }
        self.said = Some(now);
        Some(News::Away(gone))
    }
}

impl Reach {
    /// For brokers that are not watched: they count as present.
    pub fn unwatched() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { met: true, ..State::new() })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether none answers.
    pub fn is_away(&self) -> bool {
        self.with(|state| state.away)
    }

    /// Whether one answers, as far as is known.
    pub fn answers(&self) -> bool {
        self.with(|state| state.met && !state.away)
    }

    fn obstacle(&self) -> Option<Obstacle> {
        self.with(|state| state.away.then_some(Obstacle::BrokersAway { since: state.since }))
    }

    /// Waits until one answers; false if the worker must stop before that.
    pub fn wait(&self, pulse: &Pulse) -> bool {
        while !pulse.stopping() {
            if self.answers() {
                return true;
            }
            pulse.turn(0);
            pulse.rest(LOOK);
        }
        false
    }
}

/// The events of the watching client.
struct Ear {
    connection_errors: ConnectionErrors,
    /// The number of brokers that could be reached, by the latest statistics.
    reachable: Mutex<usize>,
}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection_errors.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client that watches the brokers");
    }

    fn stats(&self, statistics: Statistics) {
        *self.reachable.lock().unwrap_or_else(PoisonError::into_inner) = reachable(&statistics);
    }
}

impl ConsumerContext for Ear {}

/// How many brokers a client can reach.
fn reachable(statistics: &Statistics) -> usize {
    let of = |source: &str| -> Vec<&Broker> { statistics.brokers.values().filter(|broker| broker.source == source).collect() };
    // The bootstrap addresses are other names of brokers, which the client then learns.
    let (learned, configured) = (of("learned"), of("configured"));
    let known = if learned.is_empty() { configured } else { learned };
    known.into_iter().filter(|broker| answers(broker)).map(|broker| &broker.nodename).collect::<BTreeSet<_>>().len()
}

/// Whether the connection to a broker is up and its requests are answered.
pub(super) fn answers(broker: &Broker) -> bool {
    let stands = matches!(broker.state.as_str(), "UP" | "UPDATE");
    stands && !(broker.waitresp_cnt > 0 && broker.rxidle > SILENT_US)
}

/// Watches the brokers. One per process.
pub struct Lookout {
    consumer: BaseConsumer<Ear>,
    brokers: String,
    topic: String,
    reach: Arc<Reach>,
    gauges: FreshGauges,
}

impl Lookout {
    /// With these client properties; it asks for the metadata of `topic`, whether or not that exists. Clears `gauges` while no broker
    /// answers.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn new(properties: &BTreeMap<String, String>, topic: &str, gauges: FreshGauges) -> Result<Self, KafkaError> {
        let mut config = ClientConfig::new();
        properties.iter().for_each(|(key, value)| {
            config.set(key, value);
        });
        config
            .set("enable.metrics.push", "false")
            // Connects to all brokers, not only to those that get requests.
            .set("enable.sparse.connections", "false")
            .set("statistics.interval.ms", ASK.saturating_add(PAUSE).as_millis().to_string())
            .set("socket.timeout.ms", "5000")
            .set("reconnect.backoff.max.ms", "1000");
        let ear = Ear { connection_errors: ConnectionErrors::of(&config), reachable: Mutex::new(0) };
        let consumer = config.create_with_context(ear)?;
        let (brokers, topic) = (config.get("bootstrap.servers").unwrap_or_default().to_owned(), topic.to_owned());
        Ok(Self { consumer, brokers, topic, reach: Arc::new(Reach(Mutex::new(State::new()))), gauges })
    }

    /// The result, for workers.
    pub fn reach(&self) -> Arc<Reach> {
        self.reach.clone()
    }

    /// Watches until it is stopped.
    pub fn run(self, pulse: &Pulse) {
        while !pulse.stopping() {
            // The answer does not matter: the statistics show whether there was one.
            let _answer = self.consumer.fetch_metadata(Some(&self.topic), ASK);
            let until = Instant::now() + PAUSE;
            while Instant::now() < until {
                // Errors are in the log, too.
                let _event = self.consumer.poll(LOOK);
            }
            self.note();
            pulse.report(self.reach.obstacle().into_iter().collect());
            pulse.turn(0);
        }
    }

    fn note(&self) {
        let reachable = *self.consumer.context().reachable.lock().unwrap_or_else(PoisonError::into_inner);
        let (news, met) = self.reach.with(|state| (state.note(reachable, Instant::now()), state.met));
        let away = self.reach.is_away();
        metrics::brokers_reachable(if away { 0 } else { reachable });
        if away {
            // The lag is unknown now.
            self.gauges.forget_all();
        }
        let brokers = &self.brokers;
        match news {
            Some(News::Away(gone)) => {
                let why = self.consumer.context().connection_errors.why().unwrap_or_else(|| UNTOLD.to_owned());
                let what = if met { "no broker answers" } else { "waiting for a broker" };
                tracing::warn!(
                    "{what} (kafka.brokers = {brokers}), for {} s now: {why}. Nothing is read or committed meanwhile, and nothing is \
                     lost; processing continues as soon as one answers",
                    gone.as_secs()
                );
            }
            Some(News::Back(gone)) => tracing::info!("brokers answer again, after {} s", gone.as_secs()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_unreachable_once_none_answered_for_a_while_and_that_is_logged_at_intervals() {
        let mut state = State::new();
        let start = state.since;
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(state.note(0, at(1_000)), None);
        assert!(!state.away);
        assert_eq!(state.note(0, at(1_500)), Some(News::Away(Duration::from_millis(1_500))));
        assert_eq!(state.note(0, at(31_000)), None);
        assert!(state.away && !state.met);
        assert_eq!(state.note(0, at(31_500)), Some(News::Away(Duration::from_millis(31_500))));
        assert_eq!(state.note(2, at(40_000)), Some(News::Back(Duration::from_secs(40))));
        assert!(!state.away && state.met);
        assert_eq!(state.note(1, at(41_000)), None);
        assert_eq!(state.note(0, at(42_000)), None, "a connection that breaks is made anew");
        assert_eq!(state.note(1, at(42_100)), None);
        assert_eq!(state.note(0, at(43_400)), Some(News::Away(Duration::from_millis(1_300))));
    }

    #[test]
    fn a_broker_is_reachable_if_it_is_connected_and_answers() {
        let broker = |source: &str, nodename: &str, state: &str, waiting: i64, silent_us: i64| Broker {
            source: source.into(),
            nodename: nodename.into(),
            state: state.into(),
            waitresp_cnt: waiting,
            rxidle: silent_us,
            ..Broker::default()
        };
        let count = |brokers: &[Broker]| {
            let brokers = brokers.iter().enumerate().map(|(at, broker)| (at.to_string(), broker.clone())).collect();
            reachable(&Statistics { brokers, ..Statistics::default() })
        };
        let configured = broker("configured", "kafka:9092", "UP", 0, 10);
        assert_eq!(count(std::slice::from_ref(&configured)), 1);
        let learned = [
            configured,
            broker("learned", "10.0.0.1:9092", "UP", 1, 10),
            broker("learned", "10.0.0.1:9092", "UPDATE", 0, SILENT_US * 9),
            broker("learned", "10.0.0.2:9092", "UP", 1, SILENT_US + 1),
            broker("learned", "10.0.0.3:9092", "DOWN", 0, 10),
            broker("logical", "10.0.0.4:9092", "UP", 0, 10),
        ];
        assert_eq!(count(&learned), 1);
    }
}
