//! Workers on threads of their own: started, watched, and stopped together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::worker::WorkerError;

/// A worker that has not come round its loop for this long is taken for stuck. Restoring a state comes round.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// What a worker and those who watch it share.
#[derive(Debug)]
pub struct Pulse {
    worker: String,
    stop: Arc<AtomicBool>,
    /// Whether it can do its work, as far as it knows.
    ready: AtomicBool,
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
    fn new(worker: String, stop: Arc<AtomicBool>) -> Self {
        Self {
            worker,
            stop,
            ready: AtomicBool::new(true),
            started: Instant::now(),
            turned_ms: AtomicU64::new(0),
            began_ms: AtomicU64::new(0),
            worked_ms: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Whether the worker is to leave.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says whether the worker can do its work; until it says so, it can.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn is_ready(&self) -> bool {
        self.turned_ms.load(Ordering::Relaxed) > 0 && self.ready.load(Ordering::Relaxed) && !self.stopping()
    }

    /// The worker has come round its loop, with this many records.
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

/// What a worker has done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Work {
    /// Its name: stage and number.
    pub worker: String,
    /// Records it has processed.
    pub records: u64,
    /// From its first batch to the end of its last.
    pub milliseconds: u64,
}

/// The state of a service, for health checks. Clones watch the same service.
#[derive(Debug, Clone, Default)]
pub struct Health {
    pulses: Vec<Arc<Pulse>>,
}

impl Health {
    /// Whether every worker can do its work: it has its partitions, with their state.
    pub fn is_ready(&self) -> bool {
        self.pulses.iter().all(|pulse| pulse.is_ready())
    }

    /// Whether no worker is stuck.
    pub fn is_live(&self) -> bool {
        self.pulses.iter().all(|pulse| pulse.since(&pulse.turned_ms) < STUCK_AFTER)
    }

    /// How long no worker has had a record.
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
        self.pulses.iter().map(work).collect()
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
    /// When the system refuses the thread.
    pub fn start(
        &mut self,
        name: String,
        work: impl FnOnce(&Pulse) -> Result<(), WorkerError> + Send + 'static,
    ) -> io::Result<()> {
        let pulse = Arc::new(Pulse::new(name.clone(), self.stop.clone()));
        self.health.pulses.push(pulse.clone());
        let stop = self.stop.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _stop_all = StopOnDrop(stop);
            work(&pulse)
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// What watches the workers started so far.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// What stops them when it is set.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Asks all workers to leave, and waits for them.
    ///
    /// # Errors
    /// Why the first of them failed.
    pub fn stop(self) -> Result<(), WorkerError> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// Waits for all workers.
    ///
    /// # Errors
    /// Why the first of them failed.
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

/// Stops the others when a worker ends, however it ends.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
