//! Placements: how an identifier reacts to a placement from its root, and how people get their account's id.

use tributary_proto::identity_message::Body;
use tributary_proto::{AccountIs, Identifier, Place, Placement, StoredTrack, Subscribe, Track, item};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::component::Component;
use crate::core::Core;
use crate::metrics;
use crate::names::lone_placement;
use crate::node::Node;
use crate::units::tell_units;

impl Core {
    /// Stores a newer placement. Notifies the units if the identifier has brought anything.
    pub(crate) fn place(&mut self, cx: &mut Context<'_>, to: &Identifier, place: Place) -> Result<(), StateError> {
        let Some(placement) = place.placement else { return Ok(()) };
        let mut node = self.meet(cx, to)?;
        let known = node.state.placement.as_ref();
        if known.is_none_or(|known| known.epoch < placement.epoch) {
            cx.outbox.observe(&metrics::PLACEMENTS, "", 1);
            let before = node.edit().placement.replace(placement);
            // Path compression: the root that sent this is above every node on the path.
            if let (Some(above), Some(parent)) = (place.root, &node.state.parent) {
                let hash = above.hash();
                let known = parent.is_address() && parent.hash() == hash;
                if hash != node.hash && !known {
                    node.edit().parent = Some(self.address(&above));
                }
            }
            if !node.state.roles.is_empty() {
                // A person with a role in a deal is known to the unit, even if it brings nothing.
                node.edit().brings = true;
            }
            if let Some(placement) = &node.state.placement {
                if node.state.brings {
                    tell_units(cx, &node, before.as_ref(), placement);
                }
                self.tell_accounts(cx, &node, before.as_ref(), placement);
                self.tell_subscribers(cx, &node, before, placement)?;
            }
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Adds a profile's subscription to this account identifier, and answers with the account's id even if the subscriber assumes it
    /// already. Otherwise an older answer to another member of its component, still on its way, would count as the newest.
    pub(crate) fn subscribe(&mut self, cx: &mut Context<'_>, to: &Identifier, subscribe: &Subscribe) -> Result<(), StateError> {
        let node = self.meet(cx, to)?;
        if let Some(subscriber) = &subscribe.subscriber
            && node.add_subscriber(cx.state, subscribe)?
            && let Some(placement) = &node.state.placement
        {
            self.tell(cx, subscriber, answer(to, subscriber, placement));
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Sends all subscribers of this account identifier that its account's id has changed.
    fn tell_subscribers(
        &mut self,
        cx: &mut Context<'_>,
        node: &Node,
        before: Option<Placement>,
        now: &Placement,
    ) -> Result<(), StateError> {
        if !tributary_proto::kind::is_account(&node.identifier.kind) {
            return Ok(());
        }
        let before = before.unwrap_or_else(|| lone_placement(&node.identifier, node.hash));
        if (before.own_unit(), &before.above) == (now.own_unit(), &now.above) {
            return Ok(());
        }
        for subscriber in node.subscribers(cx.state)? {
            let body = answer(&node.identifier, &subscriber, now);
            self.tell(cx, &subscriber, body);
        }
        Ok(())
    }

    /// Passes the answer of an account identifier from the subscriber to its root.
    pub(crate) fn account_is(&mut self, cx: &mut Context<'_>, to: &Identifier, answer: AccountIs) -> Result<(), StateError> {
        let node = self.meet(cx, to)?;
        match node.state.parent.clone() {
            Some(parent) => self.tell(cx, &parent, Body::AccountIs(answer)),
            None => {
                if Component::of(node.hash).add_answer(cx.state, &answer)? {
                    self.renamed(cx, &node, &answer)?;
                }
            }
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Passes a milestone's message from its anchor to the anchor's unit at that time, like a touch. It voids what was tracked at another
    /// time before.
    pub(crate) fn track(&mut self, cx: &mut Context<'_>, to: &Identifier, track: Track) -> Result<(), StateError> {
        let node = self.meet(cx, to)?;
        let Track { stamp, milestone_id, milestone, erased, before_ms, .. } = track;
        let moved = before_ms.filter(|before_ms| milestone.as_ref().is_none_or(|now| now.time_ms != *before_ms));
        if let Some(at_ms) = moved {
            let gone = StoredTrack { milestone_id: milestone_id.clone(), stamp, milestone: None, erased, at_ms };
            self.bring(cx, node.identifier.clone(), item::What::Track(gone));
        }
        if milestone.is_some() {
            let stored = StoredTrack { milestone_id, stamp, milestone, erased, at_ms: 0 };
            self.bring(cx, node.identifier.clone(), item::What::Track(stored));
        }
        self.nodes.keep(node);
        Ok(())
    }
}

fn answer(account: &Identifier, subscriber: &Identifier, placement: &Placement) -> Body {
    Body::AccountIs(AccountIs {
        account: Some(account.clone()),
        account_id: placement.account_id.clone(),
        unit: placement.own_unit().to_owned(),
        epoch: placement.epoch,
        subscriber: Some(subscriber.clone()),
        above: placement.above.clone(),
    })
}
