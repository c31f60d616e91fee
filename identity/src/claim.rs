//! Claims about an identifier: it stores them, and reports to its root what follows from all of them.

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{Claim, Facts, Hash128, Identifier, LinkFact};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::days::{merge_assertions, stored_earlier};
use crate::facts::{merge_claim, merge_consent, merge_earliest, merge_link};
use crate::identifier_set::claim_about;
use crate::metrics;
use crate::node::Node;
use crate::units::send_arrive;

/// Most links in one message of facts: well below 256 KiB, the size that no message of ours exceeds.
const LINKS_MAX: usize = 256;

impl Core {
    /// Handles a claim of another actor about an identifier.
    pub(crate) fn claim(&mut self, cx: &mut Context<'_>, to: &Identifier, said: Claim) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        let speaker = speaker(&said);
        if let Some(until_ms) = node.state.erased_ms.filter(|until_ms| said.erased_ms.is_none_or(|heard| heard < *until_ms)) {
            self.tell_erased(cx, to, until_ms, &said);
        }
        if said.anew {
            let nothing = said.nothing;
            node.replace_claim(cx.state, speaker, (!nothing).then_some(said));
            self.retract(cx, &mut node)?;
        } else if node.add_claim(cx.state, speaker, &said)? {
            self.learn_of_itself(cx, &mut node, &said)?;
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Applies a claim about the node, and reports what is new to its root.
    pub(crate) fn learn_of_itself(&mut self, cx: &mut Context<'_>, node: &mut Node, said: &Claim) -> Result<(), StateError> {
        let was_trusted = node.is_trusted();
        let facts = self.take_in(cx, node, said)?;
        if node.state.shared && node.is_trusted() && !was_trusted && !self.is_claimed_by_too_many(node) {
            // Public events made it shared. A trusted event names it now, so they no longer count.
            return self.retract(cx, node);
        }
        self.report(cx, node, facts)
    }

    /// Merges a claim into the node; returns what of it is new to the root.
    fn take_in(&mut self, cx: &mut Context<'_>, node: &mut Node, said: &Claim) -> Result<Facts, StateError> {
        let mut news = Facts::default();
        node.name();
        if !node.state.present {
            node.edit().present = true;
            news.present = true;
            if !node.state.roles.is_empty()
                && let Some(placement) = &node.state.placement
            {
                // Its units did not get its roles while no event named it.
                send_arrive(cx, node, placement);
            }
        }
        if merge_earliest(&mut node.state.earliest_ms, said.earliest_ms) {
            node.touch(true);
            news.earliest_ms = said.earliest_ms;
        }
        if merge_earliest(&mut node.state.public_ms, said.public_ms) {
            node.touch(true);
            news.public_ms = said.public_ms;
        }
        news.assertions = said.assertions.iter().cloned().chain(stored_earlier(&said.assertion)).collect();
        if merge_consent(&mut node.state.consent, said.consent.as_ref()) {
            node.touch(true);
            news.consent.clone_from(&said.consent);
        }
        if merge_consent(&mut node.state.public_consent, said.public_consent.as_ref()) {
            node.touch(true);
            news.public_consent.clone_from(&said.public_consent);
        }
        for fact in &said.traits {
            if node.add_trait(cx.state, fact)? {
                news.traits.push(fact.clone());
            }
        }
        for link in &said.links {
            if !node.add_link(cx.state, link, &self.rules)? {
                continue;
            }
            if node.speaks_for(link) {
                news.links.push(link.clone());
            } else if node.state.generation > 0 {
                // The other end may have sent `Join` while this identifier was shared and ignored it, before this claim arrived.
                news.ask.extend(node.other_end(link).cloned());
            }
        }
        if !node.state.shared && self.is_claimed_by_too_many(node) {
            node.edit().shared = true;
            news.shared = true;
            cx.outbox.observe(&metrics::SHARED, "", 1);
        }
        if node.state.shared {
            // Links of a shared identifier join nobody. With them the root would only send `Join` for components that must stay apart.
            news.links.clear();
            news.ask.clear();
        }
        if news.present || news.earliest_ms.is_some() || news.public_ms.is_some() {
            self.claim_domain(cx, node, false)?;
        }
        Ok(news)
    }

    /// Something was taken back: computes the facts from all claims again, and reports all of them to the root under a new generation.
    pub(crate) fn retract(&mut self, cx: &mut Context<'_>, node: &mut Node) -> Result<(), StateError> {
        let own = claim_about(&node.identifier_sets(cx.state)?, &node.identifier);
        let claims: Vec<Claim> = own.into_iter().chain(node.claims(cx.state)?).collect();
        let all = unite(&claims);
        let was_shared = node.state.shared;
        node.replace_facts(cx.state, &all, &self.rules)?;
        let shared = self.is_claimed_by_too_many(node);
        let record = node.edit();
        record.shared = shared;
        record.present = !claims.is_empty();
        let links = node.links(cx.state)?;
        // While the identifier was shared, its root got no links, and every `Join` was ignored. Both are sent now.
        let reported = links.iter().filter(|link| !shared && node.speaks_for(link)).cloned().collect::<Vec<_>>();
        let ask: Vec<Identifier> = links
            .iter()
            .filter(|link| was_shared && !shared && !node.speaks_for(link))
            .filter_map(|link| node.other_end(link).cloned())
            .collect();
        let facts = Facts {
            earliest_ms: all.earliest_ms,
            public_ms: all.public_ms,
            traits: all.traits,
            consent: all.consent,
            public_consent: all.public_consent,
            shared,
            present: node.state.present,
            ..Facts::default()
        };
        self.report_always(cx, node, facts)?;
        for part in all.assertions.chunks(LINKS_MAX) {
            self.report(cx, node, Facts { assertions: part.to_vec(), ..Facts::default() })?;
        }
        for part in reported.chunks(LINKS_MAX) {
            self.report(cx, node, Facts { links: part.to_vec(), ..Facts::default() })?;
        }
        for part in ask.chunks(LINKS_MAX) {
            self.report(cx, node, Facts { ask: part.to_vec(), ..Facts::default() })?;
        }
        self.claim_domain(cx, node, true)?;
        if let Some(domain) = self.rules.declared_free(&node.identifier).filter(|_| self.remodelled.is_some()) {
            // Under former settings this address may have named the domain as an account. Later the walk could not find that: a forgotten
            // identifier has no name.
            self.claim_anew(cx, node, &domain)?;
        }
        if node.state.present {
            node.name();
        } else if node.state.identifier.is_some() {
            node.forget_name();
            // Its unit stores the name, too.
            if node.state.brings
                && let Some(placement) = node.state.placement.clone()
            {
                send_arrive(cx, node, &placement);
            }
        }
        Ok(())
    }

    /// A corporate address implies its domain: the domain is an account, and counts as seen whenever the address was.
    pub(crate) fn claim_domain(&mut self, cx: &mut Context<'_>, node: &Node, anew: bool) -> Result<(), StateError> {
        match self.rules.corporate_domain(&node.identifier) {
            Some(domain) if anew => self.claim_anew(cx, node, &domain),
            Some(domain) => {
                let claim = seen(node);
                self.claim_of(cx, node, &domain, claim)
            }
            None => Ok(()),
        }
    }

    /// Sends an identifier everything that this one still claims about it.
    pub(crate) fn claim_anew(&mut self, cx: &mut Context<'_>, node: &Node, about: &Identifier) -> Result<(), StateError> {
        let mut claim = claim_about(&node.identifier_sets(cx.state)?, about);
        if node.state.present && self.rules.corporate_domain(&node.identifier).as_ref() == Some(about) {
            merge_claim(claim.get_or_insert_default(), &seen(node));
        }
        let nothing = claim.is_none();
        self.claim_of(cx, node, about, Claim { anew: true, nothing, ..claim.unwrap_or_default() })
    }

    /// Sends an identifier a claim of this one.
    pub(crate) fn claim_of(
        &mut self,
        cx: &mut Context<'_>,
        node: &Node,
        about: &Identifier,
        claim: Claim,
    ) -> Result<(), StateError> {
        let erased_ms = node.erased_ms(cx.state, about.hash())?;
        let claim = Claim { about: Some(about.clone()), by: Some(node.identifier.clone()), erased_ms, ..claim };
        self.tell(cx, about, Body::Claim(claim));
        Ok(())
    }

    pub(crate) fn is_claimed_by_too_many(&self, node: &Node) -> bool {
        let (links, strong_links) = node.claimed_by();
        strong_links > self.rules.shared_after || links > self.rules.shared_any
    }

    /// Something was taken back from identifier sets that name these: sends each of them the claims that are left.
    pub(crate) fn claim_all_anew<'a>(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        named: impl Iterator<Item = &'a Identifier>,
    ) -> Result<(), StateError> {
        self.retract(cx, node)?;
        let others: BTreeMap<Hash128, &Identifier> =
            named.filter(|other| **other != node.identifier).map(|other| (other.hash(), other)).collect();
        for other in others.values() {
            self.claim_anew(cx, node, other)?;
        }
        Ok(())
    }
}

/// A claim that an identifier was seen, and when.
fn seen(node: &Node) -> Claim {
    Claim { earliest_ms: node.state.earliest_ms, public_ms: node.state.public_ms, ..Claim::default() }
}

/// The key under which an identifier stores the claims of one identifier (the speaker).
pub(crate) fn speaker(said: &Claim) -> Hash128 {
    match &said.by {
        Some(by) => by.hash(),
        None => Hash128::of(said.milestone_id.as_bytes()),
    }
}

/// All claims merged into one.
fn unite(claims: &[Claim]) -> Claim {
    let mut all = Claim::default();
    let mut links: BTreeMap<(Hash128, Hash128), LinkFact> = BTreeMap::new();
    for claim in claims {
        for link in &claim.links {
            let hash = |end: &Option<Identifier>| end.as_ref().map(Identifier::hash).unwrap_or_default();
            let known = links.entry((hash(&link.a), hash(&link.b))).or_insert_with(|| link.clone());
            merge_link(known, link);
        }
        merge_claim(&mut all, &Claim { links: Vec::new(), ..claim.clone() });
        merge_assertions(&mut all.assertions, stored_earlier(&claim.assertion).as_slice());
    }
    all.links = links.into_values().collect();
    all
}

impl Core {
    /// Notifies the speaker of a claim that the identifier is erased.
    fn tell_erased(&mut self, cx: &mut Context<'_>, about: &Identifier, until_ms: i64, said: &Claim) {
        let milestone_id = said.milestone_id.clone();
        let erased =
            Body::Erased(tributary_proto::Erased { about: Some(about.clone()), until_ms, milestone_id, ..Default::default() });
        match &said.by {
            Some(by) => self.tell(cx, by, erased),
            None => self.tell_milestone(cx, &said.milestone_id, erased),
        }
    }

    /// Notifies every identifier that has made claims about this one that it is erased.
    pub(crate) fn tell_speakers(&mut self, cx: &mut Context<'_>, node: &Node, until_ms: i64) -> Result<(), StateError> {
        for claim in node.claims(cx.state)? {
            self.tell_erased(cx, &node.identifier, until_ms, &claim);
        }
        Ok(())
    }
}
