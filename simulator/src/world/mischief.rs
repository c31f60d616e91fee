//! What goes wrong between two turns.

use std::rc::Rc;

use tributary_runtime::topic::Topic;

use super::{EXPIRE_MS, Status, World};
use crate::cluster::Entry;
use crate::faults::Fault;
use crate::session::TOMBSTONES_MS;

/// How long tombstones are kept, which is what the stages are told.
const RETENTION_MS: u64 = TOMBSTONES_MS;

impl World {
    /// Something goes wrong.
    pub(super) fn mischief(self: &Rc<Self>) {
        let count = self.processes.borrow().len();
        let at = self.below(count);
        let Some((stage, instance, runs)) = self.processes.borrow().get(at).map(|process| {
            (process.stage.name(), process.instance.clone(), process.worker.is_some() && process.status == Status::Running)
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
        let stopped: Vec<_> = self.stopped().into_iter().collect();
        if !stopped.is_empty() && self.below(20) == 0 {
            stopped.get(self.below(stopped.len())).into_iter().for_each(|place| self.accept(*place));
        }
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
    pub(super) fn stranger(&self) {
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
}
