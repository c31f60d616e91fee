//! The environment of the processes: the cluster that they talk to, and the faults.
//!
//! This is the part of the [world](crate::world) that sessions know. They use [`Others`] to let other processes continue while one of them
//! is paused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tributary_runtime::topic::Topic;

use crate::cluster::{Cluster, Committed};
use crate::draw::Draw;
use crate::faults::{Fault, Faults};
use crate::store::Disk;

/// The other processes, which run while one is paused in the middle of a step.
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use tributary_simulator::surroundings::Others;
///
/// /// Counts the steps that others could take.
/// #[derive(Default)]
/// struct Count(Cell<usize>);
///
/// impl Others for Count {
///     fn zombie(self: Rc<Self>, _stage: &'static str, _instance: &str) {}
///
///     fn interlude(self: Rc<Self>, most: usize) {
///         self.0.set(self.0.get() + most);
///     }
/// }
///
/// let others = Rc::new(Count::default());
/// Rc::clone(&others).interlude(3);
/// assert_eq!(others.0.get(), 3);
/// ```
pub trait Others {
    /// The calling process is paused: meanwhile the group continues without it, or another process takes its name, or its transaction
    /// expires.
    fn zombie(self: Rc<Self>, stage: &'static str, instance: &str);

    /// Others take up to `most` steps while the caller is paused.
    fn interlude(self: Rc<Self>, most: usize);
}

/// A producer: the holder of a transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimProducer {
    /// The transactional id.
    pub id: String,
    /// Its epoch.
    pub epoch: u64,
}

/// A request that arrives late.
#[derive(Debug, Clone)]
pub enum Late {
    /// A commit.
    Commit,
    /// Input offsets of a stage for the transaction.
    Offsets(&'static str, Vec<(Topic, u32, Committed)>),
}

/// See the module.
pub struct Surroundings {
    /// The cluster.
    pub cluster: RefCell<Cluster>,
    /// The faults to inject.
    pub faults: RefCell<Faults>,
    /// By partition of an input, the offset below which refused records were accepted.
    pub accepted: RefCell<BTreeMap<(Topic, u32), u64>>,
    /// Requests of producers that arrive late.
    pub late: RefCell<Vec<(SimProducer, Late)>>,
    /// How many processes are paused, one inside another.
    pub depth: Cell<usize>,
    draw: RefCell<Draw>,
    trace: Option<RefCell<Vec<String>>>,
}

impl Surroundings {
    /// Without processes yet.
    pub fn new(cluster: Cluster, faults: Faults, draw: Draw, trace: bool) -> Self {
        Self {
            cluster: RefCell::new(cluster),
            faults: RefCell::new(faults),
            accepted: RefCell::default(),
            late: RefCell::default(),
            depth: Cell::new(0),
            draw: RefCell::new(draw),
            trace: trace.then(RefCell::default),
        }
    }

    /// Whether events are traced.
    pub fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// A number below `limit`.
    pub fn below(&self, limit: usize) -> usize {
        self.draw.borrow_mut().below(limit)
    }

    /// Whether a fault is injected here.
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

    /// Traces an event, if the trace was requested.
    pub fn note(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = &self.trace {
            let now_ms = self.cluster.try_borrow().map(|cluster| cluster.now_ms).unwrap_or(0);
            trace.borrow_mut().push(format!("{now_ms:>6} {}{}", "  ".repeat(self.depth.get()), what()));
        }
    }

    /// The trace.
    pub fn take_trace(&self) -> Vec<String> {
        self.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// A process joins its group.
    pub fn join(&self, stage: &'static str, instance: &str) -> u64 {
        self.cluster.borrow_mut().group(stage).join(instance, &mut self.draw.borrow_mut())
    }

    /// Assigns the partitions of a stage anew.
    pub fn rebalance(&self, stage: &'static str) {
        self.cluster.borrow_mut().group(stage).rebalance(&mut self.draw.borrow_mut());
    }

    /// Removes a process from its group.
    pub fn throw_out(&self, stage: &'static str, instance: &str) {
        let thrown = self.cluster.borrow_mut().group(stage).throw_out(instance, &mut self.draw.borrow_mut());
        if thrown {
            self.faults.borrow_mut().count(Fault::ThrownOut);
            self.note(|| format!("{stage} throws out {instance}"));
        }
    }

    /// Delays a request.
    pub fn later(&self, producer: &SimProducer, late: Late) {
        self.late.borrow_mut().push((producer.clone(), late));
    }

    /// Writes the markers of transactions that are being ended, unless a fault delays them.
    pub fn write_marks(&self) {
        if !self.strikes(Fault::LateMarks) {
            while self.cluster.borrow_mut().settle_one(0) {}
        }
    }

    /// Flushes a disk at random.
    pub fn may_flush(&self, disk: &Disk) {
        if self.below(3) == 0 {
            disk.stores().iter().for_each(|(_, store)| store.flush());
        }
    }
}
