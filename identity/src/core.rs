//! The actors of one partition: routing between them, and what is put off until the end of a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_proto::attributor_message::Body as ToUnit;
use tributary_proto::identity_message::Body;
use tributary_proto::{Hash128, Identifier, Item, item, kind};
use tributary_runtime::mailbox::{Mail, Mailbox};
use tributary_runtime::stage::{Context, Share};
use tributary_runtime::state::StateError;

use crate::node::Node;
use crate::settings::Rules;

/// What is to be computed again of a component.
pub(crate) struct Dirty {
    pub root: Identifier,
    /// Members whose cluster a fact has touched; and whether it may have become smaller by it.
    pub members: BTreeMap<Hash128, bool>,
    /// Ids that another root has published, to be looked at.
    pub ids: BTreeSet<String>,
}

/// The identity stage of one partition. What it holds between records is forgotten at the end of the batch.
pub struct Core {
    pub(crate) rules: Arc<Rules>,
    mail: Mailbox<Identifier, Body>,
    /// Roots of whose components a part is to be computed again.
    pub(crate) dirty: BTreeMap<Hash128, Dirty>,
    /// What identifiers have brought and their units have not been given yet, and when the event was received.
    items: Vec<(Identifier, item::What, i64)>,
}

impl Core {
    /// The identity stage of a partition.
    pub fn new(rules: Arc<Rules>, share: Share) -> Self {
        Self { rules, mail: Mailbox::new(share), dirty: BTreeMap::new(), items: Vec::new() }
    }

    /// Sends a message to an identifier.
    pub(crate) fn tell(&mut self, cx: &mut Context<'_>, to: &Identifier, body: Body) {
        self.mail.send(cx.outbox, to.key(), |_| to.clone(), body);
    }

    /// By which an identifier keeps the node above it: of somebody who may be erased no name.
    pub(crate) fn address(&self, of: &Identifier) -> Identifier {
        if kind::is_account(&of.kind) { of.clone() } else { of.address(self.mail.share().partitions) }
    }

    /// Sends a message to a milestone.
    pub(crate) fn tell_milestone(&mut self, cx: &mut Context<'_>, milestone_id: &str, body: Body) {
        self.mail.send(cx.outbox, milestone_id.as_bytes().to_vec(), |_| Identifier::default(), body);
    }

    /// Notes that a fact has touched the cluster of a member.
    pub(crate) fn touched(&mut self, root: &Node, member: Hash128, shrunk: bool) {
        *self.dirty_of(root).members.entry(member).or_default() |= shrunk;
    }

    /// What is to be computed again of a root's component.
    pub(crate) fn dirty_of(&mut self, root: &Node) -> &mut Dirty {
        let new = || Dirty { root: root.identifier.clone(), members: BTreeMap::new(), ids: BTreeSet::new() };
        self.dirty.entry(root.hash).or_insert_with(new)
    }

    /// Handles a message, and what it causes in this partition.
    pub(crate) fn receive(&mut self, cx: &mut Context<'_>, to: Identifier, body: Body) -> Result<(), StateError> {
        self.dispatch(cx, &to, body)?;
        self.drain(cx)
    }

    /// Handles what actors of this partition have told each other.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_>) -> Result<(), StateError> {
        while let Some((to, body)) = self.mail.take() {
            self.dispatch(cx, &to, body)?;
        }
        Ok(())
    }

    fn dispatch(&mut self, cx: &mut Context<'_>, to: &Identifier, body: Body) -> Result<(), StateError> {
        match body {
            Body::Event(event) => self.event(cx, event),
            Body::Facts(facts) => self.facts(cx, to, facts),
            Body::Join(join) => self.join(cx, to, join),
            Body::Absorb(absorb) => self.absorb(cx, to, absorb),
            Body::Place(place) => self.place(cx, to, place),
            Body::Subscribe(subscribe) => self.subscribe(cx, to, &subscribe),
            Body::AccountIs(answer) => self.account_is(cx, to, answer),
            Body::Track(track) => self.track(cx, to, track),
            Body::Claim(claim) => self.claim(cx, to, claim),
            Body::Erased(erased) if !erased.milestone_id.is_empty() => self.void_versions(cx, &erased),
            Body::Erased(erased) => self.erased(cx, to, &erased),
        }
    }

    /// Puts off what an identifier brings until its placement is settled, at the end of the batch.
    pub(crate) fn bring(&mut self, cx: &Context<'_>, by: Identifier, what: item::What) {
        self.items.push((by, what, cx.outbox.cause()));
    }

    /// Computes what is dirty, handles what follows from it in this partition, and then gives the units what was brought.
    ///
    /// Ends: every round of local messages merges components, of which there are finitely many, or changes nothing.
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) -> Result<(), StateError> {
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
            let mut node = Node::load(cx.state, &by)?;
            pass_from(cx, &mut node, what);
            node.save(cx.state);
        }
        Ok(())
    }

    /// Forgets a batch.
    pub(crate) fn forget(&mut self) {
        self.mail.clear();
        self.dirty.clear();
        self.items.clear();
    }
}

/// Gives the unit of an identifier what it has brought: under its placement, or a provisional one of the identifier alone.
pub(crate) fn pass_from(cx: &mut Context<'_>, node: &mut Node, what: item::What) {
    let placement = node.placement_or_alone();
    let first = !node.state.brings;
    if first {
        node.edit().brings = true;
        crate::placement::send_arrive(cx, node, &placement);
    }
    let item = Item { identifier_hash: node.hash.to_bytes().to_vec(), epoch: placement.epoch, what: Some(what) };
    send_to_unit(cx, &placement.unit, ToUnit::Item(item));
}

/// Sends a message to a unit.
pub(crate) fn send_to_unit(cx: &mut Context<'_>, unit: &str, body: ToUnit) {
    body.post(cx.outbox, unit.as_bytes().to_vec());
}
