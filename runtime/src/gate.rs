//! Holds the workers of a process back until all of them have what they need. No worker joins its group, and takes partitions from others,
//! before everything that can fail has been opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::service::Pulse;

/// How often a waiting worker checks.
const LOOK: Duration = Duration::from_millis(20);

/// See the module. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<AtomicUsize>);

impl Default for Gate {
    /// A gate that waits for its creator.
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(1)))
    }
}

impl Gate {
    /// The gate waits for one more participant.
    pub fn expect(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// A participant is ready. Each calls this once.
    pub fn ready(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits until all participants are ready; false if the worker must stop before that.
    pub fn pass(&self, pulse: &Pulse) -> bool {
        while self.0.load(Ordering::SeqCst) > 0 {
            if pulse.stopping() {
                return false;
            }
            pulse.turn(0);
            std::thread::sleep(LOOK);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Service;
    use crate::worker::WorkerError;

    fn failed() -> WorkerError {
        WorkerError::Unassigned { stage: "test", partition: 0 }
    }

    #[test]
    fn no_thread_passes_when_one_fails() {
        let (gate, passed) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let mut service = Service::default();
        for fails in [false, true, false] {
            gate.expect();
            let (gate, passed) = (gate.clone(), passed.clone());
            let work = move |pulse: &Pulse| {
                if fails {
                    return Err(failed());
                }
                gate.ready();
                passed.fetch_add(usize::from(gate.pass(pulse)), Ordering::SeqCst);
                Ok(())
            };
            service.start("worker".into(), work).unwrap();
        }
        gate.ready();
        assert!(service.wait().is_err());
        assert_eq!(passed.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn all_pass_once_all_are_ready_and_not_before_their_starter_is() {
        let (gate, passed) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let mut service = Service::default();
        for _ in 0..3 {
            gate.expect();
            let (gate, passed) = (gate.clone(), passed.clone());
            let work = move |pulse: &Pulse| {
                gate.ready();
                passed.fetch_add(usize::from(gate.pass(pulse)), Ordering::SeqCst);
                Ok(())
            };
            service.start("worker".into(), work).unwrap();
        }
        assert_eq!(passed.load(Ordering::SeqCst), 0);
        gate.ready();
        // A worker that ends stops the others, whether they have passed or not; a running one does not end.
        service.wait().unwrap();
        assert!(passed.load(Ordering::SeqCst) > 0);
    }
}
