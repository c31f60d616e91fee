//! The settings, checked and compiled: what the attributor computes with.

mod compile;
mod factors;
mod model;
mod sets;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tributary_proto::kind::Kinds;
use tributary_proto::{Hash128, Milestone};
use tributary_runtime::config::{Problems, Section};

use crate::apportion;
use crate::classifier::Classifier;
use crate::funnel;
use crate::journey::{Journey, JourneyRules, VisitRules, WindowMs};
use crate::models::{Model, Multipliers, Rationale, Split};
use crate::rates::Rates;
use crate::settings::{OutputSettings, Settings};

const DAY_MS: i64 = 86_400_000;
/// The most days in a setting.
const DAYS_MAX: u32 = 36_500;

/// A model, compiled from its settings.
#[derive(Debug)]
pub struct PlannedModel {
    /// Its name in credit updates.
    pub name: String,
    /// Eight hex digits of the xxh3-128 of everything that decides its weights: type, parameters, multipliers, windows, visits, longest
    /// journey and split. The same settings have the same version on every machine; different ones have different versions.
    pub version: String,
    /// The rule that gives the weights.
    pub rule: Box<dyn Model>,
    /// Factors on the rule's weights.
    pub multipliers: Multipliers,
    /// Fixed parts for sides of a journey.
    pub split: Option<Split>,
    /// A window of its own, within that of the milestone.
    pub window: Option<WindowMs>,
    /// The time zone in which months begin.
    zone: TimeZone,
}

impl PlannedModel {
    /// The share of each touch of a journey, in billionths; `None` if no touch is in the window.
    pub fn shares(&self, journey: &Journey<'_>, of: &Milestone) -> Option<Vec<u64>> {
        let Some(start_ms) = self.start_ms(journey) else {
            return (!journey.touches.is_empty()).then(|| self.shared_out(journey, of));
        };
        let (narrowed, kept) = journey.part(|touch| touch.view.time_ms >= start_ms);
        let shares = (!kept.is_empty()).then(|| self.shared_out(&narrowed, of))?;
        Some(at_places(journey.touches.len(), kept.into_iter().zip(shares)))
    }

    fn start_ms(&self, journey: &Journey<'_>) -> Option<i64> {
        Some(self.window?.start_ms(journey.milestone_time_ms, journey.won_before_ms, &self.zone))
    }

    fn shared_out(&self, journey: &Journey<'_>, of: &Milestone) -> Vec<u64> {
        let Some(split) = &self.split else { return apportion::nano(&self.weights(journey, of)) };
        let sides = split.parts(&journey.touches).into_iter().flat_map(|(side, nano)| {
            let (alone, kept) = journey.part(|touch| split.side(touch) == side);
            kept.into_iter().zip(apportion::nano_of(&self.weights(&alone, of), nano))
        });
        at_places(journey.touches.len(), sides)
    }

    fn weights(&self, journey: &Journey<'_>, of: &Milestone) -> Vec<u128> {
        self.multipliers.apply(journey, of, self.rule.weigh(journey))
    }

    /// Why the touch at this position of a journey has the credit it has.
    pub fn rationale(&self, journey: &Journey<'_>, of: &Milestone, at: usize) -> Rationale {
        let start_ms = self.start_ms(journey).unwrap_or(i64::MIN);
        let Some(touch) = journey.touches.get(at) else { return Rationale::default() };
        let side = self.split.as_ref().map(|split| (split, split.side(touch)));
        let (alone, kept) =
            journey.part(|other| other.view.time_ms >= start_ms && side.is_none_or(|(split, side)| split.side(other) == side));
        let Ok(place) = kept.binary_search(&at) else { return Rationale::default() };
        let mut rationale = self.rule.rationale(&alone, place);
        if rationale.words.is_empty() {
            rationale.words.push_str("the model singles out no touch of this journey: equal parts");
        }
        if let Some((split, side)) = side {
            rationale.words += &format!("; among the touches of {:?}, which have a part of their own", split.name(side));
        }
        rationale.words += &self.multipliers.words(&alone, of, touch);
        rationale
    }
}

/// A list of `count` shares: these at their positions, 0 elsewhere.
fn at_places(count: usize, shares: impl Iterator<Item = (usize, u64)>) -> Vec<u64> {
    let mut all = vec![0; count];
    for (place, share) in shares {
        if let Some(slot) = all.get_mut(place) {
            *slot = share;
        }
    }
    all
}

#[derive(Debug)]
struct KindPlan {
    models: Option<Vec<usize>>,
    window: Option<WindowMs>,
}

/// The settings of attribution, checked and compiled.
#[derive(Debug)]
pub struct Plan {
    /// Which hits form one visit.
    pub visits: VisitRules,
    /// Most touches of a journey.
    pub max_journey: usize,
    /// The step in which units update the time of the newest touch, milliseconds: whole days, about a twenty-fourth of the horizon. So an
    /// identifier that stays active is seldom checked for old touches.
    pub step_ms: i64,
    /// Most bytes of a message between actors: larger ones are sent in parts. Not a setting; tests make it small.
    pub message_bytes_max: usize,
    /// Cost of computing milestones, in records handled, above which a unit is throttled, and a step of computing all units ends. Not a
    /// setting; tests make it small.
    pub rest_after: u64,
    /// The first 8 bytes of a hash of all settings. A digest that changes for no reason costs a pass over the units, but changes no result.
    pub digest: u64,
    /// Whether only touches of people named in the deal count, if it names anybody.
    pub named_only: bool,
    /// Whether roles in deals change any credit.
    pub uses_roles: bool,
    /// Which output topics are written beside `credits`.
    pub outputs: OutputSettings,
    /// Milestone kinds that a model uses, `lead` first.
    pub stages: Vec<String>,
    window: WindowMs,
    zone: TimeZone,
    /// How far back a journey reads: the longest window of any kind, plus a day and a session gap, because earlier hits decide which hits
    /// in the window continue a visit.
    longest_ms: i64,
    /// Whether the window of any kind is a life cycle.
    lifecycles: bool,
    horizon_ms: i64,
    /// The longest window of any kind.
    window_max_ms: i64,
    models: Vec<PlannedModel>,
    kinds: BTreeMap<String, KindPlan>,
    milestone_kinds: Kinds,
    /// Rates to the reporting currency, if one is set.
    pub rates: Option<Rates>,
    /// The channel rules, if touches classified by other rules are to be classified again.
    pub(crate) classifier: Option<Arc<dyn Classifier>>,
}

impl Plan {
    /// Checks and compiles the settings.
    ///
    /// # Errors
    /// All errors of the settings together.
    pub fn compile(settings: &Settings, kinds: &Kinds) -> Result<Self, Problems> {
        settings.compiled(kinds)
    }

    /// The version of the channel rules by which touches are classified again; 0 if they are not.
    pub(crate) fn channel_rules(&self) -> u32 {
        self.classifier.as_ref().map_or(0, |classifier| classifier.rules())
    }

    /// With channel rules, by which touches are classified again that other rules classified. Changed rules count as changed settings.
    #[must_use]
    pub fn with_classifier(self, classifier: Arc<dyn Classifier>) -> Self {
        let decides = [&self.digest.to_be_bytes()[..], &classifier.rules().to_be_bytes()[..]].concat();
        Self { digest: Hash128::of(&decides).head(), classifier: Some(classifier), ..self }
    }

    /// The models computed for milestones of this kind, in the order of the settings.
    pub fn models_of(&self, kind: &str) -> impl Iterator<Item = &PlannedModel> {
        let chosen = self.kinds.get(kind).and_then(|plan| plan.models.as_deref());
        let all = if chosen.is_none() { self.models.as_slice() } else { &[] };
        all.iter().chain(chosen.unwrap_or_default().iter().filter_map(|at| self.models.get(*at)))
    }

    /// The rules for journeys to milestones of this kind.
    pub fn journey(&self, kind: &str) -> JourneyRules<'_> {
        JourneyRules {
            window: self.window(kind),
            look_back_ms: self.longest_ms,
            zone: &self.zone,
            stages: &self.stages,
            max_journey: self.max_journey,
        }
    }

    /// When the window of a milestone begins.
    pub fn window_start_ms(&self, of: &Milestone, live: &[&Milestone]) -> i64 {
        self.window(&of.kind).start_ms(of.time_ms, funnel::last_won_before(of, live), &self.zone)
    }

    /// The furthest that journeys to milestones of this kind can reach back, milliseconds.
    pub fn window_ms(&self, kind: &str) -> i64 {
        self.window(kind).longest_ms()
    }

    /// The window of milestones of this kind.
    fn window(&self, kind: &str) -> WindowMs {
        self.kinds.get(kind).and_then(|plan| plan.window).unwrap_or(self.window)
    }

    /// The earliest time of a touch that can matter to milestones at `time_ms` or later. Copies of events before it are not read, and a
    /// visit of more than a day may be taken for several there.
    pub fn reach_ms(&self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(self.longest_ms)
    }

    /// Milestones of a unit before this time are beyond the horizon, if the unit's newest touch is at `newest_ms`.
    pub fn horizon_ms(&self, newest_ms: i64) -> i64 {
        newest_ms.saturating_sub(self.horizon_ms)
    }

    /// Touches before this time are in no journey to a milestone within the horizon, if the newest touch of the identifier that brought
    /// them is at `newest_ms`.
    pub fn out_of_reach_ms(&self, newest_ms: i64) -> i64 {
        self.reach_ms(self.horizon_ms(newest_ms))
    }

    /// `time_ms` rounded down to [`Self::step_ms`].
    pub fn step_before(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.step_ms).saturating_mul(self.step_ms)
    }

    /// Whether a change of a milestone of kind `stage` can change the credit of one of kind `of`.
    pub fn looks_at(&self, of: &str, stage: &str) -> bool {
        stage != funnel::CLOSED_WON
            || self.lifecycles
            || funnel::follows_the_win(of)
            || self.stages.iter().any(|kind| kind == stage)
    }

    /// Whether milestones of this kind can change the credit of other ones.
    pub fn is_stage(&self, kind: &str) -> bool {
        kind == funnel::MQL || kind == funnel::CLOSED_WON || self.stages.iter().any(|stage| stage == kind)
    }

    /// The longest window of any kind, and how far back from the newest touch journeys within the horizon can reach: milliseconds.
    pub fn window_and_reach_ms(&self) -> (i64, i64) {
        (self.window_max_ms, self.window_max_ms + self.horizon_ms)
    }

    /// The models' names and versions.
    pub fn versions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.models.iter().map(|model| (model.name.as_str(), model.version.as_str()))
    }

    /// The milestone kinds in force: the built-in ones, then the custom ones.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.milestone_kinds.milestones()
    }
}
