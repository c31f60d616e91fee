//! The journey to a milestone: which touches count, and which of them brought about a stage.

use std::collections::{BTreeMap, BTreeSet};

use tributary_attributor::settings::{Settings, Window};
use tributary_proto::{Message, Milestone, StoredTouch, Touch};
use xxhash_rust::xxh3::xxh3_128;

use super::credit::Brought;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// A journey.
pub struct Journey<'a> {
    /// Its touches, in order.
    pub touches: Vec<&'a Brought>,
    /// When the milestone was reached.
    pub time_ms: i64,
    /// The position of the touch that brought about each stage that some model looks at.
    stages: BTreeMap<String, Option<usize>>,
    /// The position of the touch that brought about the close.
    pub close: Option<usize>,
}

impl<'a> Journey<'a> {
    /// The journey to `of`, given the consented touches of its unit and the unit's milestones that are not withdrawn.
    pub fn to(of: &Milestone, touches: &[&'a Brought], live: &[&Milestone], settings: &Settings) -> Self {
        let from_ms = window_start(of, live, settings);
        let mut window: Vec<&Brought> =
            touches.iter().copied().filter(|touch| (from_ms..=of.time_ms).contains(&touch.touch.time_ms)).collect();
        window.sort_by_cached_key(|touch| order(touch));
        let mut seen = BTreeSet::new();
        window.retain(|touch| seen.insert(touch.touch.event_id.clone()));
        let touches = without_sessions(window, i64::from(settings.session_gap_minutes) * MINUTE_MS);

        let last_until = |moment: i64| touches.iter().rposition(|touch| touch.touch.time_ms <= moment);
        let stages = stages_looked_at(settings)
            .into_iter()
            .map(|kind| (kind.clone(), moment_of_stage(&kind, of, live).and_then(last_until)))
            .collect();
        let closing = of.kind == "closed_won" || of.kind == "closed_lost";
        let close = if closing { last_until(of.time_ms) } else { None };
        let mut journey = Self { touches, time_ms: of.time_ms, stages, close };
        journey.shorten(usize::try_from(settings.max_journey).unwrap_or(usize::MAX));
        journey
    }

    /// The touch that brought about a stage.
    pub fn stage(&self, kind: &str) -> Option<usize> {
        self.stages.get(kind).copied().flatten()
    }

    /// The first touch that identified a person.
    pub fn first_identified(&self) -> Option<usize> {
        self.touches.iter().position(|touch| body(touch).identified)
    }

    /// The last touch that was not direct.
    pub fn last_non_direct(&self) -> Option<usize> {
        self.touches.iter().rposition(|touch| body(touch).channel != "direct")
    }

    /// Keeps the first touch, those a model singles out, and the newest.
    fn shorten(&mut self, max: usize) {
        let count = self.touches.len();
        let singled = [Some(0), self.close, self.first_identified(), self.last_non_direct()];
        let mut kept: BTreeSet<usize> = singled.into_iter().chain(self.stages.values().copied()).flatten().collect();
        if count <= max {
            return;
        }
        kept.extend((0..count).rev().filter(|at| !kept.contains(at)).take(max.saturating_sub(kept.len())).collect::<Vec<_>>());
        let place = |old: usize| kept.iter().position(|at| *at == old);
        self.close = self.close.and_then(place);
        for stage in self.stages.values_mut() {
            *stage = stage.and_then(place);
        }
        self.touches =
            self.touches.iter().copied().zip(0..).filter(|(_, at)| kept.contains(at)).map(|(touch, _)| touch).collect();
    }
}

/// What a touch says of itself.
pub fn body(touch: &Brought) -> &Touch {
    static NOTHING: Touch = Touch {
        channel: String::new(),
        source: String::new(),
        medium: String::new(),
        campaign: String::new(),
        content: String::new(),
        term: String::new(),
        touch_type: String::new(),
        identified: false,
    };
    touch.touch.touch.as_ref().unwrap_or(&NOTHING)
}

/// Time, event; then content, where one event came in two versions; then the person, where two brought the same.
fn order(touch: &Brought) -> (i64, u128, u128, String, String) {
    let stored = &touch.touch;
    // Whom the event named is no part of what it is.
    let unnamed = StoredTouch { mention: 0, ..stored.clone() };
    let (event, content) = (xxh3_128(stored.event_id.as_bytes()), xxh3_128(&unnamed.encode_to_vec()));
    (stored.time_ms, event, content, touch.home.profile_id.clone(), touch.home.role.clone())
}

fn window_start(of: &Milestone, live: &[&Milestone], settings: &Settings) -> i64 {
    let own = settings.milestones.get(&of.kind).and_then(|kind| kind.window);
    match own.unwrap_or(settings.window) {
        Window::LookbackDays(days) => of.time_ms.saturating_sub(i64::from(days) * DAY_MS),
        Window::Lifecycle => {
            let won = live.iter().filter(|other| other.kind == "closed_won" && other.milestone_id != of.milestone_id);
            let last_ms = won.map(|won| won.time_ms).filter(|time_ms| *time_ms < of.time_ms).max();
            let limit_ms = of.time_ms.saturating_sub(i64::from(settings.horizon_days) * DAY_MS);
            last_ms.map_or(limit_ms, |last_ms| limit_ms.max(last_ms + 1))
        }
    }
}

/// A touch is of the session of the touch before it of the same person, if it looks the same and came soon enough.
fn without_sessions(touches: Vec<&Brought>, gap_ms: i64) -> Vec<&Brought> {
    fn look(touch: &Brought) -> [&str; 4] {
        let touch = body(touch);
        [&touch.channel, &touch.source, &touch.medium, &touch.campaign]
    }
    let folds = |at: usize, touch: &Brought| {
        let earlier = touches.iter().take(at).rev();
        let before = earlier.into_iter().find(|other| other.home.profile_id == touch.home.profile_id);
        before.is_some_and(|before| look(before) == look(touch) && touch.touch.time_ms - before.touch.time_ms <= gap_ms)
    };
    touches.iter().enumerate().filter(|(at, touch)| gap_ms == 0 || !folds(*at, touch)).map(|(_, touch)| *touch).collect()
}

/// The kinds that some model has an anchor for; `lead` is always looked at.
fn stages_looked_at(settings: &Settings) -> BTreeSet<String> {
    let anchors = settings.models.iter().flat_map(|model| &model.anchors).map(|anchor| anchor.at.clone());
    let mut kinds: BTreeSet<String> = anchors.filter(|at| !["first", "last", "close"].contains(&at.as_str())).collect();
    kinds.insert("lead".to_owned());
    kinds
}

fn moment_of_stage(kind: &str, of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    let all = |kind: &str| live.iter().filter(|other| other.kind == kind).map(|other| other.time_ms).collect::<Vec<_>>();
    let same = live.iter().find(|other| other.kind == kind && other.object_id == of.object_id).map(|same| same.time_ms);
    let moment = match (same, kind) {
        (Some(same), _) => Some(same),
        (None, "lead") => all("lead").into_iter().min().or_else(|| all("mql").into_iter().min()),
        (None, kind) => all(kind).into_iter().filter(|time_ms| *time_ms <= of.time_ms).max(),
    };
    moment.filter(|moment| *moment <= of.time_ms)
}
