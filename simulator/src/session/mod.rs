//! A session on the simulated cluster: the counterpart of [`KafkaSession`], with the [`Cluster`] in memory.
//!
//! Decisions and the order of the commit come from [`exactly_once`], as on Kafka. This module has only the calls between the two, and the
//! points where faults are injected.
//!
//! [`KafkaSession`]: https://docs.rs/tributary-runtime
//! [`Cluster`]: crate::cluster::Cluster
//! [`exactly_once`]: tributary_runtime::exactly_once

mod recovery;
mod state;
mod writer;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use tributary_runtime::exactly_once::{Admission, Failed, Inputs, Ownership, commit, recover};
use tributary_runtime::log::{Assignment, Batch, BatchLimits, LogError, Session, StageLog, Transaction};
use tributary_runtime::stage::Record;
use tributary_runtime::topic::Topic;

use crate::cluster::{Handed, Rebalance};
use crate::faults::Fault;
use crate::store::{Disk, LocalStore};
use crate::surroundings::{Others, SimProducer, Surroundings};
use state::Reading;
use writer::{SimWriter, Trouble};

/// Tombstones are kept for at least this long by the changelogs, as far as sessions know.
pub const TOMBSTONES_MS: u64 = 400;

/// What the world sees of a process.
#[derive(Debug, Default)]
pub struct Fate {
    /// The stores of the partitions it works on.
    pub stores: RefCell<BTreeMap<u32, LocalStore>>,
    /// It was killed: nothing in its memory counts any more.
    pub crashed: Cell<bool>,
    /// Another process has taken its name: it must stop.
    pub replaced: Cell<bool>,
    /// The partitions of its inputs that stand still.
    pub stopped: RefCell<BTreeSet<(Topic, u32)>>,
}

/// See the module.
pub struct SimSession {
    around: Rc<Surroundings>,
    others: Weak<dyn Others>,
    pub(crate) log: StageLog,
    pub(crate) instance: String,
    pub(crate) membership: u64,
    disk: Disk,
    producer: Option<SimProducer>,
    owned: Ownership<LocalStore>,
    reading: Option<Reading>,
    /// The offset of the next record to hand out.
    next: BTreeMap<(Topic, u32), u64>,
    /// What is in the batch.
    pub(crate) handed: Vec<Handed>,
    pub(crate) fate: Rc<Fate>,
}

impl SimSession {
    /// A process with this instance name starts in these surroundings, among these others.
    pub fn open((around, others): (Rc<Surroundings>, Weak<dyn Others>), log: StageLog, instance: String, disk: Disk) -> Self {
        let membership = around.join(log.stage, &instance);
        Self {
            around,
            others,
            owned: Ownership::new(log.changelog.is_some()),
            log,
            instance,
            membership,
            disk,
            producer: None,
            reading: None,
            next: BTreeMap::new(),
            handed: Vec::new(),
            fate: Rc::default(),
        }
    }

    /// What the world sees of the process.
    pub fn fate(&self) -> Rc<Fate> {
        Rc::clone(&self.fate)
    }

    fn others(&self) -> Result<Rc<dyn Others>, LogError> {
        self.others.upgrade().ok_or_else(|| LogError::stop("using the log", "the simulation is over"))
    }

    /// The process may die here.
    pub(crate) fn may_crash(&self, around: &Surroundings, fault: Fault) -> Result<(), Trouble> {
        if around.strikes(fault) {
            self.fate.crashed.set(true);
            return Err(Trouble::Crashed);
        }
        Ok(())
    }

    fn settle_rebalances(&mut self, around: &Surroundings, batch: &mut Batch) -> Result<(), LogError> {
        loop {
            let next = around.cluster.borrow_mut().group(self.log.stage).next(&self.instance, self.membership);
            match next {
                None => return Ok(()),
                Some(Rebalance::Replaced) => {
                    self.fate.replaced.set(true);
                    return Err(LogError::stop("reading", "another process has the same instance name and took over"));
                }
                Some(Rebalance::Lost) => {
                    let lost: Vec<u32> = self.owned.partitions().collect();
                    around.note(|| format!("{} {} was thrown out and joins again", self.log.stage, self.instance));
                    self.let_go(around, &lost, batch);
                    self.membership = around.join(self.log.stage, &self.instance);
                }
                Some(Rebalance::Revoke(partitions)) => {
                    around.note(|| format!("{} {} lets go of {partitions:?}", self.log.stage, self.instance));
                    self.let_go(around, &partitions, batch);
                    around.cluster.borrow_mut().group(self.log.stage).released(&partitions, self.membership);
                }
                Some(Rebalance::Assign(partitions)) => {
                    let Some(committed) = self.committed(around, &partitions) else { return Ok(()) };
                    around.note(|| format!("{} {} begins {partitions:?}", self.log.stage, self.instance));
                    around.cluster.borrow_mut().group(self.log.stage).taken(&partitions, self.membership);
                    self.seek(&committed);
                    self.owned.begin(committed);
                }
            }
        }
    }

    fn let_go(&mut self, around: &Surroundings, partitions: &[u32], batch: &mut Batch) {
        let before = batch.len();
        for partition in partitions {
            batch.drop_partition(*partition);
            self.owned.release(*partition);
            self.fate.stores.borrow_mut().remove(partition);
            self.cancel(*partition);
        }
        self.handed.retain(|(_, _, partition, _)| !partitions.contains(partition));
        if batch.len() < before {
            around.faults.borrow_mut().count(Fault::RebalanceInBatch);
        }
    }

    fn cancel(&mut self, partition: u32) {
        if self.reading.as_ref().is_some_and(|reading| reading.restore.partition() == partition) {
            self.reading = None;
        }
    }

    /// The committed offsets; `None` while some are not known.
    fn committed(&self, around: &Surroundings, partitions: &[u32]) -> Option<BTreeMap<u32, Inputs>> {
        if around.strikes(Fault::NoAnswer) {
            return None;
        }
        let mut cluster = around.cluster.borrow_mut();
        let group = cluster.group(self.log.stage);
        let mut all = BTreeMap::new();
        for partition in partitions {
            let mut inputs = Inputs::default();
            for topic in self.log.inputs {
                if let Some(offset) = group.committed(*topic, *partition).ok()? {
                    inputs.next.insert(*topic, offset.next);
                    inputs.direct = offset.direct;
                }
            }
            all.insert(*partition, inputs);
        }
        Some(all)
    }

    /// Shows the world which partitions stand still.
    fn show_stopped(&self) {
        let places = self.log.inputs.iter().flat_map(|topic| self.owned.partitions().map(|partition| (*topic, partition)));
        *self.fate.stopped.borrow_mut() = places.filter(|(topic, at)| self.owned.is_stopped(*topic, *at)).collect();
    }

    /// Partitions are read from their committed offsets.
    fn seek(&mut self, committed: &BTreeMap<u32, Inputs>) {
        for (partition, inputs) in committed {
            for topic in self.log.inputs {
                self.next.insert((*topic, *partition), inputs.next.get(topic).copied().unwrap_or(0));
            }
        }
    }

    fn gather(&mut self, around: &Surroundings, batch: &mut Batch, limits: &BatchLimits) -> Result<(), LogError> {
        let mut places: Vec<(Topic, u32)> =
            self.log.inputs.iter().flat_map(|topic| self.owned.partitions().map(|partition| (*topic, partition))).collect();
        while batch.len() < limits.records_max && !places.is_empty() {
            let at = around.below(places.len());
            let Some(place) = places.get(at).copied() else { break };
            let most = (around.below(12) + 1).min(limits.records_max - batch.len());
            if !self.take(around, place, most, batch)? {
                places.swap_remove(at);
            }
        }
        Ok(())
    }

    /// Hands out some records of one partition; false when there is none.
    fn take(
        &mut self,
        around: &Surroundings,
        (topic, partition): (Topic, u32),
        most: usize,
        batch: &mut Batch,
    ) -> Result<bool, LogError> {
        let next = self.next.entry((topic, partition)).or_default();
        if *next > 0 && around.strikes(Fault::WentBack) {
            *next -= 1;
        }
        let cluster = around.cluster.borrow();
        let mut any = false;
        for (offset, entry) in cluster.committed(topic, partition, *next).take(most) {
            any = true;
            match self.owned.admit(topic, partition, offset) {
                Admission::Take => {}
                Admission::Pass => return Ok(false),
                Admission::Back(expected) => {
                    return Err(LogError::recover("reading", format!("went back from offset {expected} to {offset}")));
                }
            }
            *next = offset + 1;
            let value = entry.value.as_deref().unwrap_or_default();
            batch.push(&Record { topic, partition, offset, timestamp_ms: entry.timestamp_ms, key: &entry.key, value });
            self.handed.push((self.log.stage, topic, partition, offset));
        }
        Ok(any)
    }
}

/// A store of the session may find no room for the next writes: the store, and how many.
fn fill_disk(around: &Surroundings, owned: &Ownership<LocalStore>) -> Option<(LocalStore, usize)> {
    let stores: Vec<&LocalStore> = owned.iter().filter_map(|(_, owned)| owned.store.as_ref()).collect();
    if stores.is_empty() || !around.attempts(Fault::DiskFull) {
        return None;
    }
    let (store, writes) = (*stores.get(around.below(stores.len()))?, around.below(4) + 1);
    store.fill(writes);
    Some((store.clone(), writes))
}

impl Session for SimSession {
    fn partitions(&mut self, topic: Topic) -> Result<u32, LogError> {
        Ok(self.around.cluster.borrow().partitions(topic))
    }

    fn poll(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<Vec<Assignment>, LogError> {
        let around = Rc::clone(&self.around);
        if batch.is_empty() {
            self.handed.clear();
        }
        if self.producer.is_none() {
            return Err(LogError::recover("reading", "the last transaction failed"));
        }
        self.settle_rebalances(&around, batch)?;
        self.restore_slice(&around)?;
        self.gather(&around, batch, limits)?;
        if !batch.is_empty() && around.attempts(Fault::RebalanceInBatch) {
            around.rebalance(self.log.stage);
            self.others()?.interlude(20);
        }
        // What was revoked meanwhile must not be in the batch.
        self.settle_rebalances(&around, batch)?;
        self.show_stopped();
        Ok(self.owned.take_changes())
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let around = Rc::clone(&self.around);
        let keeps_state = self.log.changelog.is_some();
        let now_ms = around.cluster.borrow().now_ms;
        // Taken apart, so that the wire can look at the session while the rest is changed.
        let mut producer = self.producer.take();
        let mut owned = std::mem::replace(&mut self.owned, Ownership::new(keeps_state));
        let mut wire = SimWriter::new(&around, self);
        let filled = fill_disk(&around, &owned);
        let done = commit(&mut wire, &mut producer, &mut owned, keeps_state, &transaction, || now_ms);
        if filled.is_some_and(|(store, writes)| store.no_room() < writes) {
            around.faults.borrow_mut().count(Fault::DiskFull);
        }
        self.producer = producer;
        self.owned = owned;
        match done {
            Ok(_) => {
                self.may_crash(&around, Fault::CrashAfterStore).map_err(|trouble| trouble.error("committing"))?;
                around.may_flush(&self.disk);
                Ok(())
            }
            Err(Failed::Log(error)) => Err(error),
            Err(Failed::Writer(producer, trouble)) => {
                if trouble != Trouble::Crashed && around.strikes(Fault::AbortAfterUnknown) {
                    // Whether it succeeds is not known either.
                    let _unknown = around.cluster.borrow_mut().end(&producer.id, producer.epoch, false);
                }
                Err(trouble.error("committing"))
            }
        }
    }

    fn recover(&mut self) -> Result<(), LogError> {
        recover(self)
    }

    fn stop_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.around.faults.borrow_mut().count(Fault::PoisonedPartition);
        self.around.note(|| format!("{} {} stops {}/{partition}", self.log.stage, self.instance, topic.name()));
        self.owned.stop(topic, partition);
        self.producer = None;
        self.show_stopped();
        Ok(())
    }

    fn resume_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        if let Some(next) = self.owned.resume(topic, partition) {
            self.next.insert((topic, partition), next.unwrap_or(0));
        }
        self.show_stopped();
        Ok(())
    }

    fn is_stopped(&self, topic: Topic, partition: u32) -> bool {
        self.owned.is_stopped(topic, partition)
    }

    fn accepted(&mut self, topic: Topic, partition: u32) -> Option<u64> {
        self.around.accepted.borrow().get(&(topic, partition)).copied()
    }

    fn close(&mut self) -> Result<(), LogError> {
        self.producer = None;
        self.owned.clear();
        Ok(())
    }
}
