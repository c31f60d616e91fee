//! The machines, the processes on them, and the order in which everything happens.
//!
//! One thing happens at a time, chosen by the seed. A process that stands still in the middle of a commit is a call that has not
//! returned: others go on inside it ([`World::interlude`]).

mod drain;
mod mischief;
mod processes;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_runtime::log::StageLog;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

use crate::cluster::{Cluster, Entry};
use crate::draw::Draw;
use crate::faults::{Fault, Faults};
use crate::session::{Fate, SimProducer, SimSession};
use crate::store::{Disk, LocalStore};

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
    stage: StageName,
    instance: String,
    disk: Disk,
    options: WorkerOptions,
    status: Status,
    fate: Rc<Fate>,
    /// Absent while it is at work, and while it is dead.
    worker: Option<Worker<SimSession>>,
}

/// A request that comes late.
#[derive(Debug, Clone)]
pub enum Late {
    /// To commit.
    Commit,
    /// Input offsets of a stage, for the transaction.
    Offsets(&'static str, Vec<(Topic, u32, u64)>),
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
    /// Of partitions of inputs: below which offset it was accepted that records are refused.
    pub accepted: RefCell<BTreeMap<(Topic, u32), u64>>,
    /// Requests of producers that come late.
    late: RefCell<Vec<(SimProducer, Late)>>,
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
            accepted: RefCell::default(),
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
    pub fn start(self: &Rc<Self>, stage: StageName, instance: &str, options: WorkerOptions) {
        let (disk, fate) = (Disk::default(), Rc::default());
        let process =
            Process { stage, instance: instance.to_owned(), disk, options, status: Status::Down(0), fate, worker: None };
        self.processes.borrow_mut().push(process);
    }

    /// Records that come from outside, in this order.
    pub fn deliver_later(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.deliveries.borrow_mut().extend(deliveries);
    }

    /// The same, all at once after so many thousandths of those that are still to come.
    pub fn deliver_among(&self, thousandths: usize, deliveries: impl IntoIterator<Item = Delivery>) {
        let mut all = self.deliveries.borrow_mut();
        let later = all.len() * thousandths / 1_000;
        let later = all.split_off(later);
        all.extend(deliveries.into_iter().chain(later));
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

    /// A request comes late.
    pub fn later(&self, producer: &SimProducer, late: Late) {
        self.late.borrow_mut().push((producer.clone(), late));
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
            92..94 => self.late_request_arrives(),
            _ => self.mischief(),
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

    fn late_request_arrives(&self) {
        let count = self.late.borrow().len();
        if count > 0 {
            let (SimProducer { id, epoch }, late) = self.late.borrow_mut().swap_remove(self.below(count));
            let mut cluster = self.cluster.borrow_mut();
            let arrived = match &late {
                Late::Commit => cluster.end(&id, epoch, true).is_ok(),
                Late::Offsets(stage, offsets) => cluster.offsets_again((&id, epoch), stage, offsets),
            };
            self.note(|| format!("what {id} sent arrives late, {late:?}: {}", if arrived { "taken" } else { "refused" }));
        }
    }

    /// Whether everything from outside was delivered.
    pub fn all_delivered(&self) -> bool {
        self.deliveries.borrow().is_empty()
    }

    /// The stores that processes work on: stage, partition, store.
    pub fn stores(&self) -> Vec<(StageLog, u32, LocalStore)> {
        let processes = self.processes.borrow();
        let live = processes.iter().filter(|process| process.status == Status::Running);
        let held = |process: &Process| {
            let log = process.stage.log();
            process.fate.stores.borrow().iter().map(|(at, store)| (log, *at, store.clone())).collect::<Vec<_>>()
        };
        live.flat_map(held).collect()
    }

    /// The partitions of inputs that stand still because too much of them was refused.
    pub fn stopped(&self) -> BTreeSet<(Topic, u32)> {
        let processes = self.processes.borrow();
        let live = processes.iter().filter(|process| process.status == Status::Running);
        live.flat_map(|process| process.fate.stopped.borrow().clone()).collect()
    }

    /// Somebody accepts that all that a partition holds now is refused.
    fn accept(&self, (topic, partition): (Topic, u32)) {
        let until = self.cluster.borrow().committed(topic, partition, 0).last().map_or(0, |(offset, _)| offset + 1);
        self.note(|| format!("{}/{partition} is accepted below {until}", topic.name()));
        self.accepted.borrow_mut().insert((topic, partition), until);
    }

    /// Ends every process, so that nothing refers to the world any more.
    pub fn end(&self) {
        self.processes.borrow_mut().clear();
    }
}
