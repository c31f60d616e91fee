//! A milestone decides what it is from all its versions, and tells its anchor.
//!
//! Of every field the latest version that gives it wins, by (version time, event hash); so the milestone is a function of the set of
//! its versions, and an amendment that arrives before what it amends is not lost.

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{Event, Facts, Hash128, Identifier, Milestone, MilestoneState, MilestoneVersion, Register, Track};
use tributary_runtime::planted::planted;
use tributary_runtime::stage::Context;
use tributary_runtime::state::{StateError, get_message, put_message};

use crate::core::Core;
use crate::event::{Statement, collect_link};
use crate::facts::merge_earliest;
use crate::keys;

impl Core {
    /// Handles a version of a milestone.
    pub(crate) fn version(
        &mut self,
        cx: &mut Context<'_>,
        event: &Event,
        version: &MilestoneVersion,
    ) -> Result<(), StateError> {
        let said = Statement::of(event);
        self.spread(cx, &said);
        let actor = keys::milestone(&version.milestone_id);
        let known: Option<MilestoneState> = get_message(cx.state, &actor, keys::NODE)?;
        let mut state = known.unwrap_or_else(|| MilestoneState {
            kind: version.kind.clone(),
            object_id: version.object_id.clone(),
            earliest_ms: i64::MAX,
            ..MilestoneState::default()
        });
        if learn(&mut state, version, &said) {
            self.announce(cx, &version.milestone_id, &mut state);
            put_message(cx.state, &actor, keys::NODE, &state);
        }
        Ok(())
    }

    /// Tells the identifiers of the event what it says of them; each keeps what is news to it.
    fn spread(&mut self, cx: &mut Context<'_>, said: &Statement<'_>) {
        let mut news: BTreeMap<Hash128, Facts> = BTreeMap::new();
        for identifier in said.people.iter().chain(said.accounts) {
            let facts = news.entry(identifier.hash()).or_default();
            facts.about = Some(identifier.clone());
            facts.earliest_ms = Some(said.time_ms);
        }
        for (at, a) in said.people.iter().enumerate() {
            for b in said.people.iter().skip(at + 1) {
                for end in [a, b] {
                    if let Some(facts) = news.get_mut(&end.hash()) {
                        collect_link(&mut facts.links, said.link(a, b));
                    }
                }
            }
        }
        if let Some(facts) = said.primary().and_then(|primary| news.get_mut(&primary.hash())) {
            facts.assertion = said.assertion();
            facts.traits = said.trait_facts();
        }
        for facts in news.into_values() {
            let about = facts.about.clone().unwrap_or_default();
            self.tell(cx, &about, Body::Facts(facts));
        }
    }

    /// Tells the anchor how the milestone stands, and a former anchor that it is no longer his.
    fn announce(&mut self, cx: &mut Context<'_>, milestone_id: &str, state: &mut MilestoneState) {
        let Some(anchor) = state.anchor.as_ref().and_then(|register| register.identifier.clone()) else { return };
        let now = stands(milestone_id, state);
        let former = state.told_anchor.clone().filter(|former| *former != anchor);
        if former.is_none() && state.told.as_ref() == Some(&now) {
            return;
        }
        state.stamp += u64::from(!planted("stamp_not_raised"));
        let track = |about: &Identifier, milestone: Option<Milestone>| {
            Body::Track(Track {
                about: Some(about.clone()),
                stamp: state.stamp,
                milestone_id: milestone_id.to_owned(),
                milestone,
            })
        };
        if let Some(former) = former.as_ref().filter(|_| !planted("former_anchor_not_told")) {
            self.tell(cx, former, track(former, None));
        }
        self.tell(cx, &anchor, track(&anchor, Some(now.clone())));
        state.told_anchor = Some(anchor);
        state.told = Some(now);
    }
}

/// The milestone as its versions have it.
fn stands(milestone_id: &str, state: &MilestoneState) -> Milestone {
    Milestone {
        milestone_id: milestone_id.to_owned(),
        kind: state.kind.clone(),
        object_id: state.object_id.clone(),
        time_ms: state.occurred_at.as_ref().map_or(state.earliest_ms, |register| register.number),
        value_minor: state.value.as_ref().map_or(0, |register| register.number),
        currency: state.value.as_ref().map_or(String::new(), |register| register.text.clone()),
        withdrawn: state.withdrawn.as_ref().is_some_and(|register| register.number != 0),
    }
}

/// Adds a version; returns whether anything was news.
fn learn(state: &mut MilestoneState, version: &MilestoneVersion, said: &Statement<'_>) -> bool {
    let at = Some(said.stamp.clone());
    let mut earliest = Some(state.earliest_ms);
    let earlier = merge_earliest(&mut earliest, Some(said.time_ms));
    state.earliest_ms = earliest.unwrap_or(said.time_ms);
    let occurred = version.occurred_at_ms.map(|number| Register { at: at.clone(), number, ..Register::default() });
    let value =
        version.value_minor.map(|number| Register { at: at.clone(), number, text: version.currency.clone(), identifier: None });
    let withdrawn = Register { at: at.clone(), number: i64::from(version.withdrawn), ..Register::default() };
    let anchor = said.accounts.first().or(said.people.first());
    let anchor = anchor.map(|identifier| Register { at, identifier: Some(identifier.clone()), ..Register::default() });
    latest(&mut state.occurred_at, occurred)
        | latest(&mut state.value, value)
        | latest(&mut state.withdrawn, Some(withdrawn))
        | latest(&mut state.anchor, anchor)
        | earlier
}

/// Keeps the later statement; of two under one event id, the greater content.
fn latest(known: &mut Option<Register>, said: Option<Register>) -> bool {
    fn key(of: &Register) -> impl Ord {
        let identifier = of.identifier.as_ref().map(Identifier::key);
        (of.at.as_ref().map(|at| (at.time_ms, at.event_hash.clone())), of.number, of.text.clone(), identifier)
    }
    let Some(said) = said else { return false };
    if known.as_ref().is_some_and(|known| key(known) >= key(&said)) && !planted("version_by_arrival") {
        return false;
    }
    *known = Some(said);
    true
}
