//! The end of a run: all processes continue until none has work left.

use std::collections::BTreeSet;
use std::rc::Rc;

use tributary_runtime::log::StageLog;
use tributary_runtime::topic::Topic;

use super::{EXPIRE_MS, Process, Status, World};

/// A check to be run while partitions are stopped.
pub type LookBeside<'a> = dyn Fn(&BTreeSet<(Topic, u32)>) -> Result<(), String> + 'a;

impl World {
    /// Injects no more faults and gives every process turns until nothing is left to do. Then runs `beside` if partitions are stopped,
    /// accepts what they refused, and continues.
    ///
    /// # Errors
    /// When that takes more than `rounds_max` rounds; errors of `beside`.
    pub fn drain(self: &Rc<Self>, rounds_max: usize, beside: &LookBeside<'_>) -> Result<(), String> {
        self.around.faults.borrow_mut().stop();
        self.change_settings();
        let mut idle = 0;
        for _ in 0..rounds_max {
            let before = self.progress();
            self.restart_one();
            self.deliver();
            self.late_request_arrives();
            self.stranger();
            self.around.cluster.borrow_mut().now_ms += 10;
            self.around.cluster.borrow_mut().expire(EXPIRE_MS);
            for by in 0..4 {
                self.around.cluster.borrow_mut().settle_one(by);
            }
            let count = self.processes.borrow().len();
            (0..count).for_each(|at| self.turn(at));
            if let Some(why) = self.failure() {
                return Err(why);
            }
            idle = if before == self.progress() && self.is_settled() { idle + 1 } else { 0 };
            if idle > 60 {
                let stopped = self.stopped();
                if stopped.is_empty() {
                    return Ok(());
                }
                beside(&stopped)?;
                stopped.into_iter().for_each(|place| self.accept(place));
                idle = 0;
            }
        }
        Err(format!("the messages never drain: {} things are still under way after {rounds_max} rounds", self.lag()))
    }

    fn progress(&self) -> (usize, usize) {
        let cluster = self.around.cluster.borrow();
        (cluster.processed.len(), cluster.unsettled())
    }

    fn is_settled(&self) -> bool {
        let resting = |process: &Process| matches!(process.status, Status::Running | Status::Gone);
        self.all_delivered()
            && self.around.late.borrow().is_empty()
            && self.around.cluster.borrow().unsettled() == 0
            && self.processes.borrow().iter().all(resting)
            && self.lag() == 0
            && self.all_restored()
    }

    /// Whether every partition has a worker with restored state.
    fn all_restored(&self) -> bool {
        let changelogs: BTreeSet<Topic> =
            self.processes.borrow().iter().filter_map(|process| process.stage.log().changelog).collect();
        let partitions: u32 = changelogs.into_iter().map(|changelog| self.around.cluster.borrow().partitions(changelog)).sum();
        self.stores().len() >= partitions as usize
    }

    /// How many records of inputs are still to be processed, without those of stopped partitions.
    fn lag(&self) -> usize {
        let stopped = self.stopped();
        let mut stages: Vec<StageLog> = self.processes.borrow().iter().map(|process| process.stage.log()).collect();
        stages.dedup_by_key(|log| log.stage);
        let mut cluster = self.around.cluster.borrow_mut();
        let mut lag = 0;
        for log in stages {
            for topic in log.inputs {
                for partition in (0..cluster.partitions(*topic)).filter(|at| !stopped.contains(&(*topic, *at))) {
                    let next =
                        cluster.group(log.stage).committed(*topic, partition).ok().flatten().map_or(0, |offset| offset.next);
                    lag += cluster.committed(*topic, partition, next).count();
                }
            }
        }
        lag
    }
}
