//! An event arrives at its primary identifier: what is new in it is claimed of those it names.
//!
//! In the steady state nothing is new, and an event costs one look-up of the primary, one of its mention, and one output.

use tributary_proto::event::Body as What;
use tributary_proto::identity_message::Body;
use tributary_proto::{
    Assertion, Claim, ConsentFact, Event, Hash128, Identifier, LinkFact, Mention, Sighting, Stamp, StoredTouch, Trait,
    TraitFact, Word, item,
};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::{Core, pass_from};
use crate::facts::{merge_assertion, merge_consent, merge_word};
use crate::mention::{bearer, first_seen, is_void, see};
use crate::metrics;
use crate::node::{Node, short};

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

/// What an event has changed of what is kept of its mention.
#[derive(Default)]
struct News {
    /// The mention is new, or is seen earlier than before.
    seen: bool,
    word: bool,
    assertion: bool,
    consent: bool,
    traits: Vec<TraitFact>,
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

    /// The hash of the set of identifiers named; `None` where there is but one.
    pub(crate) fn mention(&self) -> Option<Hash128> {
        if self.people.len() + self.accounts.len() < 2 {
            return None;
        }
        let mut bytes = vec![u8::from(self.links_accounts), u8::from(self.is_apart())];
        for identifier in self.people {
            identifier.write_key(&mut bytes);
            bytes.push(0x1e);
        }
        bytes.push(0x1d);
        for identifier in self.accounts {
            identifier.write_key(&mut bytes);
            bytes.push(0x1e);
        }
        Some(Hash128::of(&bytes))
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

    fn consent_fact(&self) -> Option<ConsentFact> {
        self.consent.map(|granted| ConsentFact { granted, at: Some(self.stamp.clone()) })
    }

    fn word_said(&self) -> Option<Word> {
        self.word.map(|join| Word { join, at: Some(self.stamp.clone()) })
    }

    /// Whether it states that identifiers are not one. Such an event is no sighting of them.
    pub(crate) fn is_apart(&self) -> bool {
        self.word == Some(false)
    }

    /// Every identifier, people first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Identifier> {
        self.people.iter().chain(self.accounts)
    }

    /// The identifiers that the event states (or shows) to be one with this one.
    fn group_of(&self, identifier: &Identifier) -> &'a [Identifier] {
        if self.people.contains(identifier) {
            self.people
        } else if self.links_accounts {
            self.accounts
        } else {
            &[]
        }
    }

    /// The links of an identifier to the others of its group.
    pub(crate) fn links(&self, of: &Identifier, earliest_ms: Option<i64>, word: Option<&Word>) -> Vec<LinkFact> {
        if earliest_ms.is_none() && word.is_none() {
            return Vec::new();
        }
        let link = |other| {
            let ((a, _), (b, _)) = crate::keys::ordered(of, other);
            LinkFact { a: Some(a.clone()), b: Some(b.clone()), earliest_ms, word: word.cloned(), generation: 0 }
        };
        self.group_of(of).iter().filter(|other| *other != of).map(link).collect()
    }

    /// Who the traits are about.
    pub(crate) fn bearer(&self) -> Option<&'a Identifier> {
        bearer(self.people, self.accounts, self.links_accounts)
    }
}

impl Core {
    /// Handles an event at its primary identifier, or a version at its milestone.
    pub(crate) fn event(&mut self, cx: &mut Context<'_>, event: Event) -> Result<(), StateError> {
        if let Some(What::Milestone(version)) = &event.body {
            return self.version(cx, &event, version);
        }
        let said = Statement::of(&event);
        if let Some(What::Erase(_)) = &event.body {
            self.erase(cx, said.people, said.time_ms);
            return Ok(());
        }
        let Some(primary) = said.primary() else { return Ok(()) };
        let mut node = self.meet(cx, primary)?;
        let mention = said.mention();
        let Some(steady) = self.hear(cx, &mut node, mention, &said)? else {
            cx.outbox.observe(&metrics::ERASED, "event", 1);
            node.save(cx.state);
            return Ok(());
        };
        let steady = steady && node.state.placement.is_some() && self.dirty.is_empty();
        if let Some(What::Touch(touch)) = event.body {
            let mention = mention.map_or(0, short);
            let touch = StoredTouch { event_id: event.event_id, time_ms: event.time_ms, touch: Some(touch), mention };
            if steady {
                pass_from(cx, &mut node, item::What::Touch(touch));
            } else {
                self.bring(cx, node.identifier.clone(), item::What::Touch(touch));
            }
        }
        node.save(cx.state);
        Ok(())
    }

    /// Keeps of the event what is new, and claims it; returns whether nothing was, and `None` where the event is void.
    fn hear(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        mention: Option<Hash128>,
        said: &Statement<'_>,
    ) -> Result<Option<bool>, StateError> {
        let known = node.sighting(cx.state, mention)?;
        let new = known.is_none();
        let mut sighting = match known {
            Some(known) => known,
            None => Sighting { erased_ms: self.erased_of(cx, node, said.people)?, ..Sighting::default() },
        };
        if sighting.erased_ms.is_some_and(|until_ms| said.time_ms <= until_ms) {
            return Ok(None);
        }
        let before = if new { None } else { first_seen(&sighting) };
        let beside = !said.people.is_empty() && !said.accounts.is_empty();
        let changed = (!said.is_apart() || beside) && see(&mut sighting, said.time_ms);
        let mut news = News {
            seen: first_seen(&sighting) != before,
            word: merge_word(&mut sighting.word, said.word_said().as_ref()),
            assertion: merge_assertion(&mut sighting.assertion, said.assertion().as_ref()),
            consent: merge_consent(&mut sighting.consent, said.consent_fact().as_ref()),
            traits: Vec::new(),
        };
        for fact in said.trait_facts() {
            if node.add_mention_trait(cx.state, mention, &fact)? {
                news.traits.push(fact);
            }
        }
        if new && is_void(&sighting) && said.traits.is_empty() {
            return Ok(Some(true));
        }
        if let (true, Some(hash)) = (new, mention) {
            let (identifiers, account_identifiers) = (said.people.to_vec(), said.accounts.to_vec());
            let (links_accounts, apart) = (said.links_accounts, said.is_apart());
            let mention = Mention { identifiers, account_identifiers, links_accounts, apart };
            node.put_mention(cx.state, hash, &mention);
        }
        let told = new || news.seen || news.word || news.assertion || news.consent || !news.traits.is_empty();
        if changed || told {
            node.put_sighting(cx.state, mention, Some(sighting.clone()));
        }
        if told {
            self.claim_all(cx, node, said, &sighting, &news, new)?;
        }
        Ok(Some(!told))
    }

    /// Claims what is new: of the primary itself at once, of the others by message.
    fn claim_all(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        said: &Statement<'_>,
        sighting: &Sighting,
        news: &News,
        new: bool,
    ) -> Result<(), StateError> {
        let earliest_ms = first_seen(sighting).filter(|_| news.seen);
        let word = sighting.word.as_ref().filter(|_| news.word);
        for about in said.all() {
            let own = *about == node.identifier;
            let links = said.links(about, earliest_ms.filter(|_| !said.is_apart()), word);
            let seen_ms = earliest_ms.filter(|_| !said.is_apart() || !said.people.contains(about));
            let mut claim = Claim { earliest_ms: seen_ms, links, ..Claim::default() };
            if own && news.assertion {
                claim.assertion.clone_from(&sighting.assertion);
            }
            if own && news.consent {
                claim.consent.clone_from(&sighting.consent);
            }
            if said.bearer() == Some(about) {
                claim.traits.clone_from(&news.traits);
            }
            if own {
                let facts = self.take_in(cx, node, &claim)?;
                self.report(cx, node, facts)?;
            } else if new || claim != Claim::default() {
                self.claim_of(cx, node, about, claim)?;
            }
        }
        Ok(())
    }

    /// Tells an identifier what this one says of it.
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

    /// The latest erasure of any of these people, as far as the node has heard.
    fn erased_of(&self, cx: &mut Context<'_>, node: &Node, people: &[Identifier]) -> Result<Option<i64>, StateError> {
        let mut latest = None;
        for identifier in people {
            latest = latest.max(node.erased_ms(cx.state, identifier.hash())?);
        }
        Ok(latest)
    }
}
