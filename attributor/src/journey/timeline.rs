//! The touches of a unit in order, prepared so that each can be checked by itself: otherwise every milestone would have to read its whole
//! window.
//!
//! Two rules fold touches. *Of several copies of one event the smallest counts, trusted ones before public ones.* *Hits of one visit are
//! one touch*: digital touches of one profile on one device, each within the session gap of the one before, as long as none names another
//! source than the visit has. The visit has the source of the first hit that names one. A hit with only a referrer (stale in a single-page
//! application, or that of a sign-in or payment page), or without one, continues the visit. A visit is in a window if its first hit is.

use std::collections::BTreeMap;
use std::ops::Range;

use tributary_proto::Hash128;

use super::dimensions::Gathered;
use super::{Fold, Touchpoint, Visit, VisitRules};

/// No position.
const NONE: usize = usize::MAX;

/// See the module.
#[derive(Debug)]
pub struct Timeline<'t> {
    /// The consented touches of the unit, sorted by [`Touchpoint::order`].
    touches: &'t [Touchpoint<'t>],
    rules: &'t VisitRules,
    /// For each touch: the first hit of its visit (itself, if it is the only one); for a copy of an event, the copy that counts.
    heads: Vec<usize>,
    /// For each touch: the next hit of its visit.
    next: Vec<usize>,
    /// For each touch: whether another copy of its event counts instead.
    repeated: Vec<bool>,
    /// For each position, how many visits and series of copies began before it and continue at or after it.
    across: Vec<i32>,
    /// For each position, how many copies before it do not count because one at or after it does.
    awaiting: Vec<i32>,
}

/// A visit that may continue.
struct Open<'t> {
    head: usize,
    last: usize,
    source: Option<[&'t str; 4]>,
}

impl<'t> Timeline<'t> {
    /// The touches that `so` accepts.
    pub fn those(&self, so: impl Fn(&Touchpoint<'t>) -> bool) -> Vec<Touchpoint<'t>> {
        self.touches.iter().filter(|touch| so(touch)).copied().collect()
    }

    /// Builds the timeline of the consented touches of a unit, sorted by [`Touchpoint::order`].
    pub fn of(touches: &'t [Touchpoint<'t>], rules: &'t VisitRules) -> Self {
        let count = touches.len();
        let mut course = Self {
            touches,
            rules,
            heads: (0..count).collect(),
            next: vec![NONE; count],
            repeated: vec![false; count],
            across: vec![0; count + 1],
            awaiting: vec![0; count + 1],
        };
        course.fold_copies();
        course.fold_hits();
        for changes in [&mut course.across, &mut course.awaiting] {
            let mut open = 0;
            for change in changes {
                open += *change;
                *change = open;
            }
        }
        course
    }

    fn fold_copies(&mut self) {
        let mut events: Vec<(Hash128, usize)> =
            self.touches.iter().zip(0..).map(|(touch, at)| (touch.event_hash, at)).collect();
        events.sort_unstable();
        for same in events.chunk_by(|(a, _), (b, _)| a == b) {
            let [(_, first), _, ..] = same else { continue };
            let is_public = |at: &usize| self.touches.get(*at).is_some_and(|touch| touch.view.public);
            let counts = same.iter().map(|(_, at)| *at).find(|at| !is_public(at)).unwrap_or(*first);
            for (_, at) in same.iter().filter(|(_, at)| *at != counts) {
                put(&mut self.heads, *at, counts);
                put(&mut self.repeated, *at, true);
                if *at < counts {
                    note(&mut self.awaiting, *at, counts);
                }
                note(&mut self.across, (*at).min(counts), (*at).max(counts));
            }
        }
    }

    fn fold_hits(&mut self) {
        let gap_ms = self.rules.gap_ms;
        if gap_ms == 0 {
            return;
        }
        let mut visits: BTreeMap<(&str, u64), Open<'t>> = BTreeMap::new();
        for (at, touch) in self.touches.iter().enumerate() {
            if !touch.view.digital || self.repeated.get(at).copied().unwrap_or_default() {
                continue;
            }
            let source = touch.source();
            let fresh = Open { head: at, last: at, source };
            let Some(open) = visits.get_mut(&(touch.profile, touch.device)) else {
                visits.insert((touch.profile, touch.device), fresh);
                continue;
            };
            let last_ms = self.touches.get(open.last).map_or(i64::MIN, |last| last.view.time_ms);
            if touch.view.time_ms.saturating_sub(last_ms) > gap_ms {
                *open = fresh;
                continue;
            }
            note(&mut self.across, open.last, at);
            if source.is_some() && open.source.is_some() && source != open.source {
                *open = fresh;
            } else {
                put(&mut self.heads, at, open.head);
                put(&mut self.next, open.last, at);
                open.last = at;
                open.source = open.source.or(source);
            }
        }
    }

    /// The timeline of only the touches from `from_ms` to `until_ms`; `None` if it is the same as that part of this one.
    pub(super) fn between(&self, from_ms: i64, until_ms: i64) -> Option<Self> {
        let Range { start, end } = self.window(from_ms, until_ms);
        let depends = |changes: &Vec<i32>, at: usize| changes.get(at).is_some_and(|open| *open > 0);
        let cut = depends(&self.across, start) || depends(&self.awaiting, end);
        cut.then(|| Self::of(self.touches.get(start..end).unwrap_or_default(), self.rules))
    }

    /// The touch at a position.
    pub(super) fn get(&self, at: usize) -> Option<&'t Touchpoint<'t>> {
        self.touches.get(at)
    }

    /// The positions of the touches from `from_ms` to `until_ms`, both included.
    pub(super) fn window(&self, from_ms: i64, until_ms: i64) -> Range<usize> {
        let from = self.touches.partition_point(|touch| touch.view.time_ms < from_ms);
        from..self.end(until_ms).max(from)
    }

    /// The visits and other entries from `from_ms` to `until_ms`, both included, in order.
    pub fn visits(&self, from_ms: i64, until_ms: i64) -> impl Iterator<Item = Visit<'t>> + '_ {
        let window = self.window(from_ms, until_ms);
        let end = window.end;
        window.filter(|at| self.fold(*at).is_none()).filter_map(move |at| self.visit(at, end))
    }

    /// The position after the last touch at or before this time.
    pub(super) fn end(&self, until_ms: i64) -> usize {
        self.touches.partition_point(|touch| touch.view.time_ms <= until_ms)
    }

    /// Why the touch at `at` is not an entry of its own; `None` if it is one.
    pub(super) fn fold(&self, at: usize) -> Option<Fold<'t>> {
        let head = self.heads.get(at).copied().filter(|head| *head != at)?;
        let first = self.touches.get(head)?;
        Some(if self.repeated.get(at).copied()? { Fold::Duplicate(first) } else { Fold::Visit(first) })
    }

    /// The entry that begins at position `at`, with its hits before position `end`.
    ///
    /// It has id and time of its first hit, the source of the first hit that names one, type and content of the highest-ranked hit, and the
    /// dimensions of all hits.
    pub(super) fn visit(&self, at: usize, end: usize) -> Option<Visit<'t>> {
        let first = self.touches.get(at)?;
        let (mut view, mut hits) = (first.view, 1);
        let mut telling = None;
        let mut dimensions = Gathered::default();
        dimensions.hit(first);
        let mut place = at;
        loop {
            place = self.next.get(place).copied().unwrap_or(NONE);
            let Some(hit) = self.touches.get(place).filter(|_| place < end) else { break };
            hits += 1;
            dimensions.hit(hit);
            view.identified |= hit.view.identified;
            if hit.view.names_source && !view.names_source {
                view.names_source = true;
                (view.channel, view.source, view.medium) = (hit.view.channel, hit.view.source, hit.view.medium);
                (view.campaign, view.term) = (hit.view.campaign, hit.view.term);
            }
            let rank = self.rules.rank(hit.view.touch_type);
            if rank < *telling.get_or_insert_with(|| self.rules.rank(first.view.touch_type)) {
                telling = Some(rank);
                (view.touch_type, view.content) = (hit.view.touch_type, hit.view.content);
            }
        }
        Some(Visit { view, dimensions: dimensions.merged(), profile: first.profile, role: first.role, first, hits })
    }
}

/// Notes that one of the touches at `from` and `at` depends on the other: a part that begins or ends between them has to be built again.
fn note(open: &mut [i32], from: usize, at: usize) {
    for (place, change) in [(from + 1, 1), (at + 1, -1)] {
        if let Some(open) = open.get_mut(place) {
            *open += change;
        }
    }
}

fn put<T>(all: &mut [T], at: usize, value: T) {
    if let Some(slot) = all.get_mut(at) {
        *slot = value;
    }
}
