//! Erasure: the events that name an identifier, up to a time, are void, and so is everything that follows from them.
//!
//! The identifier keeps the mark forever and notifies every actor that made a claim about it: a primary identifier removes the void events
//! from its identifier sets and claims the rest again, a milestone drops the versions, a unit the touches. An actor that makes a claim
//! later without knowing of the erasure is notified then.

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{Erased, Facts, Hash128, Identifier, PersonAsked};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::node::Node;
use crate::units::send_arrive;

impl Core {
    /// Sends each of these people's identifiers its erasure. If the request has an id, their roots also store who is joined with them.
    pub(crate) fn erase(&mut self, cx: &mut Context<'_>, people: &[Identifier], until_ms: i64, request_id: &str) {
        for (at, about) in people.iter().enumerate() {
            cx.outbox.erase(about, until_ms);
            let request_id =
                if at > 0 && !request_id.is_empty() { format!("{request_id}:{at}") } else { request_id.to_owned() };
            let erased = Erased { about: Some(about.clone()), until_ms, request_id, ..Erased::default() };
            self.tell(cx, about, Body::Erased(erased));
        }
    }

    /// A void event has arrived: the actors that may hold data of it are notified to delete it.
    pub(crate) fn void_event(&self, cx: &mut Context<'_>, node: &Node, people: &[Identifier]) -> Result<(), StateError> {
        for about in people {
            if let Some(until_ms) = node.erased_ms(cx.state, about.hash())? {
                cx.outbox.erase(about, until_ms);
            }
        }
        Ok(())
    }

    /// Handles an erasure of this identifier, or of one that was named together with it.
    pub(crate) fn erased(&mut self, cx: &mut Context<'_>, to: &Identifier, message: &Erased) -> Result<(), StateError> {
        let Some(about) = &message.about else { return Ok(()) };
        let mut node = self.nodes.take(cx.state, to)?;
        self.void(cx, &mut node, about, message)?;
        self.nodes.keep(node);
        Ok(())
    }

    /// Deletes from a node what an erasure voids.
    fn void(&mut self, cx: &mut Context<'_>, node: &mut Node, about: &Identifier, message: &Erased) -> Result<(), StateError> {
        let (hash, until_ms) = (about.hash(), message.until_ms);
        if node.erased_ms(cx.state, hash)?.is_some_and(|known| known >= until_ms) {
            return Ok(());
        }
        let itself = *about == node.identifier;
        if itself && !message.request_id.is_empty() && node.state.members > 0 {
            // This comes first: afterwards the root no longer knows who was one person with it.
            let person = PersonAsked { request_id: message.request_id.clone(), until_ms };
            self.report_always(cx, node, Facts { person: Some(person), ..Facts::default() })?;
        }
        node.put_erased(cx.state, hash, until_ms);
        if itself {
            self.tell_speakers(cx, node, until_ms)?;
            self.void_roles(cx, node, until_ms)?;
        }
        let mut affected: BTreeMap<Hash128, Identifier> = BTreeMap::new();
        for mut mentioned in node.identifier_sets(cx.state)? {
            if mentioned.names(about) {
                affected.extend(mentioned.all().map(|named| (named.hash(), named.clone())));
                node.void_mention(cx.state, &mut mentioned, until_ms)?;
            }
        }
        if !affected.is_empty() {
            cx.outbox.erase(about, until_ms);
            self.claim_all_anew(cx, node, affected.values())?;
        }
        if node.state.brings
            && let Some(placement) = node.state.placement.clone()
        {
            send_arrive(cx, node, &placement);
        }
        Ok(())
    }
}
