//! The journey to a milestone: which touches count, and which of them brought about a stage.

use std::collections::{BTreeMap, BTreeSet};

use tributary_attributor::settings::{MultiplierSettings, Period, Settings, Window};
use tributary_proto::{Dimensions, Message, Milestone, StoredTouch, Touch};
use xxhash_rust::xxh3::xxh3_128;

use super::placed::Brought;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// A journey.
#[derive(Clone)]
pub struct Journey {
    /// Its touches, in order; a visit is one.
    pub touches: Vec<Brought>,
    /// When the milestone was reached.
    pub time_ms: i64,
    /// By stage that a model uses, the position of its anchor.
    stages: BTreeMap<String, Option<usize>>,
    /// When each of these stages was reached.
    pub moments: BTreeMap<String, Option<i64>>,
    /// The position of the anchor of the close.
    pub close: Option<usize>,
    /// The position of the first touch since the won deal that an expansion follows; 0 if there is none.
    pub begins: usize,
}

impl Journey {
    /// The journey to `of`, from the consented touches of its unit and the unit's milestones that are not withdrawn.
    pub fn to(of: &Milestone, touches: &[&Brought], live: &[&Milestone], settings: &Settings) -> Self {
        let own = settings.milestones.get(&of.kind).and_then(|kind| kind.window);
        let from_ms = window_start(own.unwrap_or(settings.window), of, live, settings);
        let known_ms = of.time_ms.saturating_sub(super::horizon::look_back_ms(settings));
        let mut known: Vec<&Brought> =
            touches.iter().copied().filter(|touch| (known_ms..=of.time_ms).contains(&touch.touch.time_ms)).collect();
        known.sort_by_cached_key(|touch| (body(touch).public, order(touch)));
        let mut seen = BTreeSet::new();
        known.retain(|touch| seen.insert(touch.touch.event_id.clone()));
        known.sort_by_cached_key(|touch| order(touch));
        let mut touches = visits(&known, settings);
        touches.retain(|visit| visit.touch.time_ms >= from_ms);

        let last_until = |moment: i64| touches.iter().rposition(|touch| touch.touch.time_ms <= moment);
        let moments: BTreeMap<String, Option<i64>> =
            stages_looked_at(settings).into_iter().map(|kind| (kind.clone(), moment_of_stage(&kind, of, live))).collect();
        let stages = moments.iter().map(|(kind, moment)| (kind.clone(), moment.and_then(last_until))).collect();
        let closing = of.kind == "closed_won" || of.kind == "closed_lost";
        let close = if closing { last_until(of.time_ms) } else { None };
        let follows = of.kind == "expansion" || of.kind == "implemented";
        let won_ms = if follows { moment_of_stage("closed_won", of, live) } else { None };
        let since_win = won_ms.and_then(|won_ms| touches.iter().position(|touch| touch.touch.time_ms > won_ms));
        let mut journey = Self { touches, time_ms: of.time_ms, stages, moments, close, begins: since_win.unwrap_or(0) };
        journey.shorten(usize::try_from(settings.max_journey).unwrap_or(usize::MAX));
        journey
    }

    /// The journey of only the touches that `so` accepts, and their positions in this one.
    pub fn of_those(&self, so: impl Fn(&Brought) -> bool) -> (Self, Vec<usize>) {
        let mut part = self.clone();
        let kept: Vec<usize> = self.touches.iter().zip(0..).filter(|(touch, _)| so(touch)).map(|(_, at)| at).collect();
        let last_up_to = |at: usize| kept.iter().rposition(|one| *one <= at);
        part.touches.retain(|touch| so(touch));
        part.close = self.close.and_then(last_up_to);
        part.begins = kept.iter().position(|at| *at >= self.begins).unwrap_or(0);
        for stage in part.stages.values_mut() {
            *stage = stage.and_then(last_up_to);
        }
        (part, kept)
    }

    /// The anchor of a stage.
    pub fn stage(&self, kind: &str) -> Option<usize> {
        self.stages.get(kind).copied().flatten().filter(|at| *at >= self.begins)
    }

    /// The first touch that identified a person.
    pub fn first_identified(&self) -> Option<usize> {
        self.touches.iter().zip(0..).skip(self.begins).find(|(touch, _)| body(touch).identified).map(|(_, at)| at)
    }

    /// The last touch whose channel is not `direct`.
    pub fn last_non_direct(&self) -> Option<usize> {
        self.touches.iter().rposition(|touch| body(touch).channel != "direct")
    }

    /// Keeps the first touch, those that a model singles out, and the newest.
    fn shorten(&mut self, max: usize) {
        let count = self.touches.len();
        let identified = self.touches.iter().position(|touch| body(touch).identified);
        let singled = [Some(0), self.close, identified, self.last_non_direct(), Some(self.begins)];
        let mut kept: BTreeSet<usize> = singled.into_iter().chain(self.stages.values().copied()).flatten().collect();
        if count <= max {
            return;
        }
        let mut others: Vec<usize> = (0..count).rev().filter(|at| !kept.contains(at)).collect();
        others.sort_by_key(|at| self.touches.get(*at).is_some_and(|touch| body(touch).public));
        kept.extend(others.into_iter().take(max.saturating_sub(kept.len())));
        let place = |old: usize| kept.iter().position(|at| *at == old);
        self.close = self.close.and_then(place);
        self.begins = place(self.begins).unwrap_or(0);
        for stage in self.stages.values_mut() {
            *stage = stage.and_then(place);
        }
        self.touches = self.touches.drain(..).zip(0..).filter(|(_, at)| kept.contains(at)).map(|(touch, _)| touch).collect();
    }
}

/// The touch itself.
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
        digital: false,
        names_source: false,
        device: 0,
        public: false,
        origin: None,
        dimensions: None,
    };
    touch.touch.touch.as_ref().unwrap_or(&NOTHING)
}

/// The own dimensions of a touch.
pub fn own_dimensions(touch: &Touch) -> BTreeMap<String, String> {
    touch.dimensions.as_ref().map(|own| own.values.clone()).unwrap_or_default()
}

/// For each dimension the value of the first hit that has it, trusted hits before public ones.
fn dimensions_of(hits: &[&Brought]) -> Option<Dimensions> {
    let mut values = BTreeMap::new();
    for public in [true, false] {
        for hit in hits.iter().rev().filter(|hit| body(hit).public == public) {
            values.extend(own_dimensions(body(hit)));
        }
    }
    (!values.is_empty()).then_some(Dimensions { values })
}

/// Time, event; then content, if one event came in two versions; then the person, if two brought the same event; then the device.
fn order(touch: &Brought) -> (i64, u128, u128, String, String, u64) {
    let stored = &touch.touch;
    // The identifier set is not part of the content.
    let unnamed = StoredTouch { identifier_set: 0, ..stored.clone() };
    let (event, content) = (xxh3_128(stored.event_id.as_bytes()), xxh3_128(&unnamed.encode_to_vec()));
    (stored.time_ms, event, content, touch.home.profile_id.clone(), touch.home.role.clone(), touch.device)
}

/// When a window begins.
pub fn window_start(window: Window, of: &Milestone, live: &[&Milestone], settings: &Settings) -> i64 {
    match window {
        Window::Calendar(period) => period_start(of.time_ms, period),
        Window::LookbackDays(days) => of.time_ms.saturating_sub(i64::from(days) * DAY_MS),
        Window::Lifecycle => {
            let won = |other: &&&Milestone| other.kind == "closed_won" && other.milestone_id != of.milestone_id;
            let before = live.iter().filter(won).filter(|other| other.time_ms < of.time_ms);
            // Trusted milestones count before public-only ones.
            let last_ms = before.map(|other| (!other.public, other.time_ms)).max().map(|(_, time_ms)| time_ms);
            let limit_ms = of.time_ms.saturating_sub(i64::from(settings.horizon_days) * DAY_MS);
            last_ms.map_or(limit_ms, |last_ms| limit_ms.max(last_ms + 1))
        }
    }
}

/// The beginning of the month, quarter or year (UTC) of a time, found day by day.
fn period_start(time_ms: i64, period: Period) -> i64 {
    let target = time_ms.div_euclid(DAY_MS);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = |year: i64| if leap(year) { 366 } else { 365 };
    let (mut year, mut first) = (1970, 0);
    while target < first {
        year -= 1;
        first -= days_of(year);
    }
    while target >= first + days_of(year) {
        first += days_of(year);
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months = match period {
        Period::Month => 1,
        Period::Quarter => 3,
        Period::Year => 12,
    };
    for part in lengths.chunks(months) {
        let length: i64 = part.iter().sum();
        if target < first + length {
            break;
        }
        first += length;
    }
    first * DAY_MS
}

/// Visits: hits of one person on one device, each within the session gap after the one before, and none naming another source than the
/// visit has. Everything else is an entry of its own.
fn visits(touches: &[&Brought], settings: &Settings) -> Vec<Brought> {
    let gap_ms = i64::from(settings.session_gap_minutes) * MINUTE_MS;
    let mut visits: Vec<Vec<&Brought>> = Vec::new();
    for touch in touches {
        let same = |first: &Brought| {
            body(first).digital && first.home.profile_id == touch.home.profile_id && first.device == touch.device
        };
        match visits.iter_mut().rev().find(|visit| visit.first().is_some_and(|first| same(first))) {
            Some(visit) if gap_ms > 0 && body(touch).digital && goes_on(visit, touch, gap_ms) => visit.push(touch),
            _ => visits.push(vec![touch]),
        }
    }
    visits.iter().filter_map(|hits| as_one(hits, settings)).collect()
}

fn goes_on(visit: &[&Brought], hit: &Brought, gap_ms: i64) -> bool {
    let source = |touch: &Brought| {
        let Touch { channel, source, medium, campaign, names_source, .. } = body(touch).clone();
        names_source.then_some((channel, source, medium, campaign))
    };
    let soon = visit.last().is_some_and(|last| hit.touch.time_ms - last.touch.time_ms <= gap_ms);
    let named = visit.iter().find_map(|touch| source(touch));
    soon && (named.is_none() || source(hit).is_none() || source(hit) == named)
}

/// A visit as one touch: id and time of its first hit, source of the first hit that names one, type and content of the first hit of the
/// highest rank, dimensions of all.
fn as_one(hits: &[&Brought], settings: &Settings) -> Option<Brought> {
    let rank = |hit: &Brought| {
        let said = body(hit).touch_type.to_lowercase();
        let named = settings.touch_types.iter().position(|known| known.to_lowercase() == said);
        named.unwrap_or(if ["", "page", "screen"].contains(&said.as_str()) { usize::MAX } else { usize::MAX - 1 })
    };
    let first = hits.first().copied()?;
    let from = hits.iter().copied().find(|hit| body(hit).names_source).unwrap_or(first);
    let telling = hits.iter().copied().min_by_key(|hit| rank(hit)).unwrap_or(first);
    let touch = Touch {
        touch_type: body(telling).touch_type.clone(),
        content: body(telling).content.clone(),
        identified: hits.iter().any(|hit| body(hit).identified),
        public: body(first).public,
        dimensions: dimensions_of(hits),
        ..body(from).clone()
    };
    Some(Brought { touch: StoredTouch { touch: Some(touch), ..first.touch.clone() }, ..first.clone() })
}

/// The kinds that a model uses as anchors; `lead` always is.
pub fn stages_looked_at(settings: &Settings) -> BTreeSet<String> {
    let anchors = settings.models.iter().flat_map(|model| &model.anchors).map(|anchor| anchor.at.clone());
    let of_factors = |factors: &MultiplierSettings| factors.stage.keys().cloned().collect::<Vec<_>>();
    let factors = settings.models.iter().flat_map(|model| {
        let sizes = model.multipliers.deal_size.iter().flat_map(|size| of_factors(&size.factors));
        of_factors(&model.multipliers).into_iter().chain(sizes).collect::<Vec<_>>()
    });
    let places = ["first", "last", "close", "before"];
    let mut kinds: BTreeSet<String> = anchors.chain(factors).filter(|at| !places.contains(&at.as_str())).collect();
    kinds.insert("lead".to_owned());
    kinds
}

/// When a stage was reached, seen from a milestone.
pub fn moment_of_stage(kind: &str, of: &Milestone, live: &[&Milestone]) -> Option<i64> {
    let same = |public| times(live, |other| other.kind == kind && other.object_id == of.object_id && other.public == public);
    let all = |kind: &str, public| times(live, |other| other.kind == kind && other.public == public);
    let own = [false, true].map(same).into_iter().find(|times| !times.is_empty());
    // Trusted milestones count before public-only ones.
    let moment = match (own, kind) {
        (Some(own), _) => own.into_iter().filter(|time_ms| *time_ms <= of.time_ms).max(),
        (None, "lead") => [(false, "lead"), (false, "mql"), (true, "lead"), (true, "mql")]
            .into_iter()
            .find_map(|(public, kind)| all(kind, public).into_iter().min()),
        (None, kind) => [false, true]
            .into_iter()
            .find_map(|public| all(kind, public).into_iter().filter(|time_ms| *time_ms <= of.time_ms).max()),
    };
    moment.filter(|moment| *moment <= of.time_ms)
}

fn times(live: &[&Milestone], these: impl Fn(&Milestone) -> bool) -> Vec<i64> {
    live.iter().filter(|other| these(other)).map(|other| other.time_ms).collect()
}
