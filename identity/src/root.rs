//! Roots: how facts move up to them, and how two roots become one. What a root then computes: [`crate::recompute`].

use tributary_proto::identity_message::Body;
use tributary_proto::{Absorb, AccountIs, DayAssertion, Facts, Hash128, Identifier, Join, Member};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::component::{Added, Asserted, Component};
use crate::core::Core;
use crate::days::{midnight_before, stored_earlier};
use crate::metrics;
use crate::names::account_of;
use crate::node::Node;
use crate::stamp::stamp_key;

impl Core {
    /// Sends facts of a node to its root, if there are any.
    pub(crate) fn report(&mut self, cx: &mut Context<'_>, node: &mut Node, facts: Facts) -> Result<(), StateError> {
        if facts == Facts::default() { Ok(()) } else { self.report_always(cx, node, facts) }
    }

    /// Sends facts of a node to its root, even empty ones.
    pub(crate) fn report_always(&mut self, cx: &mut Context<'_>, node: &mut Node, facts: Facts) -> Result<(), StateError> {
        let facts = Facts { about: Some(node.identifier.clone()), generation: node.state.generation, ..facts };
        match node.state.parent.clone() {
            Some(parent) => {
                self.tell(cx, &parent, Body::Facts(facts));
                Ok(())
            }
            None => self.learn(cx, node, facts),
        }
    }

    /// Handles facts on their way up to the root.
    pub(crate) fn facts(&mut self, cx: &mut Context<'_>, to: &Identifier, facts: Facts) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        match node.state.parent.clone() {
            Some(parent) => self.tell(cx, &parent, Body::Facts(facts)),
            None => self.learn(cx, &mut node, facts)?,
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// The root applies facts.
    fn learn(&mut self, cx: &mut Context<'_>, root: &mut Node, facts: Facts) -> Result<(), StateError> {
        let Some(about) = facts.about else { return Ok(()) };
        let (hash, generation) = (about.hash(), facts.generation);
        if let Some(asked) = facts.person {
            return self.write_down_person(cx, root, &about, asked);
        }
        let member = Member {
            identifier: Some(about),
            earliest_ms: facts.earliest_ms,
            public_ms: facts.public_ms,
            consent: facts.consent,
            public_consent: facts.public_consent,
            traits: facts.traits,
            shared: facts.shared,
            present: facts.present,
            generation,
            ..Member::default()
        };
        self.add_member(cx, root, hash, &member)?;
        let component = Component::of(root.hash);
        for assertion in facts.assertions.into_iter().chain(stored_earlier(&facts.assertion)) {
            self.add_assertion(cx, root, hash, &DayAssertion { generation, ..assertion })?;
        }
        for link in facts.links {
            let link = tributary_proto::LinkFact { generation, ..link };
            self.add_link(cx, root, &link, true)?;
        }
        for other in &facts.ask {
            self.ask_to_join(cx, root, component, other)?;
        }
        Ok(())
    }

    /// Merges facts about a member, and notes whose cluster they touch.
    fn add_member(
        &mut self,
        cx: &mut Context<'_>,
        root: &mut Node,
        hash: Hash128,
        member: &Member,
    ) -> Result<Added, StateError> {
        let component = Component::of(root.hash);
        let added = component.add_member(cx.state, hash, member)?;
        if added.new {
            root.edit().members += 1;
        }
        if added.shrunk {
            // The member may have connected others: a shared one its neighbours, one that took something back the ends of its links, one
            // that is trusted now the public-only ones.
            for other in component.drop_outdated_links(cx.state, hash, member.generation)? {
                self.shrunk(root, other);
            }
            for (other, _) in component.links_of(cx.state, hash)? {
                self.shrunk(root, other);
            }
        }
        if added.news {
            self.touched(root, hash);
        }
        Ok(added)
    }

    /// Adds an assertion of a member, and notes whose timeline it may change.
    fn add_assertion(
        &mut self,
        cx: &mut Context<'_>,
        root: &Node,
        hash: Hash128,
        said: &DayAssertion,
    ) -> Result<(), StateError> {
        let component = Component::of(root.hash);
        let member = component.member(cx.state, hash)?;
        let changes = match component.add_assertion(cx.state, (hash, member.as_ref()), said)? {
            Asserted::Nothing => false,
            // For accounts the later statement of a parent counts, whatever the placement was.
            Asserted::Later => root.is_account() || !goes_on(cx, component, member, said)?,
            Asserted::Anew => true,
        };
        if changes {
            self.touched(root, hash);
        }
        Ok(())
    }

    /// Merges a link, and notes whose cluster it touches.
    fn add_link(
        &mut self,
        cx: &mut Context<'_>,
        root: &Node,
        link: &tributary_proto::LinkFact,
        ask: bool,
    ) -> Result<(), StateError> {
        let (Some(a), Some(b)) = (&link.a, &link.b) else { return Ok(()) };
        let component = Component::of(root.hash);
        let ends = (a.hash(), b.hash());
        let added = component.add_link(cx.state, ends, link)?;
        for end in [ends.0, ends.1].into_iter().filter(|_| added.news) {
            if added.shrunk { self.shrunk(root, end) } else { self.touched(root, end) }
        }
        if added.new && ask {
            self.ask_to_join(cx, root, component, a)?;
            self.ask_to_join(cx, root, component, b)?;
        }
        Ok(())
    }

    /// Sends `Join` to the other end of a link if it is not a member yet.
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

    /// Handles the `Join` of another root: passes it to the root here; then the lower of the two becomes a child of the higher.
    ///
    /// The higher one has the greater rank, then the smaller hash. A rank only grows while its node is a root, and is frozen once it has a
    /// parent. So every parent is higher than its children: there are no cycles in any order of messages, and a path is no longer than the
    /// rank at its end.
    pub(crate) fn join(&mut self, cx: &mut Context<'_>, to: &Identifier, join: Join) -> Result<(), StateError> {
        let Some(other) = join.root.clone() else { return Ok(()) };
        let mut node = self.meet(cx, to)?;
        let meant_for_shared = node.state.shared && join.about.as_ref() == Some(to);
        // A root may be named by its identifier or by its address.
        if meant_for_shared || other.hash() == node.hash {
            // A shared identifier joins nobody. A root that reaches itself is done.
        } else if let Some(parent) = node.state.parent.clone() {
            self.tell(cx, &parent, Body::Join(join));
        } else if (join.rank, std::cmp::Reverse(other.hash())) > (node.rank(), std::cmp::Reverse(node.hash)) {
            self.hang(cx, &mut node, &other)?;
        } else {
            let answer = Join { about: None, root: Some(node.identifier.clone()), rank: node.rank() };
            self.tell(cx, &other, Body::Join(answer));
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Makes a root the child of another, and sends that one all its data.
    fn hang(&mut self, cx: &mut Context<'_>, node: &mut Node, above: &Identifier) -> Result<(), StateError> {
        let component = Component::of(node.hash);
        self.dirty.remove(&node.hash);
        let parts = component.take(cx.state, &node.identifier, node.state.epoch, self.rules.part_bytes_max)?;
        node.edit().parent = Some(self.address(above));
        cx.outbox.observe(&metrics::MERGES, "", 1);
        for part in parts {
            self.tell(cx, above, Body::Absorb(part));
        }
        Ok(())
    }

    /// Handles a part of another component.
    pub(crate) fn absorb(&mut self, cx: &mut Context<'_>, to: &Identifier, part: Absorb) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        if let Some(parent) = node.state.parent.clone() {
            self.tell(cx, &parent, Body::Absorb(part));
            self.nodes.keep(node);
            return Ok(());
        }
        let component = Component::of(node.hash);
        let record = node.edit();
        record.epoch = record.epoch.max(part.epoch) + 1;
        for subscription in &part.subscriptions {
            component.add_subscription(cx.state, subscription);
        }
        for answer in &part.accounts {
            if component.add_answer(cx.state, answer)? {
                self.renamed(cx, &node, answer)?;
            }
        }
        for published in &part.published {
            component.add_published(cx.state, published);
            if let Some(called_after) = Hash128::from_bytes(&published.called_after) {
                self.touched(&node, called_after);
                self.dirty_of(&node).due.ids.insert(published.id.clone());
            }
        }
        for member in &part.members {
            let hash = member.identifier.as_ref().map_or_else(|| Hash128::from_bytes(&member.hash), |named| Some(named.hash()));
            if let Some(hash) = hash {
                self.add_member(cx, &mut node, hash, member)?;
                self.touched(&node, hash);
            }
        }
        for assertion in &part.assertions {
            if let Some(hash) = Hash128::from_bytes(&assertion.member) {
                self.add_assertion(cx, &node, hash, assertion)?;
            }
        }
        for belongs in &part.people {
            self.add_person(cx, &node, belongs)?;
        }
        for link in &part.links {
            self.add_link(cx, &node, link, false)?;
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Stores the answer of an account identifier that profiles of this component name.
    pub(crate) fn renamed(&mut self, cx: &mut Context<'_>, root: &Node, answer: &AccountIs) -> Result<(), StateError> {
        let Some(account) = &answer.account else { return Ok(()) };
        for member in Component::of(root.hash).subscribers_of(cx.state, account.hash())? {
            self.touched(root, member);
        }
        Ok(())
    }
}

/// Whether a member's placement already has the asserted account from the midnight before to the last assertion.
fn goes_on(
    cx: &mut Context<'_>,
    component: Component,
    member: Option<Member>,
    said: &DayAssertion,
) -> Result<bool, StateError> {
    let (Some(account), Some(day)) = (&said.account, &said.day) else { return Ok(false) };
    // The assertion that is no longer the last of its day may have hidden another account's.
    let Some(told) = member.filter(|member| !member.tied).and_then(|member| member.told) else { return Ok(false) };
    let (unit, _) = account_of(account, component.answer(cx.state, account.hash())?);
    let last_ms = stamp_key(day.last.as_ref()).0;
    let midnight_ms = midnight_before(last_ms);
    let mut stays = told.stays().filter(|stay| stay.from_ms <= last_ms && midnight_ms <= stay.to_ms);
    Ok(stays.all(|stay| stay.account_unit == unit))
}
