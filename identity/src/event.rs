//! An event arrives at its primary identifier: what is new in it is claimed of those it names.
//!
//! In the steady state nothing is new, and an event costs one look-up of the primary, one of its mention, and one output.

use tributary_proto::event::Body as What;
use tributary_proto::identity_message::Body;
use tributary_proto::{
    Assertion, Claim, ConsentFact, Event, Hash128, Identifier, Mention, Sighting, Stamp, StoredTouch, Trait, TraitFact, Word,
    item,
};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::{Core, pass_from};
use crate::facts::{merge_assertion, merge_consent, merge_word};
use crate::mention::{Mentioned, counts, first_seen, is_void, see};
use crate::metrics;
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

    /// Adds what it says, traits aside, to what is kept of its mention.
    pub(crate) fn teach(&self, sighting: &mut Sighting) -> Learned {
        let beside = !self.people.is_empty() && !self.accounts.is_empty();
        Learned {
            sighting: (!self.is_apart() || beside) && see(sighting, self.time_ms),
            word: merge_word(&mut sighting.word, self.word_said().as_ref()),
            assertion: merge_assertion(&mut sighting.assertion, self.assertion().as_ref()),
            consent: merge_consent(&mut sighting.consent, self.consent_fact().as_ref()),
        }
    }

    /// The identifiers named, as they are kept.
    pub(crate) fn to_mention(&self) -> Mention {
        Mention {
            identifiers: self.people.to_vec(),
            account_identifiers: self.accounts.to_vec(),
            links_accounts: self.links_accounts,
            apart: self.is_apart(),
        }
    }
}

/// The browser or device that a digital event came from: see `Touch.device`.
fn device(people: &[Identifier]) -> u64 {
    let first = |kind: &str| people.iter().find(|identifier| identifier.kind == kind);
    first("anonymous_id").or_else(|| first("device_id")).map_or(0, |device| device.hash().head())
}

/// What an event has changed of a sighting.
pub(crate) struct Learned {
    /// Whether it is an earlier sighting, or one of a later hour.
    sighting: bool,
    word: bool,
    assertion: bool,
    consent: bool,
}

/// What came of an event that is not void.
struct Heard {
    /// Whether nothing of it was new.
    steady: bool,
    /// The latest erasure of anybody it names.
    erased_ms: Option<i64>,
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
        let Some(Heard { steady, erased_ms }) = self.hear(cx, &mut node, mention, &said)? else {
            cx.outbox.observe(&metrics::ERASED, "event", 1);
            self.void_event(cx, &node, said.people)?;
            node.save(cx.state);
            return Ok(());
        };
        let steady = steady && node.state.placement.is_some() && self.dirty.is_empty();
        let counts = counts(said.time_ms, erased_ms);
        if let Some(What::Touch(_)) = &event.body
            && !counts
        {
            cx.outbox.observe(&metrics::ERASED, "touch", 1);
        } else if let Some(What::Touch(mut touch)) = event.body {
            touch.device = if touch.digital { device(&event.identifiers) } else { 0 };
            let mention = mention.map_or(0, Hash128::head);
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

    /// Keeps of the event what is new, and claims it; `None` where the event is void.
    fn hear(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        mention: Option<Hash128>,
        said: &Statement<'_>,
    ) -> Result<Option<Heard>, StateError> {
        let known = node.sighting(cx.state, mention)?;
        let new = known.is_none();
        let mut sighting = match known {
            Some(known) => known,
            None => Sighting { erased_ms: node.erased_of(cx.state, said.people)?, ..Sighting::default() },
        };
        if sighting.erased_ms.is_some_and(|until_ms| said.time_ms <= until_ms) {
            return Ok(None);
        }
        let erased_ms = sighting.erased_ms;
        let before = if new { None } else { first_seen(&sighting) };
        let Learned { sighting: changed, word, assertion, consent } = said.teach(&mut sighting);
        let seen = first_seen(&sighting) != before;
        let mut traits = Vec::new();
        for fact in said.trait_facts() {
            if node.add_mention_trait(cx.state, mention, &fact)? {
                traits.push(fact);
            }
        }
        if new && is_void(&sighting) && said.traits.is_empty() {
            return Ok(Some(Heard { steady: true, erased_ms }));
        }
        let told = new || seen || word || assertion || consent || !traits.is_empty();
        if changed || told {
            node.put_sighting(cx.state, mention, Some(sighting.clone()));
        }
        if !told {
            return Ok(Some(Heard { steady: true, erased_ms }));
        }
        let news = Sighting {
            first_ms: sighting.first_ms.filter(|_| seen),
            latest_hour: sighting.latest_hour.filter(|_| seen),
            word: sighting.word.filter(|_| word),
            assertion: sighting.assertion.filter(|_| assertion),
            consent: sighting.consent.filter(|_| consent),
            ..sighting
        };
        let news = Mentioned { hash: mention, mention: said.to_mention(), sighting: news, traits };
        if let (true, Some(hash)) = (new, mention) {
            node.put_mention(cx.state, hash, &news.mention);
        }
        self.claim_all(cx, node, &news, new)?;
        Ok(Some(Heard { steady: false, erased_ms }))
    }

    /// Claims what is new: of the primary itself at once, of the others by message, and of those of a new mention in any case.
    fn claim_all(&mut self, cx: &mut Context<'_>, node: &mut Node, news: &Mentioned, new: bool) -> Result<(), StateError> {
        for about in news.all() {
            let Some(claim) = news.claim(about) else { continue };
            if *about == node.identifier {
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
}
