//! Injects faults between two turns.

use std::rc::Rc;

use tributary_runtime::topic::Topic;

use super::{EXPIRE_MS, Status, World};
use crate::cluster::Entry;
use crate::faults::Fault;
use crate::session::TOMBSTONES_MS;

/// How long tombstones are kept: the retention that the stages assume.
const RETENTION_MS: u64 = TOMBSTONES_MS;

impl World {
    /// Injects faults at random.
    pub(super) fn inject_faults(self: &Rc<Self>) {
        let count = self.processes.borrow().len();
        let at = self.around.below(count);
        let Some((stage, instance, runs)) = self.processes.borrow().get(at).map(|process| {
            (process.stage.name(), process.instance.clone(), process.worker.is_some() && process.status == Status::Running)
        }) else {
            return;
        };
        if runs && self.around.strikes(Fault::CrashIdle) {
            self.died(at);
        } else if runs && self.around.strikes(Fault::ZombieIdle) {
            let until = self.around.cluster.borrow().now_ms + 50 + self.around.below(500) as u64;
            self.set_status(at, Status::Frozen(until));
            match self.around.below(3) {
                0 => self.around.throw_out(stage, &instance),
                1 => self.replace(stage, &instance),
                _ => {}
            }
        }
        if self.around.strikes(Fault::Rebalance) {
            self.around.rebalance(stage);
        }
        if self.around.attempts(Fault::Compacted) && self.compact() > 0 {
            self.around.faults.borrow_mut().count(Fault::Compacted);
        }
        if self.around.attempts(Fault::TransactionExpired) && self.around.cluster.borrow_mut().expire(EXPIRE_MS) > 0 {
            self.around.faults.borrow_mut().count(Fault::TransactionExpired);
        }
        let changes = self.former.borrow().is_some();
        if changes && self.around.below(40) == 0 {
            self.change_settings();
        } else if !changes && self.with_former().is_some() && self.around.below(4) == 0 {
            self.restart_one();
        }
        self.stranger();
        let stopped: Vec<_> = self.stopped().into_iter().collect();
        if !stopped.is_empty() && self.around.below(20) == 0 {
            stopped.get(self.around.below(stopped.len())).into_iter().for_each(|place| self.accept(*place));
        }
    }

    fn compact(&self) -> usize {
        let mut gone = 0;
        let mut cluster = self.around.cluster.borrow_mut();
        for topic in Topic::ALL.into_iter().filter(|topic| topic.compacted()) {
            for partition in 0..cluster.partitions(topic) {
                gone += cluster.compact(topic, partition, RETENTION_MS);
            }
        }
        gone
    }

    /// A transaction of another application stays open for a while and holds up the readers of an inbox or of a changelog.
    pub(super) fn stranger(&self) {
        const ID: &str = "a stranger";
        const TOPICS: [Topic; 4] =
            [Topic::IdentityInbox, Topic::AttributorInbox, Topic::IdentityChangelog, Topic::AttributorChangelog];
        if let Some(epoch) = self.stranger.get() {
            let ended = self.around.cluster.borrow_mut().end(ID, epoch, false);
            self.stranger.set(None);
            self.around.note(|| format!("the stranger's transaction is aborted: {ended:?}"));
        } else if self.around.strikes(Fault::ForeignTransaction) {
            let mut cluster = self.around.cluster.borrow_mut();
            let Ok(epoch) = cluster.init_producer(ID) else { return };
            for topic in TOPICS {
                let partition = self.around.below(cluster.partitions(topic) as usize) as u32;
                let entry = Entry::new(b"strange".to_vec(), Some(b"strange".to_vec()), 0, cluster.now_ms);
                let _refused = cluster.produce(ID, epoch, topic, partition, entry);
            }
            self.stranger.set(Some(epoch));
        }
    }
}
