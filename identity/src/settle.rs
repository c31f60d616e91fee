//! The end of a batch: work that was deferred until all records of the batch were handled.

use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;
use tributary_runtime::throttle::still_to_wait;

use crate::component::Component;
use crate::core::Core;
use crate::keys::WALK;
use crate::units::pass_from;

impl Core {
    /// Computes what is marked, handles the messages within this partition that follow, and then sends the units what was brought.
    ///
    /// This terminates: every round of local messages merges components, of which there are finitely many, or changes nothing.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), StateError> {
        let handled = std::mem::take(&mut self.handled);
        self.end_rests(cx, handled)?;
        for message in std::mem::take(&mut self.remodels) {
            self.remodel(cx, &message, handled)?;
        }
        if handled > 0 && self.new == Some(true) {
            WALK.note(cx.state, self.own);
            self.new = Some(false);
        }
        loop {
            self.drain(cx)?;
            if self.dirty.is_empty() {
                break;
            }
            for dirty in std::mem::take(&mut self.dirty).into_values() {
                self.recompute(cx, dirty)?;
            }
        }
        for (by, what, received_ms) in std::mem::take(&mut self.items) {
            cx.outbox.caused_at(received_ms);
            let mut node = self.nodes.take(cx.state, &by)?;
            pass_from(cx, &mut node, what);
            self.nodes.keep(node);
        }
        self.nodes.flush(cx.state)
    }

    /// Resumes the roots that were throttled for long enough: what was deferred is marked to be computed.
    fn end_rests(&mut self, cx: &mut Context<'_>, handled: u64) -> Result<(), StateError> {
        let rests = std::mem::take(&mut self.rests);
        for (root, wait) in &rests {
            let wait = still_to_wait(*wait, handled, rests.len() as u64);
            if wait > 0 {
                self.rest(cx, root, wait);
                continue;
            }
            let node = self.nodes.take(cx.state, root)?;
            let due = Component::of(node.hash).wake(cx.state)?;
            if !due.members.is_empty() || !due.ids.is_empty() {
                let dirty = &mut self.dirty_of(&node).due;
                dirty.members.extend(due.members);
                dirty.ids.extend(due.ids);
                dirty.shrunk |= due.shrunk;
            }
            self.nodes.keep(node);
        }
        Ok(())
    }
}
