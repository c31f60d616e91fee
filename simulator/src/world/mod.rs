//! The machines, the processes on them, and the order in which everything happens.
//!
//! One thing happens at a time, chosen by the seed. A process that is paused in the middle of a commit is a call that has not returned: the
//! others continue inside it ([`Others::interlude`]).

mod drain;
mod inject;
mod processes;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_runtime::log::StageLog;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

use crate::cluster::{Cluster, Entry};
use crate::draw::Draw;
use crate::faults::Faults;
use crate::session::{Fate, SimSession};
use crate::store::{Disk, LocalStore};
use crate::surroundings::{Late, Others, SimProducer, Surroundings};

/// A transaction is aborted when it has been open for this many steps.
const EXPIRE_MS: u64 = 60;

/// How many processes may be paused at once.
const DEPTH_MAX: usize = 3;

/// A record from outside, to be delivered to a topic.
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

/// The status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running,
    /// Paused until this time.
    Frozen(u64),
    /// Dead until this time.
    Down(u64),
    /// Dead for ever.
    Gone,
}

struct Process {
    stage: StageName,
    instance: String,
    disk: Disk,
    options: WorkerOptions,
    status: Status,
    fate: Rc<Fate>,
    /// Whether it runs with the former settings.
    former: bool,
    /// `None` during its step, and while it is dead.
    worker: Option<Worker<SimSession>>,
}

/// The generation of the final settings, if there were former ones.
const NEWER: u64 = 2;

/// See the module.
pub struct World {
    /// The cluster and the faults.
    pub around: Rc<Surroundings>,
    pipeline: Pipeline,
    /// With the former settings; `None` once they have changed, or if they never do.
    former: RefCell<Option<Pipeline>>,
    /// The digests of the former settings of identity and of attribution, if they differ from the final ones.
    left_settings: [Option<u64>; 2],
    processes: RefCell<Vec<Process>>,
    deliveries: RefCell<VecDeque<Delivery>>,
    /// Disks of processes that started on another one.
    left_behind: RefCell<Vec<(&'static str, Disk)>>,
    /// Epoch of the other application's open transaction.
    stranger: Cell<Option<u64>>,
    /// Why the run has failed.
    failure: RefCell<Option<String>>,
    turns: Cell<u64>,
}

impl World {
    /// A world without processes.
    ///
    /// With former settings, all processes use these at first.
    pub fn new(
        cluster: Cluster,
        faults: Faults,
        draw: Draw,
        (former, pipeline): (Option<Pipeline>, Pipeline),
        trace: bool,
    ) -> Rc<Self> {
        if let Some(former) = &former {
            for (generation, pipeline) in [(NEWER - 1, former), (NEWER, &pipeline)] {
                StageName::ALL.iter().for_each(|stage| pipeline.generations().set(*stage, generation));
            }
        }
        let (rules, plan) = (pipeline.rules().digest, pipeline.plan().digest);
        let left_settings = former.as_ref().map_or([None; 2], |former| {
            [(former.rules().digest, rules), (former.plan().digest, plan)].map(|(left, now)| Some(left).filter(|_| left != now))
        });
        Rc::new(Self {
            left_settings,
            around: Rc::new(Surroundings::new(cluster, faults, draw, trace)),
            former: RefCell::new(former),
            pipeline,
            processes: RefCell::default(),
            deliveries: RefCell::default(),
            left_behind: RefCell::default(),
            stranger: Cell::new(None),
            failure: RefCell::default(),
            turns: Cell::new(0),
        })
    }

    /// Why the run has failed.
    pub fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Steps of workers so far.
    pub fn turns(&self) -> u64 {
        self.turns.get()
    }

    fn fail(&self, why: String) {
        self.around.note(|| why.clone());
        self.failure.borrow_mut().get_or_insert(why);
    }

    /// Starts a process on a new disk.
    pub fn start(self: &Rc<Self>, stage: StageName, instance: &str, options: WorkerOptions) {
        let (disk, fate) = (Disk::default(), Rc::default());
        let process = Process {
            stage,
            instance: instance.to_owned(),
            disk,
            options,
            status: Status::Down(0),
            fate,
            former: false,
            worker: None,
        };
        self.processes.borrow_mut().push(process);
    }

    /// Schedules records from outside, in this order.
    pub fn deliver_later(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        self.deliveries.borrow_mut().extend(deliveries);
    }

    /// The same, all at once after this many thousandths of those still scheduled.
    pub fn deliver_among(&self, thousandths: usize, deliveries: impl IntoIterator<Item = Delivery>) {
        let mut all = self.deliveries.borrow_mut();
        let later = all.len() * thousandths / 1_000;
        let later = all.split_off(later);
        all.extend(deliveries.into_iter().chain(later));
    }

    /// One step of the simulation.
    pub fn tick(self: &Rc<Self>) {
        if self.failure.borrow().is_some() {
            return;
        }
        let pass = self.around.below(8) as u64;
        self.around.cluster.borrow_mut().now_ms += pass;
        match self.around.below(100) {
            0..66 => self.turn_of_somebody(),
            66..80 => self.deliver(),
            80..92 => {
                let by = self.around.below(1_000);
                self.around.cluster.borrow_mut().settle_one(by);
            }
            92..94 => self.late_request_arrives(),
            _ => self.inject_faults(),
        }
    }

    fn deliver(&self) {
        let now_ms = self.around.cluster.borrow().now_ms;
        for _ in 0..self.around.below(6) + 1 {
            let Some(delivery) = self.deliveries.borrow_mut().pop_front() else { return };
            let entry = Entry::new(delivery.key, Some(delivery.value), delivery.timestamp_ms, now_ms);
            self.around.cluster.borrow_mut().append(delivery.topic, delivery.partition, entry);
        }
    }

    fn late_request_arrives(&self) {
        let count = self.around.late.borrow().len();
        if count > 0 {
            let (SimProducer { id, epoch }, late) = self.around.late.borrow_mut().swap_remove(self.around.below(count));
            let mut cluster = self.around.cluster.borrow_mut();
            let arrived = match &late {
                Late::Commit => cluster.end(&id, epoch, true).is_ok(),
                Late::Offsets(stage, offsets) => cluster.offsets_again((&id, epoch), stage, offsets),
            };
            self.around
                .note(|| format!("what {id} sent arrives late, {late:?}: {}", if arrived { "taken" } else { "refused" }));
        }
    }

    /// Whether all records from outside were delivered.
    pub fn all_delivered(&self) -> bool {
        self.deliveries.borrow().is_empty()
    }

    /// The final settings.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The stores in use: stage, partition, store.
    pub fn stores(&self) -> Vec<(StageLog, u32, LocalStore)> {
        let processes = self.processes.borrow();
        let live = processes.iter().filter(|process| process.status == Status::Running);
        let held = |process: &Process| {
            let log = process.stage.log();
            process.fate.stores.borrow().iter().map(|(at, store)| (log, *at, store.clone())).collect::<Vec<_>>()
        };
        live.flat_map(held).collect()
    }

    /// The partitions of inputs that are stopped because too many of their records were refused.
    pub fn stopped(&self) -> BTreeSet<(Topic, u32)> {
        let processes = self.processes.borrow();
        let live = processes.iter().filter(|process| process.status == Status::Running);
        live.flat_map(|process| process.fate.stopped.borrow().clone()).collect()
    }

    /// Accepts that all records now in a partition may be refused.
    fn accept(&self, (topic, partition): (Topic, u32)) {
        let until = self.around.cluster.borrow().committed(topic, partition, 0).last().map_or(0, |(offset, _)| offset + 1);
        self.around.note(|| format!("{}/{partition} is accepted below {until}", topic.name()));
        self.around.accepted.borrow_mut().insert((topic, partition), until);
    }

    /// Ends every process, to break reference cycles.
    pub fn end(&self) {
        self.processes.borrow_mut().clear();
    }
}

impl Others for World {
    fn zombie(self: Rc<Self>, stage: &'static str, instance: &str) {
        if self.around.depth.get() >= DEPTH_MAX {
            return;
        }
        match self.around.below(4) {
            0 | 1 => self.around.throw_out(stage, instance),
            2 => self.replace(stage, instance),
            _ => {}
        }
        self.interlude(80);
    }

    fn interlude(self: Rc<Self>, most: usize) {
        if self.around.depth.get() >= DEPTH_MAX {
            return;
        }
        self.around.depth.set(self.around.depth.get() + 1);
        for _ in 0..self.around.below(most) + 1 {
            self.tick();
        }
        self.around.depth.set(self.around.depth.get() - 1);
    }
}
