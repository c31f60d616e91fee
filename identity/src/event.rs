//! An event arrives at its primary identifier, which sends claims about new facts to the identifiers that the event names.
//!
//! In the steady state nothing is new, and an event costs one look-up of the primary, one of its identifier set, and one output.

use tributary_proto::event::Body as What;
use tributary_proto::{
    Claim, Day, DayAssertion, Erase, Event, Facts, Hash128, Identifier, Observation, StoredTouch, TraitFact, item,
};
use tributary_runtime::stage::Context;
use tributary_runtime::state::StateError;

use crate::core::Core;
use crate::days::{Stated, day_of};
use crate::identifier_set::{Mentioned, asserted, counts, firsts, is_alone, see};
use crate::metrics;
use crate::node::Node;
use crate::stamp::stamp_key;
use crate::statement::Statement;
use crate::units::pass_from;

/// The browser or device that a digital event came from: see `Touch.device`.
fn device(people: &[Identifier]) -> u64 {
    let first = |kind: &str| people.iter().find(|identifier| identifier.kind == kind);
    first("anonymous_id").or_else(|| first("device_id")).map_or(0, |device| device.hash().head())
}

/// The result of an event that is not void.
struct Heard {
    /// Whether nothing of it was new.
    steady: bool,
    /// The latest erasure of any identifier it names.
    erased_ms: Option<i64>,
}

/// What an event has changed of an identifier set.
#[derive(Default)]
struct Changed {
    /// The first time seen or received.
    seen: bool,
    explicit: bool,
    consent: bool,
    /// The CRM's statement that the account exists, or is deleted.
    exists: bool,
    /// Whether the account was deleted or restored by it.
    turned: bool,
    /// Whether an earlier claim became invalid, so that all claims have to be sent again: the latest explicit link or consent is now an
    /// earlier one, or on the day of an erasure another assertion is the last.
    anew: bool,
    /// The day of the account that is asserted.
    account: Option<Day>,
    traits: Vec<TraitFact>,
}

impl Changed {
    fn nothing(&self) -> bool {
        !(self.seen || self.explicit || self.consent || self.exists || self.account.is_some()) && self.traits.is_empty()
    }
}

impl Core {
    /// Handles an event at its primary identifier, or at the milestone or the object that it is about.
    pub(crate) fn event(&mut self, cx: &mut Context<'_>, event: Event) -> Result<(), StateError> {
        self.tell_record(cx, &event);
        match &event.body {
            Some(What::Milestone(version)) => return self.version(cx, &event, version),
            Some(What::ObjectContacts(of)) => return self.object_contacts(cx, &event, &of.object_id),
            Some(What::Retract(retract)) => return self.take_back(cx, &event, retract),
            _ => {}
        }
        let said = Statement::of(&event);
        if let Some(What::Erase(Erase { person })) = &event.body {
            self.erase(cx, said.people, said.time_ms, if *person { &event.event_id } else { "" });
            return Ok(());
        }
        let Some(primary) = said.primary() else { return Ok(()) };
        let mut node = self.meet(cx, primary)?;
        let identifier_set = said.identifier_set();
        let retracted = node.has_retracted(&said.stamp);
        let Some(Heard { steady, erased_ms }) = self.hear(cx, &mut node, identifier_set, &said, retracted)? else {
            cx.outbox.observe(&metrics::ERASED, "event", 1);
            self.void_event(cx, &node, said.people)?;
            self.nodes.keep(node);
            return Ok(());
        };
        let steady = steady && node.state.placement.is_some() && self.dirty.is_empty();
        let counts = counts(said.time_ms, erased_ms);
        if let Some(What::Touch(_)) = &event.body
            && (!counts || retracted)
        {
            let why = if retracted { "retracted" } else { "touch" };
            cx.outbox.observe(&metrics::ERASED, why, 1);
        } else if let Some(What::Touch(mut touch)) = event.body {
            touch.device = if touch.digital { device(&event.identifiers) } else { 0 };
            let identifier_set = identifier_set.head();
            let origin = touch.origin.take();
            let touch =
                StoredTouch { event_id: event.event_id, time_ms: event.time_ms, touch: Some(touch), identifier_set, origin };
            if steady {
                pass_from(cx, &mut node, item::What::Touch(touch));
            } else {
                self.bring(cx, node.identifier.clone(), item::What::Touch(touch));
            }
        }
        self.nodes.keep(node);
        Ok(())
    }

    /// Stores what is new of the event, and claims it; `None` if the event is void.
    fn hear(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        identifier_set: Hash128,
        said: &Statement<'_>,
        retracted: bool,
    ) -> Result<Option<Heard>, StateError> {
        let known = node.observation(cx.state, identifier_set)?;
        let new = known.is_none();
        let mut observation = match known {
            Some(known) => known,
            None => Observation { erased_ms: node.erased_of(cx.state, said.people)?, by_day: true, ..Observation::default() },
        };
        let erased_ms = observation.erased_ms;
        if erased_ms.is_some_and(|until_ms| said.time_ms <= until_ms) {
            return Ok(None);
        }
        let before = if new { (None, None) } else { firsts(&observation) };
        let migrated = !observation.by_day;
        node.by_day(cx.state, identifier_set, &mut observation)?;
        let later = said.is_observation() && see(&mut observation, said.time_ms, said.received_ms);
        let mut changed = self.states(cx, node, identifier_set, (said, retracted), &mut observation)?;
        changed.seen = firsts(&observation) != before;
        if let (true, Some(day)) = (retracted, &changed.account) {
            self.report_hidden(cx, node, said, day)?;
        }
        let states = !retracted && said.stated().next().is_some();
        let says_nothing = observation.latest_hour.is_none() && !states && said.traits.is_empty();
        if new && says_nothing {
            return Ok(Some(Heard { steady: true, erased_ms }));
        }
        let told = new || !changed.nothing();
        if later || told || migrated {
            node.put_observation(cx.state, identifier_set, Some(observation.clone()));
        }
        if !told {
            return Ok(Some(Heard { steady: true, erased_ms }));
        }
        let gone = node.is_gone(cx.state)?;
        // The explicit link also brings back what the deletion of the account had hidden.
        changed.anew |= gone && changed.explicit;
        let hidden = gone && observation.explicit.is_none();
        let news = Observation {
            first_ms: observation.first_ms.filter(|_| changed.seen),
            received_ms: observation.received_ms.filter(|_| changed.seen),
            latest_hour: observation.latest_hour.filter(|_| changed.seen),
            explicit: observation.explicit.filter(|_| changed.explicit),
            consent: observation.consent.filter(|_| changed.consent),
            ..observation
        };
        let accounts = changed.account.take().into_iter().collect();
        let traits = std::mem::take(&mut changed.traits);
        let news = Mentioned {
            hash: identifier_set,
            identifier_set: said.to_identifier_set(),
            observation: news,
            traits,
            accounts,
            gone: hidden,
        };
        if new && !is_alone(identifier_set) {
            node.put_identifier_set(cx.state, identifier_set, &news.identifier_set);
        }
        self.claim_news(cx, node, &news, &changed, new)?;
        Ok(Some(Heard { steady: false, erased_ms }))
    }

    /// Claims what an event has changed.
    fn claim_news(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        news: &Mentioned,
        changed: &Changed,
        new: bool,
    ) -> Result<(), StateError> {
        if changed.turned {
            self.claim_records_anew(cx, node)
        } else if changed.anew {
            self.claim_all_anew(cx, node, news.all())
        } else {
            self.claim_all(cx, node, news, new)
        }
    }

    /// An account was deleted or restored: sends the claims of its records about others again.
    pub(crate) fn claim_records_anew(&mut self, cx: &mut Context<'_>, node: &mut Node) -> Result<(), StateError> {
        let identifier_sets = node.identifier_sets(cx.state)?;
        let named: Vec<Identifier> =
            identifier_sets.iter().filter(|of| of.is_of_account()).flat_map(Mentioned::all).cloned().collect();
        self.claim_all_anew(cx, node, named.iter())
    }

    /// The event that asserted an account had been retracted. It does not count, but as an end of its day it hides what was asserted
    /// between: the root must get it even if nothing else is new.
    fn report_hidden(
        &mut self,
        cx: &mut Context<'_>,
        node: &mut Node,
        said: &Statement<'_>,
        day: &Day,
    ) -> Result<(), StateError> {
        let account = asserted(&said.to_identifier_set()).cloned();
        let assertion = DayAssertion { account, day: Some(day.clone()), ..DayAssertion::default() };
        self.report(cx, node, Facts { assertions: vec![assertion], ..Facts::default() })
    }

    /// Stores what the event states, apart from the observation.
    fn states(
        &mut self,
        cx: &mut Context<'_>,
        node: &Node,
        identifier_set: Hash128,
        (said, retracted): (&Statement<'_>, bool),
        observation: &mut Observation,
    ) -> Result<Changed, StateError> {
        let mut changed = Changed::default();
        let was_gone = said.exists.is_some() && node.is_gone(cx.state)?;
        for what in said.stated() {
            let day = said.day(retracted);
            if !node.note(cx.state, identifier_set, what, &day, observation.erased_ms)? {
                continue;
            }
            match what {
                Stated::Account => {
                    let last_of_day = observation.erased_ms.map(day_of) == Some(day_of(said.time_ms));
                    changed.anew |= last_of_day;
                    changed.account = Some(day);
                }
                Stated::Joined | Stated::Apart => {
                    let explicit = node.explicit(cx.state, identifier_set)?;
                    changed.explicit = explicit != observation.explicit;
                    let at = (
                        explicit.as_ref().and_then(|now| now.at.as_ref()),
                        observation.explicit.as_ref().and_then(|known| known.at.as_ref()),
                    );
                    changed.anew |= stamp_key(at.0) < stamp_key(at.1);
                    observation.explicit = explicit;
                }
                Stated::Here | Stated::Gone => {
                    changed.exists = true;
                    changed.turned = node.is_gone(cx.state)? != was_gone;
                }
                Stated::Granted | Stated::Revoked => {
                    let consent = node.consent(cx.state, identifier_set)?;
                    changed.consent = consent != observation.consent;
                    let at = (
                        consent.as_ref().and_then(|now| now.at.as_ref()),
                        observation.consent.as_ref().and_then(|known| known.at.as_ref()),
                    );
                    changed.anew |= stamp_key(at.0) < stamp_key(at.1);
                    observation.consent = consent;
                }
            }
        }
        for fact in said.trait_facts() {
            if node.add_mention_trait(cx.state, identifier_set, &fact)? {
                changed.traits.push(fact);
            }
        }
        Ok(changed)
    }

    /// Claims what is new: for the primary identifier directly, for the others by message. For a new identifier set there is always a
    /// message.
    fn claim_all(&mut self, cx: &mut Context<'_>, node: &mut Node, news: &Mentioned, new: bool) -> Result<(), StateError> {
        for about in news.all() {
            let Some(claim) = news.claim(about) else { continue };
            if *about == node.identifier {
                self.learn_of_itself(cx, node, &claim)?;
            } else if new || claim != Claim::default() {
                self.claim_of(cx, node, about, claim)?;
            }
        }
        Ok(())
    }
}
