//! Workers on separate threads: started, watched, and stopped together.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::obstacle::Obstacle;
use crate::topic::Topic;
use crate::worker::WorkerError;

/// A worker that has not completed a turn of its loop for this long counts as stuck. Restoring a state also makes turns.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// How often a resting worker checks whether it must stop.
const LOOK: Duration = Duration::from_millis(50);

/// Shared by a worker and its health checks.
#[derive(Debug)]
pub struct Pulse {
    worker: String,
    /// Whether its records count; false for threads that only watch.
    works: bool,
    stop: Arc<AtomicBool>,
    /// What keeps it from processing.
    obstacles: Mutex<Vec<Obstacle>>,
    /// Other information on the worker, one line each.
    mentions: Mutex<Vec<String>>,
    started: Instant,
    /// Milliseconds from the start to the last turn of the loop; 0 before the first.
    turned_ms: AtomicU64,
    /// Milliseconds from the start to the first record; 0 before it.
    began_ms: AtomicU64,
    /// Milliseconds from the start to the last record.
    worked_ms: AtomicU64,
    records: AtomicU64,
}

impl Pulse {
    fn new(worker: String, works: bool, stop: Arc<AtomicBool>) -> Self {
        Self {
            worker,
            works,
            stop,
            obstacles: Mutex::new(vec![Obstacle::Starting]),
            mentions: Mutex::new(Vec::new()),
            started: Instant::now(),
            turned_ms: AtomicU64::new(0),
            began_ms: AtomicU64::new(0),
            worked_ms: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Whether the worker must stop.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps for this time, or until the worker must stop.
    pub fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stopping() && Instant::now() < until {
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// Reports what keeps the worker from processing; empty if nothing does. Before the first report it counts as starting.
    pub fn report(&self, obstacles: Vec<Obstacle>) {
        *self.obstacles.lock().unwrap_or_else(PoisonError::into_inner) = obstacles;
    }

    /// Reports other information on the worker, which does not affect its readiness.
    pub fn mention(&self, lines: impl FnOnce() -> Vec<String>, none: bool) {
        let mut mentions = self.mentions.lock().unwrap_or_else(PoisonError::into_inner);
        if !(none && mentions.is_empty()) {
            *mentions = lines();
        }
    }

    fn obstacles(&self) -> Vec<Obstacle> {
        if self.stopping() {
            return vec![Obstacle::Leaving];
        }
        self.obstacles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The worker has completed a turn of its loop, with this many records.
    pub fn turn(&self, records: usize) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let first = self.turned_ms.swap(now, Ordering::Relaxed) == 0;
        if records > 0 || first {
            self.worked_ms.store(now, Ordering::Relaxed);
            self.records.fetch_add(records as u64, Ordering::Relaxed);
            if records > 0 {
                let _ = self.began_ms.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    fn since(&self, moment: &AtomicU64) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(moment.load(Ordering::Relaxed)))
    }
}

/// Work done by a worker.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Work {
    /// Its name: stage and number.
    pub worker: String,
    /// Records it has processed.
    pub records: u64,
    /// From its first batch to the end of its last.
    pub milliseconds: u64,
}

/// The state of a service, for health checks. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    pulses: Vec<Arc<Pulse>>,
}

impl Health {
    /// Whether nothing keeps any worker from processing.
    pub fn is_ready(&self) -> bool {
        self.pulses.iter().all(|pulse| pulse.obstacles().is_empty())
    }

    /// The stopped partitions, if nothing else keeps any worker from processing.
    pub fn stopped_alone(&self) -> Option<BTreeSet<(Topic, u32)>> {
        let obstacles = self.pulses.iter().flat_map(|pulse| pulse.obstacles());
        let stopped = obstacles.map(|obstacle| match obstacle {
            Obstacle::Stopped { topic, partition, .. } => Some((topic, partition)),
            _ => None,
        });
        stopped.collect()
    }

    /// What keeps workers from processing, one line each, with the workers concerned.
    pub fn obstacles(&self) -> Vec<String> {
        let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for pulse in &self.pulses {
            for obstacle in pulse.obstacles() {
                found.entry(obstacle.to_string()).or_default().push(&pulse.worker);
            }
        }
        found.into_iter().map(|(obstacle, workers)| format!("{}: {obstacle}", workers.join(", "))).collect()
    }

    /// Other information on workers, one line each.
    pub fn mentions(&self) -> Vec<String> {
        let of = |pulse: &Arc<Pulse>| -> Vec<String> {
            let mentions = pulse.mentions.lock().unwrap_or_else(PoisonError::into_inner);
            mentions.iter().map(|line| format!("{}: {line}", pulse.worker)).collect()
        };
        self.pulses.iter().flat_map(of).collect()
    }

    /// Whether no worker is stuck.
    pub fn is_live(&self) -> bool {
        self.pulses.iter().all(|pulse| pulse.since(&pulse.turned_ms) < STUCK_AFTER)
    }

    /// For how long no worker has had a record.
    pub fn idle(&self) -> Duration {
        self.pulses.iter().map(|pulse| pulse.since(&pulse.worked_ms)).min().unwrap_or_default()
    }

    /// What each worker has done so far.
    pub fn work(&self) -> Vec<Work> {
        let work = |pulse: &Arc<Pulse>| {
            let (began, worked) = (pulse.began_ms.load(Ordering::Relaxed), pulse.worked_ms.load(Ordering::Relaxed));
            let milliseconds = if began == 0 { 0 } else { worked.saturating_sub(began) };
            Work { worker: pulse.worker.clone(), records: pulse.records.load(Ordering::Relaxed), milliseconds }
        };
        self.pulses.iter().filter(|pulse| pulse.works).map(work).collect()
    }
}

/// Running workers. When one fails, all stop.
#[derive(Default)]
pub struct Service {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<(), WorkerError>>>,
    health: Health,
}

impl Service {
    /// Starts a worker on a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        &mut self,
        name: String,
        work: impl FnOnce(&Pulse) -> Result<(), WorkerError> + Send + 'static,
    ) -> io::Result<()> {
        self.start_pulse(Pulse::new(name, true, self.stop.clone()), work)
    }

    /// Starts a watching thread, whose work is not counted.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watch(&mut self, name: String, watch: impl FnOnce(&Pulse) + Send + 'static) -> io::Result<()> {
        self.guard(name, move |pulse| {
            watch(pulse);
            Ok(())
        })
    }

    /// Starts a watching thread that may have to stop the workers.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn guard(
        &mut self,
        name: String,
        guard: impl FnOnce(&Pulse) -> Result<(), WorkerError> + Send + 'static,
    ) -> io::Result<()> {
        self.start_pulse(Pulse::new(name, false, self.stop.clone()), guard)
    }

    fn start_pulse(
        &mut self,
        pulse: Pulse,
        work: impl FnOnce(&Pulse) -> Result<(), WorkerError> + Send + 'static,
    ) -> io::Result<()> {
        let name = pulse.worker.clone();
        let pulse = Arc::new(pulse);
        self.health.pulses.push(pulse.clone());
        let stop = self.stop.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _stop_all = StopOnDrop(stop);
            work(&pulse)
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The health of the workers started so far.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The flag that stops the workers.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Stops all workers, and waits for them.
    ///
    /// # Errors
    /// The error of the first that failed.
    pub fn stop(self) -> Result<(), WorkerError> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// Waits for all workers.
    ///
    /// # Errors
    /// The error of the first that failed.
    pub fn wait(self) -> Result<(), WorkerError> {
        let mut first = Ok(());
        for thread in self.threads {
            let name = thread.thread().name().unwrap_or("worker").to_owned();
            let ended = thread.join().unwrap_or(Err(WorkerError::Panicked { worker: name }));
            if first.is_ok() {
                first = ended;
            }
        }
        first
    }
}

/// Stops the others when a worker ends, in whatever way.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_cannot_work_names_the_cause() {
        let stop = Arc::new(AtomicBool::new(false));
        let pulses = ["ingest-0", "identity-0"].map(|name| Arc::new(Pulse::new(name.into(), true, stop.clone())));
        let health = Health { pulses: pulses.to_vec() };
        assert!(!health.is_ready(), "nobody has said anything yet");
        assert_eq!(health.obstacles(), ["ingest-0, identity-0: starting"]);
        let stopped = Obstacle::Stopped { topic: Topic::Offline, partition: 3, why: "too much was refused".into() };
        pulses[0].report(vec![Obstacle::Recovering("fenced".into()), stopped]);
        pulses[1].report(Vec::new());
        assert!(!health.is_ready());
        assert_eq!(
            health.obstacles(),
            [
                "ingest-0: partition offline/3 is stopped: too much was refused",
                "ingest-0: recovering to the committed offsets: fenced"
            ]
        );
        assert_eq!(health.stopped_alone(), None, "something else keeps it from its work");
        pulses[0].report(vec![Obstacle::Stopped { topic: Topic::Offline, partition: 3, why: "too much was refused".into() }]);
        assert_eq!(health.stopped_alone(), Some([(Topic::Offline, 3)].into()));
        pulses[0].report(Vec::new());
        pulses[1].mention(|| vec!["partition 3: 40 %".into()], false);
        assert_eq!(health.mentions(), ["identity-0: partition 3: 40 %"]);
        assert!(health.is_ready(), "what is done beside the work keeps nobody from it");
        pulses[1].mention(Vec::new, true);
        assert_eq!(health.mentions(), Vec::<String>::new());
        assert_eq!(health.stopped_alone(), Some(BTreeSet::new()));
        assert!(health.is_ready() && health.obstacles().is_empty());
        stop.store(true, Ordering::Relaxed);
        assert_eq!(health.obstacles(), ["ingest-0, identity-0: leaving"]);
    }
}
