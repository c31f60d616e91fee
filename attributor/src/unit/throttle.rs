//! Throttling: a large unit takes no more than its share of the time.
//!
//! The cost of a unit grows with its touches and its milestones, and every batch may change it. So a unit that was expensive is throttled:
//! it stores the deferred milestones, and computes them when the partition has handled as many records as the unit has cost. The unit sends
//! itself a `ResumeUnit` through the log: this message is behind the waiting records, and arrives again after a crash. If no records wait,
//! a unit is throttled for no longer than one round trip through the log.

use std::collections::BTreeMap;

use tributary_proto::{DeferredMilestone, Reason, ResumeUnit, attributor_message::Body};
use tributary_runtime::mailbox::Mail;
use tributary_runtime::state::{self, StateError};

use super::dirty::weightier;
use super::recompute::live;
use super::tracks::Task;
use super::{Unit, keys};
use crate::metrics;

/// Cost of a computation, in records handled, above which a unit is throttled: some milliseconds.
pub const REST_AFTER: u64 = 1_000;

impl Unit<'_, '_> {
    pub(super) fn is_throttled(&mut self) -> Result<bool, StateError> {
        Ok(self.state.get(&self.actor, &keys::THROTTLED)?.is_some())
    }

    /// Stores what has to be computed later.
    pub(super) fn deferred(&mut self, tasks: &[Task<'_>], received_ms: i64) -> Result<(), StateError> {
        for task in tasks {
            let milestone_id = &task.tracked.milestone.milestone_id;
            let sub = keys::due(milestone_id);
            let known: Option<DeferredMilestone> = state::get_message(self.state, &self.actor, &sub)?;
            let reason = known.as_ref().map_or(task.reason, |known| weightier(known.reason(), task.reason));
            let received_ms = known.as_ref().map_or(received_ms, |known| received_ms.max(known.received_ms));
            let due = DeferredMilestone { milestone_id: milestone_id.clone(), reason: reason.into(), received_ms };
            if known.as_ref() != Some(&due) {
                state::put_message(self.state, &self.actor, &sub, &due);
            }
        }
        if !tasks.is_empty() {
            self.effects.outbox.observe(&metrics::JOURNEYS_PUT_OFF, "", tasks.len() as u64);
        }
        Ok(())
    }

    /// Throttles the unit after an expensive computation.
    pub(super) fn rest_after(&mut self, cost: u64) {
        if cost > self.plan.rest_after {
            self.state.put(&self.actor, &keys::THROTTLED, &[1]);
            self.wake_up_after(cost);
        }
    }

    fn wake_up_after(&mut self, wait: u64) {
        Body::ResumeUnit(ResumeUnit { wait }).post(self.effects.outbox, self.key.to_vec());
    }

    /// Computes what was deferred, if the unit has waited long enough.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn wake(&mut self, wait: u64) -> Result<(), StateError> {
        if wait > 0 {
            self.wake_up_after(wait);
            return Ok(());
        }
        self.state.delete(&self.actor, &keys::THROTTLED);
        self.compute_deferred()
    }

    /// Computes what was put off while records waited, unless the unit is throttled.
    ///
    /// # Errors
    /// When the state is at fault.
    pub fn take_up(&mut self) -> Result<(), StateError> {
        if self.is_throttled()? { Ok(()) } else { self.compute_deferred() }
    }

    fn compute_deferred(&mut self) -> Result<(), StateError> {
        let said = self.say_deferred()?;
        let mut reasons: BTreeMap<String, Reason> = BTreeMap::new();
        let mut received_ms = i64::MIN;
        for (sub, due) in state::scan_messages::<DeferredMilestone>(self.state, &self.actor, &[keys::DEFERRED])? {
            received_ms = received_ms.max(due.received_ms);
            reasons.insert(due.milestone_id.clone(), due.reason());
            self.state.delete(&self.actor, &sub);
        }
        if reasons.is_empty() {
            self.rest_after(said);
            return Ok(());
        }
        self.effects.outbox.caused_at(received_ms);
        // Milestones that have moved to another unit meanwhile are computed there.
        let tracked = self.tracked()?;
        let live = live(&tracked);
        let tasks = self.tasks(&tracked, |milestone, _| reasons.get(&milestone.milestone_id).copied());
        let cost = self.compute_all(&tasks, &live)?;
        self.rest_after(said + cost);
        Ok(())
    }
}
