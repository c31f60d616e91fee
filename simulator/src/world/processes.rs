//! Processes: how they start, do their turns, die and come back.

use std::rc::Rc;

use tributary_runtime::worker::{Turn, Worker, WorkerError};

use super::{Status, World};
use crate::faults::Fault;
use crate::session::SimSession;

impl World {
    /// Another process starts under a name that is in use.
    pub(super) fn replace(self: &Rc<Self>, stage: &'static str, instance: &str) {
        let found = self
            .processes
            .borrow()
            .iter()
            .find(|process| process.stage.name() == stage && process.instance == instance)
            .map(|process| (process.stage, process.options.clone()));
        if let Some((of, options)) = found {
            self.faults.borrow_mut().count(Fault::Replaced);
            self.note(|| format!("another {stage} starts as {instance}"));
            self.start(of, instance, options);
        }
    }

    pub(super) fn turn_of_somebody(self: &Rc<Self>) {
        let count = self.processes.borrow().len();
        self.turn(self.below(count));
    }

    /// A process does one turn of its loop, or wakes up, or is started again.
    pub(super) fn turn(self: &Rc<Self>, at: usize) {
        let now_ms = self.cluster.borrow().now_ms;
        let status = self.processes.borrow().get(at).map_or(Status::Gone, |process| process.status);
        match status {
            Status::Gone => return,
            Status::Frozen(until) | Status::Down(until) if until > now_ms => return,
            Status::Down(_) => self.boot(at),
            Status::Frozen(_) => self.set_status(at, Status::Running),
            Status::Running => {}
        }
        let worker = self.processes.borrow_mut().get_mut(at).and_then(|process| process.worker.take());
        // Without a worker it is at work already, and stands still.
        let Some(mut worker) = worker else { return };
        self.turns.set(self.turns.get() + 1);
        let turn = worker.turn();
        self.note_turn(at, &turn);
        let mut processes = self.processes.borrow_mut();
        let Some(process) = processes.get_mut(at) else { return };
        match turn {
            Ok(_) => process.worker = Some(worker),
            Err(_) if process.fate.crashed.get() => {
                drop(processes);
                drop(worker);
                self.died(at);
            }
            Err(_) if process.fate.replaced.get() => {
                process.status = Status::Gone;
                self.left_behind.borrow_mut().push((process.stage.name(), process.disk.clone()));
            }
            Err(error) => {
                drop(processes);
                self.fail(format!("a worker stopped: {error}"));
            }
        }
    }

    fn note_turn(&self, at: usize, turn: &Result<Turn, WorkerError>) {
        if self.trace.is_some() && !matches!(turn, Ok(Turn::Worked(0))) {
            let name = self.processes.borrow().get(at).map(|process| format!("{} {}", process.stage.name(), process.instance));
            self.note(|| format!("{}: {turn:?}", name.unwrap_or_default()));
        }
    }

    pub(super) fn set_status(&self, at: usize, status: Status) {
        if let Some(process) = self.processes.borrow_mut().get_mut(at) {
            process.status = status;
        }
    }

    /// Starts a process on its disk, or on an empty one, or on one that was left behind.
    fn boot(self: &Rc<Self>, at: usize) {
        let Some((stage, instance, mut disk, options)) = self
            .processes
            .borrow()
            .get(at)
            .map(|process| (process.stage, process.instance.clone(), process.disk.clone(), process.options.clone()))
        else {
            return;
        };
        let log = stage.log();
        if log.changelog.is_some() && self.strikes(Fault::StateLost) {
            self.left_behind.borrow_mut().push((log.stage, std::mem::take(&mut disk)));
        }
        let old = self.left_behind.borrow().iter().position(|(stage, _)| *stage == log.stage);
        if let Some(old) = old.filter(|_| self.strikes(Fault::StateOld)) {
            let (_, found) = self.left_behind.borrow_mut().swap_remove(old);
            self.left_behind.borrow_mut().push((log.stage, std::mem::replace(&mut disk, found)));
        }
        self.note(|| format!("{} {instance} starts", log.stage));
        let session = SimSession::open(self, log, instance, disk.clone());
        let fate = session.fate();
        let worker = Worker::new(session, log, self.pipeline.build(stage), options);
        if let Some(process) = self.processes.borrow_mut().get_mut(at) {
            process.disk = disk;
            process.fate = fate;
            process.worker = Some(worker);
            process.status = Status::Running;
        }
    }

    /// A process is dead, and comes back after a while.
    pub(super) fn died(&self, at: usize) {
        let until = self.cluster.borrow().now_ms + self.below(300) as u64;
        let mut processes = self.processes.borrow_mut();
        let Some(process) = processes.get_mut(at) else { return };
        process.worker = None;
        process.status = Status::Down(until);
        let (disk, stage, instance) = (process.disk.clone(), process.stage.name(), process.instance.clone());
        drop(processes);
        self.note(|| format!("{stage} {instance} is dead"));
        // A killed process leaves the system's buffers alone; a machine that goes down does not.
        if disk.stores().is_empty() || self.below(3) == 0 {
            return;
        }
        if disk.crash() {
            self.faults.borrow_mut().count(Fault::UnflushedLost);
        }
        if self.below(3) == 0 {
            self.throw_out(stage, &instance);
        }
    }
}
