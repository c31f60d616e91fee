//! The machines, the processes on them, and the order in which everything happens.
//!
//! One thing happens at a time, chosen by the seed. A process that stands still in the middle of a commit is a call that has not
//! returned: others go on inside it ([`World::interlude`]).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tributary_runtime::log::StageLog;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Turn, Worker, WorkerOptions};

use crate::cluster::{Cluster, Entry};
use crate::draw::Draw;
use crate::faults::{Fault, Faults};
use crate::pipeline::Pipeline;
use crate::session::{Fate, SimProducer, SimSession, TOMBSTONES_MS};
use crate::store::{Disk, LocalStore};

/// How long tombstones are kept: a restore may take its time.
const RETENTION_MS: u64 = 4 * TOMBSTONES_MS;
/// Transactions are aborted when they are open for this long.
const EXPIRE_MS: u64 = 60;
/// How many processes may stand still at once.
const DEPTH_MAX: usize = 3;

/// A record on its way to a topic, from outside.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// When it was received.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running,
    /// Standing still until then.
    Frozen(u64),
    /// Dead until then.
    Down(u64),
    /// Dead for good.
    Gone,
}

struct Process {
    log: StageLog,
    instance: String,
    disk: Disk,
    options: WorkerOptions,
    status: Status,
    fate: Rc<Fate>,
    /// Absent while it is at work, and while it is dead.
    worker: Option<Worker<SimSession>>,
}

/// See the module.
pub struct World {
    /// The cluster.
    pub cluster: RefCell<Cluster>,
    /// What goes wrong.
    pub faults: RefCell<Faults>,
    draw: RefCell<Draw>,
    pipeline: Pipeline,
    processes: RefCell<Vec<Process>>,
    deliveries: RefCell<VecDeque<Delivery>>,
    /// Commits that come late.
    late: RefCell<Vec<SimProducer>>,
    /// Disks that were left behind.
    left_behind: RefCell<Vec<(&'static str, Disk)>>,
    /// Epoch of the stranger's open transaction.
    stranger: Cell<Option<u64>>,
    depth: Cell<usize>,
    /// Why the run has failed.
    failure: RefCell<Option<String>>,
    trace: Option<RefCell<Vec<String>>>,
    turns: Cell<u64>,
}

impl World {
    /// A world in which nothing runs yet.
    pub fn new(cluster: Cluster, faults: Faults, draw: Draw, pipeline: Pipeline, trace: bool) -> Rc<Self> {
        Rc::new(Self {
            cluster: RefCell::new(cluster),
            faults: RefCell::new(faults),
            draw: RefCell::new(draw),
            pipeline,
            processes: RefCell::default(),
            deliveries: RefCell::default(),
            late: RefCell::default(),
            left_behind: RefCell::default(),
            stranger: Cell::new(None),
            depth: Cell::new(0),
            failure: RefCell::default(),
            trace: trace.then(RefCell::default),
            turns: Cell::new(0),
        })
    }

    /// A number below `limit`.
    pub fn below(&self, limit: usize) -> usize {
        self.draw.borrow_mut().below(limit)
    }

    /// Whether a fault strikes here.
    pub fn strikes(&self, fault: Fault) -> bool {
        let strikes = self.faults.borrow_mut().strikes(fault);
        if strikes {
            self.note(|| format!("fault: {}", fault.name()));
        }
        strikes
    }

    /// Whether a fault is tried here: see [`Faults::attempt`].
    pub fn attempts(&self, fault: Fault) -> bool {
        self.faults.borrow_mut().attempt(fault)
    }

    /// Notes what happened, where somebody wants to know.
    pub fn note(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let now_ms = self.cluster.try_borrow().map(|cluster| cluster.now_ms).unwrap_or(0);
            trace.borrow_mut().push(format!("{now_ms:>6} {}{}", "  ".repeat(self.depth.get()), what()));
        }
    }

    /// What happened.
    pub fn take_trace(&self) -> Vec<String> {
        self.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Why the run has failed.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// How many turns of workers there were.
    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    fn fail(&self, why: String) {
        self.note(|| why.clone());
        self.failure.borrow_mut().get_or_insert(why);
    }

    /// Starts a process on a new disk.
    pub fn start(self: &Rc<Self>, log: StageLog, instance: &str, options: WorkerOptions) {
        let (disk, fate) = (Disk::default(), Rc::default());
        let process =
            Process { log, instance: instance.to_owned(), disk, options, status: Status::Down(0), fate, worker: None };
        self.processes.borrow_mut().push(process);
    }

    /// Records that come from outside, in this order.
    pub fn deliver_later(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.deliveries.borrow_mut().extend(deliveries);
    }

    /// A process joins its group.
    pub fn join(&self, stage: &'static str, instance: &str) -> u64 {
        self.cluster.borrow_mut().group(stage).join(instance, &mut self.draw.borrow_mut())
    }

    /// Spreads the partitions of a stage anew.
    pub fn rebalance(&self, stage: &'static str) {
        self.cluster.borrow_mut().group(stage).rebalance(&mut self.draw.borrow_mut());
    }

    fn throw_out(&self, stage: &'static str, instance: &str) {
        let thrown = self.cluster.borrow_mut().group(stage).throw_out(instance, &mut self.draw.borrow_mut());
        if thrown {
            self.faults.borrow_mut().count(Fault::ThrownOut);
            self.note(|| format!("{stage} throws out {instance}"));
        }
    }

    /// A commit comes late.
    pub fn end_later(&self, producer: &SimProducer) {
        self.late.borrow_mut().push(producer.clone());
    }

    /// Writes the marks of transactions that are being ended, unless they come late.
    pub fn write_marks(&self) {
        if !self.strikes(Fault::LateMarks) {
            while self.cluster.borrow_mut().settle_one(0) {}
        }
    }

    /// A disk may be flushed.
    pub fn may_flush(&self, disk: &Disk) {
        if self.below(3) == 0 {
            disk.stores().iter().for_each(|(_, store)| store.flush());
        }
    }

    /// A process stands still, here and now: the group goes on without it, or somebody else gets its name, or its transaction expires.
    pub fn zombie(self: &Rc<Self>, stage: &'static str, instance: &str) {
        if self.depth.get() >= DEPTH_MAX {
            return;
        }
        match self.below(4) {
            0 | 1 => self.throw_out(stage, instance),
            2 => self.replace(stage, instance),
            _ => {}
        }
        self.interlude(80);
    }

    /// Others go on for up to `most` steps, while the caller stands still.
    pub fn interlude(self: &Rc<Self>, most: usize) {
        if self.depth.get() >= DEPTH_MAX {
            return;
        }
        self.depth.set(self.depth.get() + 1);
        for _ in 0..self.below(most) + 1 {
            self.tick();
        }
        self.depth.set(self.depth.get() - 1);
    }

    /// Another process starts under a name that is in use.
    fn replace(self: &Rc<Self>, stage: &'static str, instance: &str) {
        let found = self
            .processes
            .borrow()
            .iter()
            .find(|process| process.log.stage == stage && process.instance == instance)
            .map(|process| (process.log, process.options.clone()));
        if let Some((log, options)) = found {
            self.faults.borrow_mut().count(Fault::Replaced);
            self.note(|| format!("another {stage} starts as {instance}"));
            self.start(log, instance, options);
        }
    }

    /// One thing happens.
    pub fn tick(self: &Rc<Self>) {
        if self.failure.borrow().is_some() {
            return;
        }
        let pass = self.below(8) as u64;
        self.cluster.borrow_mut().now_ms += pass;
        match self.below(100) {
            0..66 => self.turn_of_somebody(),
            66..80 => self.deliver(),
            80..92 => {
                let by = self.below(1_000);
                self.cluster.borrow_mut().settle_one(by);
            }
            92..94 => self.late_end_arrives(),
            _ => self.mischief(),
        }
    }

    fn turn_of_somebody(self: &Rc<Self>) {
        let count = self.processes.borrow().len();
        self.turn(self.below(count));
    }

    /// A process does one turn of its loop, or wakes up, or is started again.
    fn turn(self: &Rc<Self>, at: usize) {
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
                self.left_behind.borrow_mut().push((process.log.stage, process.disk.clone()));
            }
            Err(error) => {
                drop(processes);
                self.fail(format!("a worker stopped: {error}"));
            }
        }
    }

    fn note_turn(&self, at: usize, turn: &Result<Turn, tributary_runtime::worker::WorkerError>) {
        if self.trace.is_some() && !matches!(turn, Ok(Turn::Worked(0))) {
            let name = self.processes.borrow().get(at).map(|process| format!("{} {}", process.log.stage, process.instance));
            self.note(|| format!("{}: {turn:?}", name.unwrap_or_default()));
        }
    }

    fn set_status(&self, at: usize, status: Status) {
        if let Some(process) = self.processes.borrow_mut().get_mut(at) {
            process.status = status;
        }
    }

    /// Starts a process on its disk, or on an empty one, or on one that was left behind.
    fn boot(self: &Rc<Self>, at: usize) {
        let Some((log, instance, mut disk, options)) = self
            .processes
            .borrow()
            .get(at)
            .map(|process| (process.log, process.instance.clone(), process.disk.clone(), process.options.clone()))
        else {
            return;
        };
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
        let worker = Worker::new(session, log, self.pipeline.build(log.stage), options);
        if let Some(process) = self.processes.borrow_mut().get_mut(at) {
            process.disk = disk;
            process.fate = fate;
            process.worker = Some(worker);
            process.status = Status::Running;
        }
    }

    /// A process is dead, and comes back after a while.
    fn died(&self, at: usize) {
        let until = self.cluster.borrow().now_ms + self.below(300) as u64;
        let mut processes = self.processes.borrow_mut();
        let Some(process) = processes.get_mut(at) else { return };
        process.worker = None;
        process.status = Status::Down(until);
        let (disk, stage, instance) = (process.disk.clone(), process.log.stage, process.instance.clone());
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

    fn deliver(&self) {
        let now_ms = self.cluster.borrow().now_ms;
        for _ in 0..self.below(6) + 1 {
            let Some(delivery) = self.deliveries.borrow_mut().pop_front() else { return };
            let entry = Entry::new(delivery.key, Some(delivery.value), delivery.timestamp_ms, now_ms);
            self.cluster.borrow_mut().append(delivery.topic, delivery.partition, entry);
        }
    }

    fn late_end_arrives(&self) {
        let count = self.late.borrow().len();
        if count > 0 {
            let SimProducer { id, epoch } = self.late.borrow_mut().swap_remove(self.below(count));
            let arrived = self.cluster.borrow_mut().end(&id, epoch, true);
            self.note(|| format!("the late commit of {id} arrives: {arrived:?}"));
        }
    }

    /// Something goes wrong.
    fn mischief(self: &Rc<Self>) {
        let count = self.processes.borrow().len();
        let at = self.below(count);
        let Some((stage, instance, runs)) = self.processes.borrow().get(at).map(|process| {
            (process.log.stage, process.instance.clone(), process.worker.is_some() && process.status == Status::Running)
        }) else {
            return;
        };
        if runs && self.strikes(Fault::CrashIdle) {
            self.died(at);
        } else if runs && self.strikes(Fault::ZombieIdle) {
            let until = self.cluster.borrow().now_ms + 50 + self.below(500) as u64;
            self.set_status(at, Status::Frozen(until));
            match self.below(3) {
                0 => self.throw_out(stage, &instance),
                1 => self.replace(stage, &instance),
                _ => {}
            }
        }
        if self.strikes(Fault::Rebalance) {
            self.rebalance(stage);
        }
        if self.attempts(Fault::Compacted) && self.compact() > 0 {
            self.faults.borrow_mut().count(Fault::Compacted);
        }
        if self.attempts(Fault::TransactionExpired) && self.cluster.borrow_mut().expire(EXPIRE_MS) > 0 {
            self.faults.borrow_mut().count(Fault::TransactionExpired);
        }
        self.stranger();
    }

    fn compact(&self) -> usize {
        let mut gone = 0;
        let mut cluster = self.cluster.borrow_mut();
        for topic in Topic::ALL.into_iter().filter(|topic| topic.compacted()) {
            for partition in 0..cluster.partitions(topic) {
                gone += cluster.compact(topic, partition, RETENTION_MS);
            }
        }
        gone
    }

    /// A stranger's transaction holds up the readers of an inbox or of a changelog for a while.
    fn stranger(&self) {
        const ID: &str = "a stranger";
        const TOPICS: [Topic; 4] =
            [Topic::IdentityInbox, Topic::AttributorInbox, Topic::IdentityChangelog, Topic::AttributorChangelog];
        if let Some(epoch) = self.stranger.get() {
            let ended = self.cluster.borrow_mut().end(ID, epoch, false);
            self.stranger.set(None);
            self.note(|| format!("the stranger's transaction is aborted: {ended:?}"));
        } else if self.strikes(Fault::ForeignTransaction) {
            let mut cluster = self.cluster.borrow_mut();
            let Ok(epoch) = cluster.init_producer(ID) else { return };
            for topic in TOPICS {
                let partition = self.below(cluster.partitions(topic) as usize) as u32;
                let entry = Entry::new(b"strange".to_vec(), Some(b"strange".to_vec()), 0, cluster.now_ms);
                let _refused = cluster.produce(ID, epoch, topic, partition, entry);
            }
            self.stranger.set(Some(epoch));
        }
    }

    /// Whether everything from outside was delivered.
    pub fn all_delivered(&self) -> bool {
        self.deliveries.borrow().is_empty()
    }

    /// From now on nothing goes wrong, and everybody gets a turn, until nobody has anything to do.
    ///
    /// # Errors
    /// When that takes more than `rounds_max` rounds.
    pub fn drain(self: &Rc<Self>, rounds_max: usize) -> Result<(), String> {
        self.faults.borrow_mut().stop();
        let mut idle = 0;
        for _ in 0..rounds_max {
            let before = self.progress();
            self.deliver();
            self.late_end_arrives();
            self.stranger();
            self.cluster.borrow_mut().now_ms += 10;
            self.cluster.borrow_mut().expire(EXPIRE_MS);
            for by in 0..4 {
                self.cluster.borrow_mut().settle_one(by);
            }
            let count = self.processes.borrow().len();
            (0..count).for_each(|at| self.turn(at));
            if let Some(why) = self.failure() {
                return Err(why);
            }
            idle = if before == self.progress() && self.is_settled() { idle + 1 } else { 0 };
            if idle > 60 {
                return Ok(());
            }
        }
        Err(format!("the messages never drain: {} things are still under way after {rounds_max} rounds", self.lag()))
    }

    fn progress(&self) -> (usize, usize) {
        let cluster = self.cluster.borrow();
        (cluster.processed.len(), cluster.unsettled())
    }

    fn is_settled(&self) -> bool {
        let resting = |process: &Process| matches!(process.status, Status::Running | Status::Gone);
        self.all_delivered()
            && self.late.borrow().is_empty()
            && self.cluster.borrow().unsettled() == 0
            && self.processes.borrow().iter().all(resting)
            && self.lag() == 0
    }

    /// How many records of inputs are still to be processed.
    fn lag(&self) -> usize {
        let mut stages: Vec<StageLog> = self.processes.borrow().iter().map(|process| process.log).collect();
        stages.dedup_by_key(|log| log.stage);
        let mut cluster = self.cluster.borrow_mut();
        let mut lag = 0;
        for log in stages {
            for topic in log.inputs {
                for partition in 0..cluster.partitions(*topic) {
                    let next = cluster.group(log.stage).committed(*topic, partition).ok().flatten().unwrap_or(0);
                    lag += cluster.committed(*topic, partition, next).count();
                }
            }
        }
        lag
    }

    /// The stores that processes work on: stage, partition, store.
    pub fn stores(&self) -> Vec<(StageLog, u32, LocalStore)> {
        let processes = self.processes.borrow();
        let live = processes.iter().filter(|process| process.status == Status::Running);
        let held = |process: &Process| {
            let log = process.log;
            process.fate.stores.borrow().iter().map(|(at, store)| (log, *at, store.clone())).collect::<Vec<_>>()
        };
        live.flat_map(held).collect()
    }

    /// Ends every process, so that nothing refers to the world any more.
    pub fn end(&self) {
        self.processes.borrow_mut().clear();
    }
}
