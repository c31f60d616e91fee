//! The touches of a unit in their order, with what it takes to tell of each whether it has a place of its own in a window: without it every
//! milestone would have to look at its whole window.

use std::collections::BTreeMap;
use std::ops::Range;

use tributary_proto::Hash128;

use super::{Fold, Touchpoint};

/// See the module.
#[derive(Debug)]
pub struct Course<'t> {
    /// The consented touches of the unit, sorted by [`Touchpoint::order`].
    touches: &'t [Touchpoint<'t>],
    /// The touch of the same profile before each.
    before: Vec<Option<usize>>,
    /// Where the events are that came more than once.
    again: BTreeMap<Hash128, Vec<usize>>,
}

impl<'t> Course<'t> {
    /// Of the consented touches of a unit, sorted by [`Touchpoint::order`].
    pub fn of(touches: &'t [Touchpoint<'t>]) -> Self {
        let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
        let before = touches.iter().enumerate().map(|(at, touch)| latest.insert(touch.profile, at)).collect();
        let mut events: Vec<(Hash128, usize)> = touches.iter().zip(0..).map(|(touch, at)| (touch.event_hash, at)).collect();
        events.sort_unstable();
        let mut again: BTreeMap<Hash128, Vec<usize>> = BTreeMap::new();
        for same in events.chunk_by(|(a, _), (b, _)| a == b).filter(|same| same.len() > 1) {
            again.extend(same.first().map(|(event, _)| (*event, same.iter().map(|(_, at)| *at).collect())));
        }
        Self { touches, before, again }
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

    /// Behind the last touch at or before this time.
    pub(super) fn end(&self, until_ms: i64) -> usize {
        self.touches.partition_point(|touch| touch.view.time_ms <= until_ms)
    }

    /// Why the touch at `at` has no place of its own in a window that begins at position `from`; `None` where it has.
    ///
    /// Of the touches of one event the smallest counts: in sorted order, the first. Of consecutive touches of one profile in one session
    /// the first. A gap of 0 makes no sessions. Touches of the account itself, which have no profile, form sessions among themselves.
    pub(super) fn fold(&self, at: usize, from: usize, gap_ms: i64) -> Option<Fold<'t>> {
        if let Some(first) = self.repeated(at, from) {
            return Some(Fold::Duplicate(first));
        }
        let mut earlier = self.before.get(at).copied().flatten().filter(|_| gap_ms > 0);
        while let Some(before) = earlier.filter(|before| *before >= from) {
            if self.repeated(before, from).is_none() {
                let (touch, previous) = (self.touches.get(at)?, self.touches.get(before)?);
                let goes_on =
                    touch.view.time_ms.saturating_sub(previous.view.time_ms) <= gap_ms && previous.session() == touch.session();
                return goes_on.then_some(Fold::Session(previous));
            }
            earlier = self.before.get(before).copied().flatten();
        }
        None
    }

    /// The first touch of the same event in the window, where it is another one.
    fn repeated(&self, at: usize, from: usize) -> Option<&'t Touchpoint<'t>> {
        if self.again.is_empty() {
            return None;
        }
        let same = self.again.get(&self.touches.get(at)?.event_hash)?;
        let first = same.iter().find(|position| **position >= from)?;
        self.touches.get(*first).filter(|_| *first < at)
    }
}
