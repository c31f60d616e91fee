//! Processes: how they start, take their turns, die and restart.

use std::rc::Rc;

use tributary_pipeline::stages::StageName;
use tributary_proto::{Hash128, Message, RemodelState};
use tributary_runtime::state::{ActorKey, Base, StateError};
use tributary_runtime::worker::{Turn, Worker, WorkerError};

use super::{NEWER, Process, Status, World};
use crate::faults::Fault;
use crate::session::SimSession;
use crate::store::LocalStore;
use crate::surroundings::Others;

impl World {
    /// Starts another process under a name that is in use.
    pub(super) fn replace(self: &Rc<Self>, stage: &'static str, instance: &str) {
        let found = self
            .processes
            .borrow()
            .iter()
            .find(|process| process.stage.name() == stage && process.instance == instance)
            .map(|process| (process.stage, process.options.clone()));
        if let Some((of, options)) = found {
            self.around.faults.borrow_mut().count(Fault::Replaced);
            self.around.note(|| format!("another {stage} starts as {instance}"));
            self.start(of, instance, options);
        }
    }

    pub(super) fn turn_of_somebody(self: &Rc<Self>) {
        let count = self.processes.borrow().len();
        self.turn(self.around.below(count));
    }

    /// A process takes one step of its loop, or resumes, or is started again.
    pub(super) fn turn(self: &Rc<Self>, at: usize) {
        let now_ms = self.around.cluster.borrow().now_ms;
        let status = self.processes.borrow().get(at).map_or(Status::Gone, |process| process.status);
        match status {
            Status::Gone => return,
            Status::Frozen(until) | Status::Down(until) if until > now_ms => return,
            Status::Down(_) => self.boot(at),
            Status::Frozen(_) => self.set_status(at, Status::Running),
            Status::Running => {}
        }
        let worker = self.processes.borrow_mut().get_mut(at).and_then(|process| process.worker.take());
        // A process without a worker is already in a step, and paused.
        let Some(mut worker) = worker else { return };
        self.turns.set(self.turns.get() + 1);
        let turn = worker.turn();
        self.note_turn(at, &turn);
        if self.processes.borrow().get(at).is_some_and(|process| self.swings_back(process)) {
            self.fail("what newer settings have taken hold of is decided by older ones again".to_owned());
        }
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
            // A process with newer settings had the partition: restarts with those.
            Err(WorkerError::State { source: StateError::Newer(_), .. }) if process.former => {
                drop(processes);
                drop(worker);
                self.died(at);
            }
            Err(error) => {
                drop(processes);
                self.fail(format!("a worker stopped: {error}"));
            }
        }
    }

    /// Whether a process uses the former settings although its state was already computed with the newer ones.
    fn swings_back(&self, process: &Process) -> bool {
        let [identity, attribution] = self.left_settings;
        let left = match process.stage {
            StageName::Ingest => None,
            StageName::Identity => identity,
            StageName::Attributor => attribution,
        };
        let key = ActorKey::new(b'p', Hash128(0));
        let of = |store: &LocalStore| RemodelState::decode(store.get(&key, b"h").ok()??.as_slice()).ok();
        let stores = process.fate.stores.borrow();
        let back = |known: RemodelState| known.generation == NEWER && Some(known.target) == left;
        stores.values().filter_map(of).any(back)
    }

    fn note_turn(&self, at: usize, turn: &Result<Turn, WorkerError>) {
        if self.around.is_traced() && !matches!(turn, Ok(Turn::Worked(0))) {
            let name = self.processes.borrow().get(at).map(|process| format!("{} {}", process.stage.name(), process.instance));
            self.around.note(|| format!("{}: {turn:?}", name.unwrap_or_default()));
        }
    }

    pub(super) fn set_status(&self, at: usize, status: Status) {
        if let Some(process) = self.processes.borrow_mut().get_mut(at) {
            process.status = status;
        }
    }

    /// Starts a process on its disk, on an empty one, or on one that another process has left.
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
        if log.changelog.is_some() && self.around.strikes(Fault::StateLost) {
            self.left_behind.borrow_mut().push((log.stage, std::mem::take(&mut disk)));
        }
        let old = self.left_behind.borrow().iter().position(|(stage, _)| *stage == log.stage);
        if let Some(old) = old.filter(|_| self.around.strikes(Fault::StateOld)) {
            let (_, found) = self.left_behind.borrow_mut().swap_remove(old);
            self.left_behind.borrow_mut().push((log.stage, std::mem::replace(&mut disk, found)));
        }
        self.around.note(|| format!("{} {instance} starts", log.stage));
        let others: Rc<dyn Others> = Rc::<Self>::clone(self);
        let session = SimSession::open((Rc::clone(&self.around), Rc::downgrade(&others)), log, instance, disk.clone());
        let fate = session.fate();
        let (former, build) = match &*self.former.borrow() {
            Some(former) => (true, former.build(stage)),
            None => (false, self.pipeline.build(stage)),
        };
        let worker = Worker::new(session, log, build, options);
        if let Some(process) = self.processes.borrow_mut().get_mut(at) {
            process.disk = disk;
            process.fate = fate;
            process.former = former;
            process.worker = Some(worker);
            process.status = Status::Running;
        }
    }

    /// The settings change: processes that start from now on get the new ones.
    pub(super) fn change_settings(&self) {
        if self.former.borrow_mut().take().is_some() {
            self.around.faults.borrow_mut().count(Fault::SettingsChanged);
            self.around.note(|| "the settings change".to_owned());
        }
    }

    /// A process with the former settings.
    pub(super) fn with_former(&self) -> Option<usize> {
        let runs = |process: &Process| process.former && process.worker.is_some();
        self.processes.borrow().iter().position(runs)
    }

    /// Restarts such a process.
    pub(super) fn restart_one(&self) {
        if let Some(at) = self.with_former() {
            self.died(at);
        }
    }

    /// A process dies, and comes back after a while.
    pub(super) fn died(&self, at: usize) {
        let until = self.around.cluster.borrow().now_ms + self.around.below(300) as u64;
        let mut processes = self.processes.borrow_mut();
        let Some(process) = processes.get_mut(at) else { return };
        process.worker = None;
        process.status = Status::Down(until);
        let (disk, stage, instance) = (process.disk.clone(), process.stage.name(), process.instance.clone());
        drop(processes);
        self.around.note(|| format!("{stage} {instance} is dead"));
        // If only the process is killed, the operating system keeps unflushed writes; if the machine crashes, they are lost.
        if disk.stores().is_empty() || self.around.below(3) == 0 {
            return;
        }
        if disk.crash() {
            self.around.faults.borrow_mut().count(Fault::UnflushedLost);
        }
        if self.around.below(3) == 0 {
            self.around.throw_out(stage, &instance);
        }
    }
}
