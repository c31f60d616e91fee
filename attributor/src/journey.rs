//! The journey to a milestone: which touches count, in which order, and which of them brought about a stage.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Hash128, Milestone};

use tributary_runtime::planted::planted;

use crate::moments;
use crate::plan::{LEAD_STAGE, Plan};
use crate::wire::{Malformed, TouchView};

/// Bytes of an encoded `StoredTouch`'s `mention`: a tag and a `fixed64`.
const MENTION_BYTES: usize = 9;

/// A touch that may be part of a journey, with what is known of its person.
#[derive(Debug, Clone, Copy)]
pub struct Touchpoint<'a> {
    /// The touch.
    pub view: TouchView<'a>,
    /// The touch as an encoded `StoredTouch`.
    pub raw: &'a [u8],
    /// The profile it belongs to; empty for touches of the account itself.
    pub profile: &'a str,
    /// The person's role.
    pub role: &'a str,
    /// xxh3-128 of the event id: the order among touches at one time.
    pub event_hash: Hash128,
    /// xxh3-128 of `raw` without the mention: the order among versions of one event.
    pub content_hash: Hash128,
}

impl<'a> Touchpoint<'a> {
    /// Reads an encoded `StoredTouch`.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn read(raw: &'a [u8], profile: &'a str, role: &'a str) -> Result<Self, Malformed> {
        let view = TouchView::parse(raw)?;
        let event_hash = Hash128::of(view.event_id.as_bytes());
        // Whom the event names is not what it is: the field stands last.
        let content = if view.mention == 0 { raw } else { raw.get(..raw.len().saturating_sub(MENTION_BYTES)).unwrap_or(raw) };
        Ok(Self { view, raw, profile, role, event_hash, content_hash: Hash128::of(content) })
    }

    /// The order of touches in a journey: time, event hash; content where one event has come in two versions; profile and role where
    /// two people have brought the very same event.
    pub fn order(&self, other: &Self) -> Ordering {
        let key =
            |touch: &Self| (touch.view.time_ms, touch.event_hash, touch.content_hash, touch.profile, touch.role, touch.raw);
        key(self).cmp(&key(other))
    }

    /// What makes consecutive touches of a person one session.
    fn session(&self) -> (&'a str, &'a str, &'a str, &'a str) {
        (self.view.channel, self.view.source, self.view.medium, self.view.campaign)
    }
}

/// Touches in the window that have no place of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    /// The same event once more.
    pub duplicates: usize,
    /// The same session as the touch before.
    pub sessions: usize,
    /// Beyond the plan's `max_journey`.
    pub overlong: usize,
}

/// Why a touch in the window has no place of its own.
#[derive(Debug, Clone, Copy)]
pub enum Fold<'t> {
    /// The same event once more: this touch of it counts.
    Duplicate(&'t Touchpoint<'t>),
    /// It goes on the session of this touch before it.
    Session(&'t Touchpoint<'t>),
    /// Beyond the plan's `max_journey`.
    Overlong,
}

impl Folded {
    fn count(&mut self, fold: Fold<'_>) {
        match fold {
            Fold::Duplicate(_) => self.duplicates += 1,
            Fold::Session(_) => self.sessions += 1,
            Fold::Overlong => self.overlong += 1,
        }
    }
}

/// Told of a touch that is folded.
type Hear<'a, 't> = dyn FnMut(&'t Touchpoint<'t>, Fold<'t>) + 'a;

/// The journey to one milestone.
#[derive(Debug, Clone)]
pub struct Journey<'t> {
    /// Its touches, by (time, event hash).
    pub touches: Vec<&'t Touchpoint<'t>>,
    /// When the milestone was reached, milliseconds since 1970-01-01 UTC.
    pub milestone_time_ms: i64,
    /// What the window held beside.
    pub folded: Folded,
    stages: Vec<Option<usize>>,
    close: Option<usize>,
}

impl<'t> Journey<'t> {
    /// The journey to `of` among `sorted`: the consented touches of the unit, sorted by [`Touchpoint::order`]. `live` are the
    /// milestones of the unit that are not withdrawn, `of` included.
    pub fn build(sorted: &'t [Touchpoint<'t>], of: &Milestone, live: &[&Milestone], plan: &Plan) -> Self {
        Self::trace(sorted, of, live, plan, &mut |_, _| {})
    }

    /// The same, and tells `hear` of every touch in the window that has no place of its own.
    pub fn trace(
        sorted: &'t [Touchpoint<'t>],
        of: &Milestone,
        live: &[&Milestone],
        plan: &Plan,
        hear: &mut Hear<'_, 't>,
    ) -> Self {
        let from_ms = plan.window(&of.kind).start_ms(of, live);
        let from_ms = from_ms.saturating_add(i64::from(planted("window_begins_late")));
        let from = sorted.partition_point(|touch| touch.view.time_ms < from_ms);
        let until_ms = of.time_ms.saturating_sub(i64::from(planted("window_ends_before_the_milestone")));
        let to = sorted.partition_point(|touch| touch.view.time_ms <= until_ms);
        let window = sorted.get(from..to).unwrap_or_default();

        let mut folded = Folded::default();
        let mut note = |touch, fold| {
            folded.count(fold);
            hear(touch, fold);
        };
        let single = without_duplicates(window, &mut note);
        let touches = without_sessions(single, plan.session_gap_ms, &mut note);
        let last_until = |moment: i64| touches.partition_point(|touch| touch.view.time_ms <= moment).checked_sub(1);
        let stages = plan.stages.iter().map(|kind| moments::of_stage(kind, of, live).and_then(last_until)).collect();
        let close = if moments::is_closing(&of.kind) { last_until(of.time_ms) } else { None };
        let mut journey = Self { touches, milestone_time_ms: of.time_ms, folded, stages, close };
        journey.shorten(plan.max_journey, hear);
        journey
    }

    /// The touch that brought about the stage at this position of the plan's stages.
    pub fn stage_anchor(&self, stage: usize) -> Option<usize> {
        self.stages.get(stage).copied().flatten()
    }

    /// The touch that brought about the lead.
    pub fn lead_anchor(&self) -> Option<usize> {
        self.stage_anchor(LEAD_STAGE)
    }

    /// The touch that brought about the close, for a milestone that is one.
    pub fn close_anchor(&self) -> Option<usize> {
        self.close
    }

    /// The first touch that identified a person.
    pub fn first_identified(&self) -> Option<usize> {
        self.touches.iter().position(|touch| touch.view.identified)
    }

    /// The last touch that was not direct.
    pub fn last_non_direct(&self) -> Option<usize> {
        self.touches.iter().rposition(|touch| touch.view.channel != DIRECT)
    }

    /// Of a journey longer than `max`, keeps the first touch, those that a model singles out, and the newest.
    fn shorten(&mut self, max: usize, hear: &mut Hear<'_, 't>) {
        let count = self.touches.len();
        if count <= max {
            return;
        }
        let singled = self.stages.iter().copied().chain([
            self.close,
            Some(0).filter(|_| !planted("long_journey_loses_its_first")),
            self.first_identified(),
            self.last_non_direct(),
        ]);
        let mut kept: BTreeSet<usize> = singled.flatten().collect();
        for at in (0..count).rev() {
            if kept.len() >= max {
                break;
            }
            kept.insert(at);
        }
        let place = |old: Option<usize>| old.map(|old| kept.range(..old).count());
        self.stages = self.stages.iter().map(|stage| place(*stage)).collect();
        self.close = place(self.close);
        let mut at = 0..;
        self.touches.retain(|touch| {
            let keep = at.next().is_some_and(|at| kept.contains(&at));
            if !keep {
                self.folded.count(Fold::Overlong);
                hear(touch, Fold::Overlong);
            }
            keep
        });
    }
}

/// The channel of visits that nothing brought about.
pub const DIRECT: &str = "direct";

/// Of the touches of one event the smallest: in sorted order, the first.
fn without_duplicates<'t>(window: &'t [Touchpoint<'t>], note: &mut Hear<'_, 't>) -> Vec<&'t Touchpoint<'t>> {
    let mut hashes: Vec<Hash128> = window.iter().map(|touch| touch.event_hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.len() == window.len() || planted("same_event_counts_twice") {
        return window.iter().collect();
    }
    let mut seen: BTreeMap<Hash128, &'t Touchpoint<'t>> = BTreeMap::new();
    let first = |touch: &&'t Touchpoint<'t>| match seen.entry(touch.event_hash) {
        Entry::Vacant(place) => {
            place.insert(touch);
            true
        }
        Entry::Occupied(first) => {
            note(touch, Fold::Duplicate(first.get()));
            false
        }
    };
    window.iter().filter(first).collect()
}

/// Of consecutive touches of one profile in one session the first. A gap of 0 makes no sessions. Touches of the account itself, which
/// have no profile, form sessions among themselves.
fn without_sessions<'t>(touches: Vec<&'t Touchpoint<'t>>, gap_ms: i64, note: &mut Hear<'_, 't>) -> Vec<&'t Touchpoint<'t>> {
    if gap_ms == 0 {
        return touches;
    }
    let mut latest: BTreeMap<&str, &'t Touchpoint<'t>> = BTreeMap::new();
    let mut kept = touches;
    kept.retain(|touch| {
        let Some(previous) = latest.insert(touch.profile, touch) else { return true };
        let gap_ms = gap_ms - i64::from(planted("session_gap_exclusive"));
        let goes_on =
            touch.view.time_ms.saturating_sub(previous.view.time_ms) <= gap_ms && previous.session() == touch.session();
        if goes_on {
            note(touch, Fold::Session(previous));
        }
        !goes_on
    });
    kept
}
