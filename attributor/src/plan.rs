//! The settings, checked and made usable: what the attributor computes with.

mod compile;
mod model;

use std::collections::BTreeMap;

use tributary_proto::kind::Kinds;
use tributary_runtime::config::{Problems, Section};

use crate::journey::{Journey, JourneyRules, VisitRules, WindowMs};
use crate::models::{Basis, Model, Multipliers};
use crate::moments;
use crate::settings::Settings;

const DAY_MS: i64 = 86_400_000;

/// A model, ready to compute.
#[derive(Debug)]
pub struct PlannedModel {
    /// Its name in the credit updates.
    pub name: String,
    /// Eight hex digits of the xxh3-128 of all that decides its weights: type, parameters, multipliers, window, visits and longest
    /// journey. The same settings have the same version on every machine; different ones have different versions.
    pub version: String,
    /// Its rule.
    pub rule: Box<dyn Model>,
    /// Factors on the rule's weights.
    pub multipliers: Multipliers,
}

impl PlannedModel {
    /// Why the touch at this position of a journey has the credit it has.
    pub fn basis(&self, journey: &Journey<'_>, at: usize) -> Basis {
        let mut basis = self.rule.basis(journey, at);
        if basis.words.is_empty() {
            basis.words.push_str("the model singles out no touch of this journey: equal parts");
        }
        if let Some(touch) = journey.touches.get(at) {
            basis.words += &self.multipliers.words(touch);
        }
        basis
    }
}

#[derive(Debug)]
struct KindPlan {
    models: Option<Vec<usize>>,
    window: Option<WindowMs>,
}

/// The settings, checked.
#[derive(Debug)]
pub struct Plan {
    /// What makes hits one visit.
    pub visits: VisitRules,
    /// Most touches of a journey.
    pub max_journey: usize,
    /// By which steps units keep account of the newest touch, milliseconds: whole days, about a twenty-fourth of the horizon, so that an
    /// identifier that stays active is seldom looked at.
    pub step_ms: i64,
    /// Most bytes of a message between actors: what is larger travels in parts. No setting; a test may make it small.
    pub message_bytes_max: usize,
    /// A unit whose milestones cost more than this to compute, in records handled, rests afterwards. No setting; a test may make it small.
    pub rest_after: u64,
    /// Milestone kinds that a model looks at, `lead` first.
    pub stages: Vec<String>,
    window: WindowMs,
    /// How far back a journey looks: the longest window of any kind, and a day and a session gap before it, because hits before a window
    /// decide which of those in it go on with a visit.
    longest_ms: i64,
    /// Whether any kind's window is a life cycle.
    lifecycles: bool,
    horizon_ms: i64,
    models: Vec<PlannedModel>,
    kinds: BTreeMap<String, KindPlan>,
    milestone_kinds: Kinds,
}

impl Plan {
    /// Checks the settings.
    ///
    /// # Errors
    /// All that is wrong with them, at once.
    pub fn compile(settings: &Settings, kinds: &Kinds) -> Result<Self, Problems> {
        settings.compiled(kinds)
    }

    /// The models computed for milestones of this kind, in the order of the settings.
    pub fn models_of(&self, kind: &str) -> impl Iterator<Item = &PlannedModel> {
        let chosen = self.kinds.get(kind).and_then(|plan| plan.models.as_deref());
        let all = if chosen.is_none() { self.models.as_slice() } else { &[] };
        all.iter().chain(chosen.unwrap_or_default().iter().filter_map(|at| self.models.get(*at)))
    }

    /// By which rules the journeys to milestones of this kind are found.
    pub fn journey(&self, kind: &str) -> JourneyRules<'_> {
        JourneyRules {
            window: self.window(kind),
            look_back_ms: self.longest_ms,
            stages: &self.stages,
            max_journey: self.max_journey,
        }
    }

    /// The window of milestones of this kind.
    pub fn window(&self, kind: &str) -> WindowMs {
        self.kinds.get(kind).and_then(|plan| plan.window).unwrap_or(self.window)
    }

    /// The earliest time at which a touch may matter to the journey to any milestone reached at `time_ms` or later. Of events that came
    /// more than once, copies before it are not known, and a visit that lasts longer than a day may be taken for several there.
    pub fn reach_ms(&self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(self.longest_ms)
    }

    /// Milestones of a unit reached before this time lie beyond the horizon, where the newest touch of the unit is at `newest_ms`.
    pub fn horizon_ms(&self, newest_ms: i64) -> i64 {
        newest_ms.saturating_sub(self.horizon_ms)
    }

    /// Touches before this time are in the journey to no milestone within the horizon, where the newest touch of the identifier that
    /// brought them is at `newest_ms`.
    pub fn out_of_reach_ms(&self, newest_ms: i64) -> i64 {
        self.reach_ms(self.horizon_ms(newest_ms))
    }

    /// `time_ms` rounded down to [`Self::step_ms`].
    pub fn step_before(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.step_ms).saturating_mul(self.step_ms)
    }

    /// Whether a change of a milestone of kind `stage` can change the credit of one of kind `of`.
    pub fn looks_at(&self, of: &str, stage: &str) -> bool {
        stage != moments::CLOSED_WON
            || self.lifecycles
            || moments::follows_the_win(of)
            || self.stages.iter().any(|kind| kind == stage)
    }

    /// Whether a milestone of this kind can change the credit of another one.
    pub fn is_stage(&self, kind: &str) -> bool {
        kind == moments::MQL || kind == moments::CLOSED_WON || self.stages.iter().any(|stage| stage == kind)
    }

    /// The milestone kinds in force: the built-in ones, then the custom ones.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.milestone_kinds.milestones()
    }
}
