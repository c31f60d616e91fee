//! Roots: how news climb to them, how two become one, and how a component is computed again.

use tributary_proto::identity_message::Body;
use tributary_proto::{Absorb, Facts, Hash128, Identifier, Join, Member, Place, Placement, Published, Subscribe, kind};
use tributary_runtime::planted::planted;
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::cluster::cluster;
use crate::component::{Component, Loaded};
use crate::core::Core;
use crate::metrics;
use crate::node::Node;
use crate::view::{self, View};

impl Core {
    /// The node of an identifier; one that is met for the first time begins as a root of its own, with itself as member.
    pub(crate) fn meet(&mut self, cx: &mut Context<'_>, identifier: &Identifier) -> Result<Node, StateError> {
        let mut node = Node::load(cx.state, identifier)?;
        if node.new {
            cx.outbox.observe(&metrics::IDENTIFIERS, "", 1);
            node.edit().members = 1;
            let member = Member { identifier: Some(identifier.clone()), ..Member::default() };
            Component::of(node.hash).add_member(cx.state, &member)?;
            self.dirty.insert(node.hash, identifier.clone());
            self.report_domain(cx, identifier, None);
        }
        Ok(node)
    }

    /// Takes news of `node` (or from below it) up to its root. Facts without `about` are the node's own.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>, node: &mut Node, mut facts: Facts) -> Result<(), StateError> {
        if facts.about.as_ref().is_none_or(|about| *about == node.identifier) {
            facts.about = None;
            facts.shared = self.finds_itself_shared(cx, node);
            if facts == Facts::default() {
                return Ok(());
            }
            facts.about = Some(node.identifier.clone());
            if facts.earliest_ms.is_some() {
                self.report_domain(cx, &node.identifier, facts.earliest_ms);
            }
        }
        match node.state.parent.clone() {
            Some(parent) => {
                if !planted("facts_stop_below_the_root") {
                    self.tell(cx, &parent, Body::Facts(facts));
                }
                Ok(())
            }
            None => self.learn(cx, node, facts),
        }
    }

    /// A corporate address speaks for its domain: the domain is an account, and has been seen whenever the address was.
    fn report_domain(&mut self, cx: &mut Context<'_>, identifier: &Identifier, earliest_ms: Option<i64>) {
        if let Some(domain) = self.rules.corporate_domain(identifier) {
            let facts = Facts { about: Some(domain.clone()), earliest_ms, ..Facts::default() };
            self.tell(cx, &domain, Body::Facts(facts));
        }
    }

    /// Whether the node has just been linked to more identifiers than one person can have.
    fn finds_itself_shared(&self, cx: &mut Context<'_>, node: &mut Node) -> bool {
        let over = node.state.strong_links > self.rules.shared_after || node.state.links > self.rules.shared_any;
        let found = over && !node.state.shared && !planted("shared_not_noticed");
        if found {
            node.edit().shared = true;
            cx.outbox.observe(&metrics::SHARED, "", 1);
        }
        found
    }

    /// News reach the root.
    fn learn(&mut self, cx: &mut Context<'_>, root: &mut Node, facts: Facts) -> Result<(), StateError> {
        let component = Component::of(root.hash);
        let member = Member {
            identifier: facts.about,
            earliest_ms: facts.earliest_ms,
            assertion: facts.assertion,
            consent: facts.consent,
            traits: facts.traits,
            shared: facts.shared,
            told: None,
        };
        let added = component.add_member(cx.state, &member)?;
        if added.new {
            root.edit().members += 1;
        }
        let mut news = added.news;
        for link in &facts.links {
            let added = component.add_link(cx.state, link)?;
            news |= added.news;
            if added.new {
                for end in [&link.a, &link.b].into_iter().flatten() {
                    self.ask_to_join(cx, root, component, end)?;
                }
            }
        }
        if news {
            self.dirty.insert(root.hash, root.identifier.clone());
        }
        Ok(())
    }

    /// Asks the other end of a link to become one component, if it is not a member yet.
    fn ask_to_join(
        &mut self,
        cx: &mut Context<'_>,
        root: &Node,
        component: Component,
        end: &Identifier,
    ) -> Result<(), StateError> {
        if !component.has_member(cx.state, end.hash())? {
            let join = Join { about: Some(end.clone()), root: Some(root.identifier.clone()), rank: root.rank() };
            self.tell(cx, end, Body::Join(join));
        }
        Ok(())
    }

    /// Another root asks to become one: up to the root here, and then the lower of the two hangs under the higher.
    ///
    /// Higher is the greater rank, then the smaller hash. A rank only grows while its node is a root and is frozen once it hangs, so
    /// every parent is higher than its children: no cycles, whatever interleaves; and a path is no longer than the rank of its end.
    pub(crate) fn join(&mut self, cx: &mut Context<'_>, to: &Identifier, join: Join) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        let Some(other) = join.root.clone() else { return Ok(()) };
        let meant_for_shared = node.state.shared && join.about.as_ref() == Some(to);
        if meant_for_shared || other == *to {
            // A shared identifier joins nobody. And a root that meets itself is done.
        } else if let Some(parent) = node.state.parent.clone() {
            if !planted("join_stops_below_the_root") {
                self.tell(cx, &parent, Body::Join(join));
            }
        } else if (join.rank, std::cmp::Reverse(other.hash())) > (node.rank(), std::cmp::Reverse(node.hash)) {
            self.hang(cx, &mut node, &other)?;
        } else {
            let answer_lost = planted("join_not_answered");
            let answer = Join { about: None, root: Some(node.identifier.clone()), rank: node.rank() };
            if !answer_lost {
                self.tell(cx, &other, Body::Join(answer));
            }
        }
        node.save(cx.state);
        Ok(())
    }

    /// A root hangs under another and sends it all it has.
    fn hang(&mut self, cx: &mut Context<'_>, node: &mut Node, above: &Identifier) -> Result<(), StateError> {
        let parts = Component::of(node.hash).take(cx.state, &node.identifier, node.state.epoch, self.rules.part_bytes_max)?;
        node.edit().parent = Some(above.clone());
        self.dirty.remove(&node.hash);
        cx.outbox.observe(&metrics::MERGES, "", 1);
        for part in parts {
            if planted("last_part_of_component_lost") && part.part > 0 && !part.more {
                continue;
            }
            self.tell(cx, above, Body::Absorb(part));
        }
        Ok(())
    }

    /// A part of another component arrives.
    pub(crate) fn absorb(&mut self, cx: &mut Context<'_>, to: &Identifier, part: Absorb) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        if let Some(parent) = node.state.parent.clone() {
            self.tell(cx, &parent, Body::Absorb(part));
            node.save(cx.state);
            return Ok(());
        }
        let component = Component::of(node.hash);
        let record = node.edit();
        record.epoch = if planted("epoch_lost_in_merge") { record.epoch } else { record.epoch.max(part.epoch) + 1 };
        for member in &part.members {
            if component.add_member(cx.state, member)?.new {
                record.members += 1;
            }
        }
        for link in &part.links {
            component.add_link(cx.state, link)?;
        }
        for answer in &part.accounts {
            component.add_answer(cx.state, answer)?;
        }
        for subscription in &part.subscriptions {
            component.add_subscription(cx.state, subscription)?;
        }
        for published in &part.published {
            component.add_published(cx.state, published)?;
        }
        self.dirty.insert(node.hash, to.clone());
        node.save(cx.state);
        Ok(())
    }

    /// Computes the component of a root again, and tells whom it concerns what has changed.
    pub(crate) fn recompute(&mut self, cx: &mut Context<'_>, hash: Hash128) -> Result<(), StateError> {
        let Some(mut root) = Node::load_by_hash(cx.state, hash)? else { return Ok(()) };
        if !root.is_root() {
            return Ok(());
        }
        let component = Component::of(hash);
        let Loaded { mut members, links, answers, mut published } = component.load(cx.state)?;
        let clustering = cluster(&members, &links, &self.rules);
        let view = if kind::is_account(&root.identifier.kind) {
            view::companies(&members, &clustering)
        } else {
            view::people(&members, &clustering, &answers, &self.rules)
        };
        cx.outbox.observe(&metrics::COMPONENT_MEMBERS, "", members.len() as u64);
        cx.outbox.observe(&metrics::QUARANTINED, "", clustering.quarantined as u64);

        let epoch = root.state.epoch + 1;
        let mut changed = false;
        for ((of, member), placement) in members.iter_mut().zip(&view.placements) {
            if member.told.as_ref().is_some_and(|told| same_place(told, placement)) {
                continue;
            }
            changed = true;
            let placement = Placement { epoch, ..placement.clone() };
            member.told = Some(placement.clone());
            component.put_member(cx.state, *of, member);
            if let Some(about) = member.identifier.clone() {
                let place =
                    Place { about: Some(about.clone()), placement: Some(placement), root: Some(root.identifier.clone()) };
                self.tell(cx, &about, Body::Place(place));
            }
        }
        if changed {
            root.edit().epoch = epoch;
        }
        for (account, subscriber) in &view.subscriptions {
            let subscribe = Subscribe { account: Some(account.clone()), subscriber: Some(subscriber.clone()) };
            if component.add_subscription(cx.state, &subscribe)? {
                self.tell(cx, account, Body::Subscribe(subscribe));
            }
        }
        publish(cx, component, &members, &view, &mut published);
        root.save(cx.state);
        Ok(())
    }
}

fn same_place(told: &Placement, now: &Placement) -> bool {
    told.profile_id == now.profile_id
        && told.unit == now.unit
        && told.account_id == now.account_id
        && told.role == now.role
        && told.revoked == now.revoked
}

/// Publishes the profiles (or accounts) that changed, and where those went that are no more.
fn publish(
    cx: &mut Context<'_>,
    component: Component,
    members: &view::Members,
    view: &View,
    published: &mut std::collections::BTreeMap<String, Published>,
) {
    for record in &view.records {
        let digest = Hash128::of(&record.bytes).to_bytes().to_vec();
        let before = published.remove(&record.id);
        if before.is_none_or(|before| before.digest != digest) {
            component.put_published(cx.state, &Published { id: record.id.clone(), digest });
            write(cx, view, &record.id, record.bytes.clone());
        }
    }
    for id in published.keys() {
        if let Some(bytes) = view::departed(members, &view.placements, view.topic, id) {
            write(cx, view, id, bytes);
        }
        component.forget_published(cx.state, id);
    }
}

fn write(cx: &mut Context<'_>, view: &View, id: &str, bytes: Vec<u8>) {
    cx.outbox.outputs.push(tributary_runtime::stage::Output {
        topic: view.topic,
        key: id.as_bytes().to_vec(),
        value: Some(bytes),
    });
}
