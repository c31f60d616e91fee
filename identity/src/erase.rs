//! Erasure: the events that name an identifier, up to a time, are void, and so is all that follows from them.
//!
//! The identifier keeps the mark for ever, and whoever has said something of it is told: a primary identifier takes the void events out
//! of its mentions and claims anew what is left, a milestone drops the versions, a unit the touches. Who speaks of the identifier later
//! on without knowing of the erasure is told then.

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{Erased, Hash128, Identifier};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::node::Node;
use crate::placement::send_arrive;

impl Core {
    /// Asks for the erasure of people's identifiers.
    pub(crate) fn erase(&mut self, cx: &mut Context<'_>, people: &[Identifier], until_ms: i64) {
        for about in people {
            cx.outbox.erase(about, until_ms);
            let erased = Erased { about: Some(about.clone()), until_ms, milestone_id: String::new() };
            self.tell(cx, about, Body::Erased(erased));
        }
    }

    /// An event has come that is void: whoever keeps it is to forget it.
    pub(crate) fn void_event(&self, cx: &mut Context<'_>, node: &Node, people: &[Identifier]) -> Result<(), StateError> {
        for about in people {
            if let Some(until_ms) = node.erased_ms(cx.state, about.hash())? {
                cx.outbox.erase(about, until_ms);
            }
        }
        Ok(())
    }

    /// An identifier is told that it is erased, or that one is that it was named with.
    pub(crate) fn erased(&mut self, cx: &mut Context<'_>, to: &Identifier, message: &Erased) -> Result<(), StateError> {
        let (Some(about), until_ms) = (&message.about, message.until_ms) else { return Ok(()) };
        let hash = about.hash();
        let mut node = Node::load(cx.state, to)?;
        if node.erased_ms(cx.state, hash)?.is_some_and(|known| known >= until_ms) {
            return Ok(());
        }
        node.put_erased(cx.state, hash, until_ms);
        if about == to {
            self.tell_speakers(cx, &node, until_ms)?;
        }
        let mut affected: BTreeMap<Hash128, Identifier> = BTreeMap::new();
        for mut mentioned in node.mentions(cx.state)? {
            if mentioned.names(about) {
                affected.extend(mentioned.all().map(|named| (named.hash(), named.clone())));
                node.void_mention(cx.state, &mut mentioned, until_ms);
            }
        }
        if !affected.is_empty() {
            cx.outbox.erase(about, until_ms);
            self.retract(cx, &mut node)?;
            for other in affected.values().filter(|other| **other != node.identifier) {
                self.claim_anew(cx, &node, other)?;
            }
        }
        if node.state.brings
            && let Some(placement) = node.state.placement.clone()
        {
            send_arrive(cx, &node, &placement);
        }
        node.save(cx.state);
        Ok(())
    }
}
