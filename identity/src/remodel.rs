//! Applies changed rules to all identifiers and milestones: see [`tributary_runtime::remodel`].
//!
//! An identifier decides again whether it is shared, by its stored links; a root computes all its clusters; a milestone is decided again.
//! The results spread by the usual messages. Facts come from events, and no rule of this stage changes them, with one exception: the
//! domains of email addresses, which are claimed or taken back as the rules require.

use tributary_proto::identity_message::Body;
use tributary_proto::{Event, Identifier, IdentifierState, Remodel, event};
use tributary_runtime::mailbox::Mail;
use tributary_runtime::remodel::{Begun, Step};
use tributary_runtime::stage::Context;
use tributary_runtime::state::{ActorKey, StateError, get_message, scan_messages};
use tributary_runtime::throttle::still_to_wait;

use crate::component::Component;
use crate::core::Core;
use crate::keys::{self, WALK};
use crate::metrics;

impl Core {
    /// Checks by which rules the state of a partition was computed that is taken over.
    pub(crate) fn begin(&mut self, cx: &mut Context<'_>) -> Result<(), StateError> {
        let begun = WALK.begin(cx.state, self.own)?;
        self.go_on(cx, begun);
        Ok(())
    }

    /// Requests the next step, and stores the progress.
    fn go_on(&mut self, cx: &mut Context<'_>, begun: Begun) {
        self.remodelled = begun.thousandths;
        if let Some(message) = begun.send {
            self.send_remodel(cx, message);
        }
    }

    fn send_remodel(&self, cx: &mut Context<'_>, message: Remodel) {
        Body::Remodel(message).post(cx.outbox, self.slice().some_key("remodel:"));
    }

    /// Decides some more actors by the changed rules, if the step is due.
    pub(crate) fn remodel(&mut self, cx: &mut Context<'_>, message: &Remodel, handled: u64) -> Result<(), StateError> {
        let Some(Step { mut known, actors, .. }) = WALK.step(cx.state, message, self.own)? else { return Ok(()) };
        let wait = still_to_wait(message.wait, handled, 1);
        if wait > 0 {
            self.send_remodel(cx, Remodel { wait, ..*message });
            return Ok(());
        }
        let (mut cost, mut made) = (0, 0);
        for actor in &actors {
            cost += match actor.tag() {
                keys::IDENTIFIER_TAG => self.decide_anew(cx, actor)?,
                _ => self.announce_anew(cx, actor)?,
            };
            self.drain(cx)?;
            known.after = actor.0.to_vec();
            made += 1;
            if cost > self.rules.rest_after {
                break;
            }
        }
        known.units += made;
        cx.outbox.observe(&metrics::REMODELLED, "", made);
        let next = WALK.made(cx.state, known, cost, actors.is_empty());
        self.go_on(cx, next);
        Ok(())
    }

    /// An identifier decides whether it is shared; a root has all its clusters computed. Returns the cost.
    fn decide_anew(&mut self, cx: &mut Context<'_>, actor: &ActorKey) -> Result<u64, StateError> {
        // The walk reads from the store.
        self.nodes.flush(cx.state)?;
        let Some(state) = get_message::<IdentifierState>(cx.state, actor, keys::NODE)? else { return Ok(1) };
        // Of an erased identifier only the hash is left.
        let share = self.slice();
        let name = state.identifier.or_else(|| Some(Identifier::address_of(actor.hash()?, share.partition, share.partitions)));
        let Some(name) = name else { return Ok(1) };
        let mut node = self.nodes.take(cx.state, &name)?;
        let mut cost = 1;
        if node.state.present && !name.is_address() {
            cost += node.count_links(cx.state, &self.rules)?;
            if node.state.shared != self.is_claimed_by_too_many(&node) {
                self.retract(cx, &mut node)?;
            } else {
                self.claim_domain(cx, &node, false)?;
            }
            if let Some(domain) = self.rules.declared_free(&name) {
                self.claim_anew(cx, &node, &domain)?;
            }
        }
        if node.is_root() {
            let members = Component::of(node.hash).members(cx.state)?;
            cost += members.len() as u64;
            members.into_iter().for_each(|member| self.shrunk(&node, member));
        }
        self.nodes.keep(node);
        Ok(cost)
    }

    /// A milestone is decided again.
    fn announce_anew(&mut self, cx: &mut Context<'_>, actor: &ActorKey) -> Result<u64, StateError> {
        let versions = scan_messages::<Event>(cx.state, actor, &[keys::OBSERVATION])?;
        let id = versions.iter().find_map(|(_, version)| match &version.body {
            Some(event::Body::Milestone(version)) => Some(version.milestone_id.clone()),
            _ => None,
        });
        if let Some(id) = id {
            self.announce(cx, &id, false)?;
        }
        Ok(1 + versions.len() as u64)
    }
}
