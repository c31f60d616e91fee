//! An event arrives at its primary identifier: what is new in it is told to those it concerns.
//!
//! In the steady state nothing is new, and an event costs one look-up of the primary, one a pair of identifiers, and one output.

use std::collections::BTreeMap;

use tributary_proto::event::Body as What;
use tributary_proto::identity_message::Body;
use tributary_proto::{
    Assertion, ConsentFact, Event, Facts, Hash128, Identifier, LinkFact, Stamp, StoredTouch, Trait, TraitFact, Word, item,
};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::{Core, pass_from};
use crate::facts::{merge_assertion, merge_consent, merge_earliest, merge_link};
use crate::keys;
use crate::node::Node;

/// What an event says of the identifiers in it.
pub(crate) struct Statement<'a> {
    pub people: &'a [Identifier],
    pub accounts: &'a [Identifier],
    /// Whether the account identifiers are one account.
    pub links_accounts: bool,
    pub time_ms: i64,
    pub stamp: Stamp,
    /// What is said outright of every pair.
    pub word: Option<bool>,
    pub traits: &'a [Trait],
    pub consent: Option<bool>,
}

impl<'a> Statement<'a> {
    pub(crate) fn of(event: &'a Event) -> Self {
        let stamp = Stamp { time_ms: event.time_ms, event_hash: Hash128::of(event.event_id.as_bytes()).to_bytes().to_vec() };
        let (word, consent) = match &event.body {
            Some(What::Link(_)) => (Some(true), None),
            Some(What::Unlink(_)) => (Some(false), None),
            Some(What::Consent(consent)) => (None, Some(consent.granted)),
            _ => (None, None),
        };
        let record = matches!(event.body, Some(What::Account(_)));
        Self {
            people: &event.identifiers,
            accounts: &event.account_identifiers,
            links_accounts: record || (word.is_some() && event.identifiers.is_empty()),
            time_ms: event.time_ms,
            stamp,
            word,
            traits: &event.traits,
            consent,
        }
    }

    /// The identifier the event is keyed by.
    pub(crate) fn primary(&self) -> Option<&'a Identifier> {
        self.people.first().or_else(|| self.accounts.first())
    }

    /// What it says of a pair.
    pub(crate) fn link(&self, a: &Identifier, b: &Identifier) -> LinkFact {
        let ((a, _), (b, _)) = keys::ordered(a, b);
        LinkFact {
            a: Some(a.clone()),
            b: Some(b.clone()),
            earliest_ms: (self.word != Some(false)).then_some(self.time_ms),
            word: self.word.map(|join| Word { join, at: Some(self.stamp.clone()) }),
        }
    }

    /// Who the traits are about: the account, in an account record; else the primary identifier.
    pub(crate) fn bearer(&self) -> Option<&'a Identifier> {
        if self.links_accounts { self.accounts.first() } else { self.primary() }
    }

    pub(crate) fn trait_facts(&self) -> Vec<TraitFact> {
        let fact = |named: &Trait| TraitFact { r#trait: Some(named.clone()), at: Some(self.stamp.clone()) };
        self.traits.iter().map(fact).collect()
    }

    /// The account that the primary identifier asserts.
    pub(crate) fn assertion(&self) -> Option<Assertion> {
        let account = self.accounts.first().filter(|_| !self.people.is_empty())?;
        Some(Assertion { account: Some(account.clone()), at: Some(self.stamp.clone()) })
    }

    pub(crate) fn consent_fact(&self) -> Option<ConsentFact> {
        self.consent.map(|granted| ConsentFact { granted, at: Some(self.stamp.clone()) })
    }
}

/// News by the identifier they are about.
type News = BTreeMap<Hash128, Facts>;

impl Core {
    /// Handles an event at its primary identifier, or a version at its milestone.
    pub(crate) fn event(&mut self, cx: &mut Context<'_>, event: Event) -> Result<(), StateError> {
        if let Some(What::Milestone(version)) = &event.body {
            return self.version(cx, &event, version);
        }
        let said = Statement::of(&event);
        let Some(primary) = said.primary() else { return Ok(()) };
        let mut node = self.meet(cx, primary)?;
        let mut news = News::new();
        let own = self.own_news(cx, &mut node, &said, &mut news)?;
        let steady = own == Facts::default() && node.state.placement.is_some() && self.dirty.is_empty();
        self.report(cx, &mut node, own)?;
        for facts in news.into_values() {
            let about = facts.about.clone().unwrap_or_default();
            self.tell(cx, &about, Body::Facts(facts));
        }
        let hash = node.hash;
        if let Some(What::Touch(touch)) = event.body {
            let touch = item::What::Touch(StoredTouch { event_id: event.event_id, time_ms: event.time_ms, touch: Some(touch) });
            if steady {
                pass_from(cx, &mut node, touch);
            } else {
                self.bring(cx, hash, touch);
            }
        }
        node.save(cx.state);
        Ok(())
    }

    /// Notes at the primary identifier what the event says; returns what is new about the primary itself, and adds what is new about
    /// others to `news`.
    fn own_news(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        said: &Statement<'_>,
        news: &mut News,
    ) -> Result<Facts, StateError> {
        let mut own = Facts::default();
        if said.word != Some(false) && merge_earliest(&mut node.state.earliest_ms, Some(said.time_ms)) {
            node.touch(true);
            own.earliest_ms = Some(said.time_ms);
        }
        if merge_assertion(&mut node.state.assertion, said.assertion().as_ref()) {
            node.touch(true);
            own.assertion = said.assertion();
        }
        if merge_consent(&mut node.state.consent, said.consent_fact().as_ref()) {
            node.touch(true);
            own.consent = said.consent_fact();
        }
        self.trait_news(cx, node, said, &mut own, news)?;
        self.link_news(cx, node, said.people, said, &mut own, news)?;
        if said.links_accounts {
            self.link_news(cx, node, said.accounts, said, &mut own, news)?;
        }
        // Accounts that the event links are told when they were seen with their links.
        if !said.people.is_empty() || !said.links_accounts {
            for account in said.accounts.iter().filter(|account| **account != node.identifier) {
                if node.add_account_report(cx.state, account.hash(), said.time_ms)? {
                    merge_earliest(&mut about(news, account).earliest_ms, Some(said.time_ms));
                }
            }
        }
        Ok(own)
    }

    fn trait_news(
        &mut self,
        cx: &mut Context<'_>,
        node: &Node,
        said: &Statement<'_>,
        own: &mut Facts,
        news: &mut News,
    ) -> Result<(), StateError> {
        let Some(bearer) = said.bearer().filter(|_| !said.traits.is_empty()) else { return Ok(()) };
        if *bearer != node.identifier {
            about(news, bearer).traits = said.trait_facts();
            return Ok(());
        }
        for fact in said.trait_facts() {
            if node.add_trait(cx.state, &fact)? {
                own.traits.push(fact);
            }
        }
        Ok(())
    }

    fn link_news(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        group: &[Identifier],
        said: &Statement<'_>,
        own: &mut Facts,
        news: &mut News,
    ) -> Result<(), StateError> {
        for (at, a) in group.iter().enumerate() {
            for b in group.iter().skip(at + 1) {
                let link = said.link(a, b);
                let mine = *a == node.identifier || *b == node.identifier;
                let new = if mine { node.add_link(cx.state, &link, &self.rules)? } else { node.add_report(cx.state, &link)? };
                if !new {
                    continue;
                }
                for end in [a, b] {
                    let facts = if *end == node.identifier { &mut *own } else { about(news, end) };
                    facts.links.push(link.clone());
                    if *end != node.identifier {
                        merge_earliest(&mut facts.earliest_ms, link.earliest_ms);
                    }
                }
            }
        }
        Ok(())
    }

    /// Handles news at the identifier they are about, or on their way up from it.
    pub(crate) fn facts(&mut self, cx: &mut Context<'_>, to: &Identifier, facts: Facts) -> Result<(), StateError> {
        let mut node = self.meet(cx, to)?;
        let facts = if facts.about.as_ref() == Some(to) { self.sift(cx, &mut node, facts)? } else { facts };
        self.report(cx, &mut node, facts)?;
        node.save(cx.state);
        Ok(())
    }

    /// Keeps of the facts about an identifier what is news to it.
    fn sift(&mut self, cx: &mut Context<'_>, node: &mut Node, said: Facts) -> Result<Facts, StateError> {
        let mut news = Facts::default();
        if merge_earliest(&mut node.state.earliest_ms, said.earliest_ms) {
            node.touch(true);
            news.earliest_ms = said.earliest_ms;
        }
        if merge_assertion(&mut node.state.assertion, said.assertion.as_ref()) {
            node.touch(true);
            news.assertion = said.assertion;
        }
        if merge_consent(&mut node.state.consent, said.consent.as_ref()) {
            node.touch(true);
            news.consent = said.consent;
        }
        for fact in said.traits {
            if node.add_trait(cx.state, &fact)? {
                news.traits.push(fact);
            }
        }
        for link in said.links {
            if node.add_link(cx.state, &link, &self.rules)? {
                news.links.push(link);
            }
        }
        Ok(news)
    }
}

/// The news about an identifier, to be added to.
fn about<'a>(news: &'a mut News, identifier: &Identifier) -> &'a mut Facts {
    news.entry(identifier.hash()).or_insert_with(|| Facts { about: Some(identifier.clone()), ..Facts::default() })
}

/// Merges a link into a list that holds each pair once.
pub(crate) fn collect_link(links: &mut Vec<LinkFact>, said: LinkFact) {
    match links.iter_mut().find(|known| known.a == said.a && known.b == said.b) {
        Some(known) => {
            merge_link(known, &said);
        }
        None => links.push(said),
    }
}
