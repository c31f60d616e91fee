//! The milestone actor decides the milestone from all its versions, and sends it to its anchor.
//!
//! It keeps the versions, so that the result is a function of their set (`standing.rs`): an amendment that arrives before its milestone is
//! not lost, and an erasure can remove what it voids.

pub(crate) mod standing;

use std::collections::BTreeMap;

use tributary_proto::identity_message::Body;
use tributary_proto::{
    Claim, Erased, Erasure, Event, Hash128, Identifier, Milestone, MilestoneState, MilestoneVersion, Observation, Reentry,
    Track, occurrence,
};
use tributary_runtime::stage::Context;
use tributary_runtime::state::{ActorKey, State, StateError, get_message, put_message};

use crate::contacts::strip;
use crate::core::Core;
use crate::days::Stated;
use crate::facts::trait_name;
use crate::identifier_set::{Mentioned, claim_about, counts, see};
use crate::keys;
use crate::metrics;
use crate::statement::{Statement, received_ms};
use crate::versions::{is_marked, object_of, standing, stored, version_key};
use standing::{Standing, occurrences};

impl Core {
    /// Handles a version of a milestone.
    pub(crate) fn version(
        &mut self,
        cx: &mut Context<'_>,
        event: &Event,
        version: &MilestoneVersion,
    ) -> Result<(), StateError> {
        let said = Statement::of(event);
        let id = version.milestone_id.as_str();
        let actor = keys::milestone(id);
        let erased_ms = erased_of(cx.state, &actor, said.people)?;
        if !counts(said.time_ms, erased_ms) {
            cx.outbox.observe(&metrics::ERASED, "version", 1);
            for about in said.people {
                if let Some(until_ms) = erased_of(cx.state, &actor, std::slice::from_ref(about))? {
                    cx.outbox.erase(about, until_ms);
                }
            }
            return Ok(());
        }
        let sub = version_key(event);
        let known: Option<Event> = get_message(cx.state, &actor, &sub)?;
        if known.is_some_and(|known| received_ms(&known) <= received_ms(event)) {
            return Ok(());
        }
        put_message(cx.state, &actor, &sub, event);
        if let Some(why) = standing::adjusted(version) {
            cx.outbox.observe(&metrics::AMOUNTS, why, 1);
        }
        let retracted = is_marked(cx.state, &actor, &said.stamp)?;
        let mentioned = mentioned(&said, erased_ms, retracted);
        for about in said.all() {
            if let Some(claim) = mentioned.claim(about) {
                self.tell_claim(cx, id, about, claim)?;
            }
        }
        self.tell_contacts(cx, id, &version.object_id, event, retracted);
        self.announce(cx, id, false)
    }

    /// Handles the erasure of an identifier that versions name.
    pub(crate) fn void_versions(&mut self, cx: &mut Context<'_>, message: &Erased) -> Result<(), StateError> {
        let Some(about) = &message.about else { return Ok(()) };
        let (id, until_ms) = (message.milestone_id.as_str(), message.until_ms);
        let actor = keys::milestone(id);
        let one = std::slice::from_ref(about);
        if erased_of(cx.state, &actor, one)?.is_some_and(|known| known >= until_ms) {
            return Ok(());
        }
        let erasure = Erasure { until_ms, ..Erasure::default() };
        put_message(cx.state, &actor, &keys::one(keys::ERASURE, about.hash()), &erasure);
        let mut affected: BTreeMap<Hash128, Identifier> = BTreeMap::new();
        let (mut left, mut voided) = (Vec::new(), false);
        for (sub, mut event) in stored(cx.state, &actor)? {
            if strip(&mut event, about, until_ms) {
                put_message(cx.state, &actor, &sub, &event);
            }
            let named = event.identifiers.contains(about);
            if named {
                let all = event.identifiers.iter().chain(&event.account_identifiers);
                affected.extend(all.map(|named| (named.hash(), named.clone())));
            }
            if named && !counts(event.time_ms, Some(until_ms)) {
                voided = true;
                cx.state.delete(&actor, &sub);
                if let Some(object_id) = object_of(&event) {
                    self.tell_contacts(cx, id, object_id, &event, true);
                }
            } else {
                left.push(event);
            }
        }
        self.claim_versions_anew(cx, id, &left, affected.values())?;
        if voided {
            cx.outbox.erase(about, until_ms);
            self.announce(cx, id, true)?;
        }
        Ok(())
    }

    /// Sends identifiers the claims of all versions about them.
    fn claim_versions_anew<'a>(
        &mut self,
        cx: &mut Context<'_>,
        milestone_id: &str,
        versions: &[Event],
        named: impl Iterator<Item = &'a Identifier>,
    ) -> Result<(), StateError> {
        let actor = keys::milestone(milestone_id);
        let mut identifier_sets = Vec::with_capacity(versions.len());
        for event in versions {
            let said = Statement::of(event);
            let (erased_ms, retracted) = (erased_of(cx.state, &actor, said.people)?, is_marked(cx.state, &actor, &said.stamp)?);
            identifier_sets.push(mentioned(&said, erased_ms, retracted));
        }
        for about in named {
            let all = claim_about(&identifier_sets, about);
            let nothing = all.is_none();
            self.tell_claim(cx, milestone_id, about, Claim { anew: true, nothing, ..all.unwrap_or_default() })?;
        }
        Ok(())
    }

    pub(crate) fn tell_claim(
        &mut self,
        cx: &mut Context<'_>,
        milestone_id: &str,
        about: &Identifier,
        claim: Claim,
    ) -> Result<(), StateError> {
        let erased_ms = erased_of(cx.state, &keys::milestone(milestone_id), std::slice::from_ref(about))?;
        let claim = Claim { about: Some(about.clone()), milestone_id: milestone_id.to_owned(), erased_ms, ..claim };
        self.tell(cx, about, Body::Claim(claim));
        Ok(())
    }

    /// Sends the milestone and its re-entries to their anchors, and to former anchors that they no longer belong to them.
    pub(crate) fn announce(&mut self, cx: &mut Context<'_>, milestone_id: &str, erased: bool) -> Result<(), StateError> {
        let actor = keys::milestone(milestone_id);
        let mut state: MilestoneState = get_message(cx.state, &actor, keys::NODE)?.unwrap_or_default();
        let versions = standing(cx.state, &actor)?;
        let (kind, object_id) = milestone_id.split_once(':').unwrap_or((milestone_id, ""));
        let occurrences = occurrences(&versions, self.rules.reentry_ms(kind));
        let mut told = told_of(&state);
        for number in occurrences.keys() {
            told.entry(*number).or_default();
        }
        let mut changed = false;
        for (number, told) in &mut told {
            let id = occurrence::id_of(milestone_id, *number);
            let standing = Standing::of(occurrences.get(number).map_or(&[], Vec::as_slice), self.rules.currency);
            let anchor = standing.anchor().cloned();
            let now = anchor.is_some().then(|| standing.milestone(&id, self.rules.currency));
            let former = told.told_anchor.clone().filter(|former| Some(former) != anchor.as_ref());
            if (former.is_none() && told.told == now) || (anchor.is_none() && former.is_none()) {
                continue;
            }
            state.stamp += u64::from(!changed);
            changed = true;
            let told_ms = told.told.as_ref().map(|told| told.time_ms);
            let track = |about: &Identifier, milestone: Option<Milestone>, before_ms: Option<i64>| {
                let (about, milestone_id) = (Some(about.clone()), id.clone());
                Body::Track(Track { about, stamp: state.stamp, milestone_id, milestone, erased, before_ms })
            };
            if let Some(former) = &former {
                // If no version is left, the anchor gets the milestone as withdrawn: its credit is taken back, and nothing else remains.
                let nothing = Milestone {
                    milestone_id: id.clone(),
                    kind: kind.to_owned(),
                    object_id: object_id.to_owned(),
                    currency: self.rules.currency.code().to_owned(),
                    time_ms: told_ms.unwrap_or_default(),
                    withdrawn: true,
                    gone: true,
                    ..Milestone::default()
                };
                self.tell(cx, former, track(former, anchor.is_none().then_some(nothing), told_ms));
            }
            if let Some(anchor) = &anchor {
                let before_ms = told_ms.filter(|_| former.is_none());
                self.tell(cx, anchor, track(anchor, now.clone(), before_ms));
            }
            (told.told_anchor, told.told) = (anchor, now);
        }
        if changed {
            let first = told.remove(&1).unwrap_or_default();
            (state.told_anchor, state.told) = (first.told_anchor, first.told);
            let reentry = |(occurrence, told): (u32, Reentry)| Reentry { occurrence, ..told };
            state.reentries = told.into_iter().filter(|(_, told)| told.told.is_some()).map(reentry).collect();
            put_message(cx.state, &actor, keys::NODE, &state);
        }
        Ok(())
    }
}

/// What was last sent of each occurrence.
pub(crate) fn told_of(state: &MilestoneState) -> BTreeMap<u32, Reentry> {
    let first = Reentry { occurrence: 1, told_anchor: state.told_anchor.clone(), told: state.told.clone() };
    let all = state.reentries.iter().cloned().chain([first]);
    all.map(|told| (told.occurrence, told)).collect()
}

/// The latest erasure of any of these people that the milestone has been notified of.
pub(crate) fn erased_of(state: &mut dyn State, actor: &ActorKey, people: &[Identifier]) -> Result<Option<i64>, StateError> {
    let mut latest = None;
    for identifier in people {
        let erasure: Option<Erasure> = get_message(state, actor, &keys::one(keys::ERASURE, identifier.hash()))?;
        latest = latest.max(erasure.map(|erasure| erasure.until_ms));
    }
    Ok(latest)
}

/// What a version claims about the identifiers it names.
fn mentioned(said: &Statement<'_>, erased_ms: Option<i64>, retracted: bool) -> Mentioned {
    let mut observation = Observation { erased_ms, by_day: true, ..Observation::default() };
    see(&mut observation, said.time_ms, said.received_ms);
    let mut traits = said.trait_facts();
    traits.sort_by(|a, b| trait_name(a).cmp(trait_name(b)));
    let asserts = said.stated().any(|what| what == Stated::Account);
    let accounts = asserts.then(|| said.day(retracted)).into_iter().collect();
    Mentioned {
        hash: said.identifier_set(),
        identifier_set: said.to_identifier_set(),
        observation,
        traits,
        accounts,
        gone: false,
    }
}
