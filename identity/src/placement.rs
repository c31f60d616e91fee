//! Placements: what an identifier does when its root tells it where it belongs, and how people learn their account's id.

use tributary_proto::attributor_message::Body as ToUnit;
use tributary_proto::identity_message::Body;
use tributary_proto::{AccountIs, Arrive, Identifier, Move, Place, Placement, StoredTrack, Subscribe, Track, item};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::component::Component;
use crate::core::{Core, send_to_unit};
use crate::metrics;
use crate::node::Node;
use crate::view::lone_placement;

impl Core {
    /// An identifier is told its placement: the newer wins. Its units are told if it has brought anything.
    pub(crate) fn place(&mut self, cx: &mut Context<'_>, to: &Identifier, place: Place) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        let Some(placement) = place.placement else { return Ok(()) };
        let known = node.state.placement.as_ref();
        if known.is_none_or(|known| known.epoch < placement.epoch) {
            cx.outbox.observe(&metrics::PLACEMENTS, "", 1);
            let before = node.edit().placement.replace(placement.clone());
            // Compress the path: the root that tells is above every node on it.
            let above = place.root.filter(|root| root.hash() != node.hash);
            if !node.is_root()
                && let Some(above) = above
            {
                node.edit().parent = Some(self.address(&above));
            }
            if node.state.brings {
                tell_units(cx, &node, before.as_ref(), &placement);
            }
            self.tell_subscribers(cx, &node, before, &placement)?;
        }
        node.save(cx.state);
        Ok(())
    }

    /// A profile names this account identifier: it is told the account's id now, also where that is what it assumes anyway. Else an
    /// older answer, still on its way to somebody else of its component, would be the newest there is.
    pub(crate) fn subscribe(&mut self, cx: &mut Context<'_>, to: &Identifier, subscribe: &Subscribe) -> Result<(), StateError> {
        let node = self.meet(cx, to)?;
        if let Some(subscriber) = &subscribe.subscriber
            && node.add_subscriber(cx.state, subscribe)?
            && let Some(placement) = &node.state.placement
        {
            self.tell(cx, subscriber, answer(to, subscriber, placement));
        }
        node.save(cx.state);
        Ok(())
    }

    /// Tells everybody who named this account identifier that its account's id has changed.
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
        if before.unit == now.unit {
            return Ok(());
        }
        for subscriber in node.subscribers(cx.state)? {
            let body = answer(&node.identifier, &subscriber, now);
            self.tell(cx, &subscriber, body);
        }
        Ok(())
    }

    /// An account identifier's answer goes up from the subscriber to its root.
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
        node.save(cx.state);
        Ok(())
    }

    /// A milestone tells its anchor what to track: it goes on to the anchor's unit like a touch.
    pub(crate) fn track(&mut self, cx: &mut Context<'_>, to: &Identifier, track: Track) -> Result<(), StateError> {
        let node = self.meet(cx, to)?;
        let Track { stamp, milestone_id, milestone, erased, .. } = track;
        let stored = StoredTrack { milestone_id, stamp, milestone, erased };
        self.bring(cx, node.identifier.clone(), item::What::Track(stored));
        node.save(cx.state);
        Ok(())
    }
}

fn answer(account: &Identifier, subscriber: &Identifier, placement: &Placement) -> Body {
    Body::AccountIs(AccountIs {
        account: Some(account.clone()),
        account_id: placement.account_id.clone(),
        unit: placement.unit.clone(),
        epoch: placement.epoch,
        subscriber: Some(subscriber.clone()),
    })
}

/// Tells the old unit to hand over and the new one whom to expect; or the one unit what has changed.
fn tell_units(cx: &mut Context<'_>, node: &Node, before: Option<&Placement>, now: &Placement) {
    if let Some(before) = before.filter(|before| before.unit != now.unit) {
        let to = now.unit.clone();
        let moved = Move { identifier_hash: node.hash.to_bytes().to_vec(), to, epoch: now.epoch };
        send_to_unit(cx, &before.unit, ToUnit::Move(moved));
    }
    send_arrive(cx, node, now);
}

/// Tells a unit that an identifier belongs to it, and what is void of that which it brings.
pub(crate) fn send_arrive(cx: &mut Context<'_>, node: &Node, placement: &Placement) {
    let arrive = Arrive {
        identifier: node.state.identifier.clone(),
        placement: Some(placement.clone()),
        identifier_hash: node.hash.to_bytes().to_vec(),
        erasures: node.erasures(),
    };
    send_to_unit(cx, &placement.unit, ToUnit::Arrive(arrive));
}
