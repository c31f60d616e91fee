//! What others say of an identifier: it keeps the claims, and takes up to its root what follows from all of them.

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{Claim, Facts, Hash128, Identifier, LinkFact};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::facts::{merge_assertion, merge_claim, merge_consent, merge_earliest, merge_link};
use crate::mention::claim_about;
use crate::metrics;
use crate::node::Node;
use crate::placement::send_arrive;

/// Links a message of news carries at most: well below the 256 KiB that no message of ours exceeds.
const LINKS_MAX: usize = 256;

impl Core {
    /// Another actor says something of an identifier.
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
            let facts = self.take_in(cx, &mut node, &said)?;
            self.report(cx, &mut node, facts)?;
        }
        node.save(cx.state);
        Ok(())
    }

    /// Adds what is said to what is known; returns what of it is news for the root.
    pub(crate) fn take_in(&mut self, cx: &mut Context<'_>, node: &mut Node, said: &Claim) -> Result<Facts, StateError> {
        let mut news = Facts::default();
        node.name();
        if !node.state.present {
            node.edit().present = true;
            news.present = true;
        }
        if merge_earliest(&mut node.state.earliest_ms, said.earliest_ms) {
            node.touch(true);
            news.earliest_ms = said.earliest_ms;
        }
        if merge_assertion(&mut node.state.assertion, said.assertion.as_ref()) {
            node.touch(true);
            news.assertion.clone_from(&said.assertion);
        }
        if merge_consent(&mut node.state.consent, said.consent.as_ref()) {
            node.touch(true);
            news.consent.clone_from(&said.consent);
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
                // The other end may have asked while this one was shared, before it heard of the link.
                news.ask.extend(node.other_end(link).cloned());
            }
        }
        if !node.state.shared && self.is_claimed_by_too_many(node) {
            node.edit().shared = true;
            news.shared = true;
            cx.outbox.observe(&metrics::SHARED, "", 1);
        }
        if node.state.shared {
            // Its links join nobody: a root that knew them would only ask strangers to become one component.
            news.links.clear();
            news.ask.clear();
        }
        if news.present || news.earliest_ms.is_some() {
            self.claim_domain(cx, node, false)?;
        }
        Ok(news)
    }

    /// Something was taken back: computes what is known from all claims again, and tells the root all of it under a new generation.
    pub(crate) fn retract(&mut self, cx: &mut Context<'_>, node: &mut Node) -> Result<(), StateError> {
        let own = claim_about(&node.mentions(cx.state)?, &node.identifier);
        let claims: Vec<Claim> = own.into_iter().chain(node.claims(cx.state)?).collect();
        let all = unite(&claims);
        let was_shared = node.state.shared;
        node.replace_facts(cx.state, &all, &self.rules)?;
        let shared = self.is_claimed_by_too_many(node);
        let record = node.edit();
        record.shared = shared;
        record.present = !claims.is_empty();
        let links = node.links(cx.state)?;
        // While it was shared its root was told of no link, and others asked in vain.
        let reported = links.iter().filter(|link| !shared && node.speaks_for(link)).cloned().collect::<Vec<_>>();
        let ask: Vec<Identifier> = links
            .iter()
            .filter(|link| was_shared && !shared && !node.speaks_for(link))
            .filter_map(|link| node.other_end(link).cloned())
            .collect();
        let facts = Facts {
            earliest_ms: all.earliest_ms,
            assertion: all.assertion,
            traits: all.traits,
            consent: all.consent,
            shared,
            present: node.state.present,
            ..Facts::default()
        };
        self.report_always(cx, node, facts)?;
        for part in reported.chunks(LINKS_MAX) {
            self.report(cx, node, Facts { links: part.to_vec(), ..Facts::default() })?;
        }
        for part in ask.chunks(LINKS_MAX) {
            self.report(cx, node, Facts { ask: part.to_vec(), ..Facts::default() })?;
        }
        self.claim_domain(cx, node, true)?;
        if node.state.present {
            node.name();
        } else if node.state.identifier.is_some() {
            node.forget_name();
            // Its unit has the name, too.
            if node.state.brings
                && let Some(placement) = node.state.placement.clone()
            {
                send_arrive(cx, node, &placement);
            }
        }
        Ok(())
    }

    /// A corporate address speaks for its domain: the domain is an account, and has been seen whenever the address was.
    fn claim_domain(&mut self, cx: &mut Context<'_>, node: &Node, anew: bool) -> Result<(), StateError> {
        match self.rules.corporate_domain(&node.identifier) {
            Some(domain) if anew => self.claim_anew(cx, node, &domain),
            Some(domain) => {
                let claim = Claim { earliest_ms: node.state.earliest_ms, ..Claim::default() };
                self.claim_of(cx, node, &domain, claim)
            }
            None => Ok(()),
        }
    }

    /// Tells an identifier all that this one still says of it.
    pub(crate) fn claim_anew(&mut self, cx: &mut Context<'_>, node: &Node, about: &Identifier) -> Result<(), StateError> {
        let mut claim = claim_about(&node.mentions(cx.state)?, about);
        if node.state.present && self.rules.corporate_domain(&node.identifier).as_ref() == Some(about) {
            let seen = Claim { earliest_ms: node.state.earliest_ms, ..Claim::default() };
            merge_claim(claim.get_or_insert_default(), &seen);
        }
        let nothing = claim.is_none();
        self.claim_of(cx, node, about, Claim { anew: true, nothing, ..claim.unwrap_or_default() })
    }

    fn is_claimed_by_too_many(&self, node: &Node) -> bool {
        node.state.strong_links > self.rules.shared_after || node.state.links > self.rules.shared_any
    }
}

/// The key under which an identifier keeps what a speaker says.
pub(crate) fn speaker(said: &Claim) -> Hash128 {
    match &said.by {
        Some(by) => by.hash(),
        None => Hash128::of(said.milestone_id.as_bytes()),
    }
}

/// All claims as one.
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
    }
    all.links = links.into_values().collect();
    all
}

impl Core {
    /// Tells the speaker of a claim that the identifier it is about is erased.
    fn tell_erased(&mut self, cx: &mut Context<'_>, about: &Identifier, until_ms: i64, said: &Claim) {
        let milestone_id = said.milestone_id.clone();
        let erased = Body::Erased(tributary_proto::Erased { about: Some(about.clone()), until_ms, milestone_id });
        match &said.by {
            Some(by) => self.tell(cx, by, erased),
            None => self.tell_milestone(cx, &said.milestone_id, erased),
        }
    }

    /// Tells everybody who has said something of an identifier that it is erased.
    pub(crate) fn tell_speakers(&mut self, cx: &mut Context<'_>, node: &Node, until_ms: i64) -> Result<(), StateError> {
        for claim in node.claims(cx.state)? {
            self.tell_erased(cx, &node.identifier, until_ms, &claim);
        }
        Ok(())
    }
}
