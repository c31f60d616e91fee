//! What a batch changed in a unit, collected until the batch ends so that each milestone is computed once.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::{Milestone, Reason};

use super::keys::IdentifierHash;
use crate::funnel;
use crate::plan::Plan;

/// A span of time, both ends included; may be empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span(Option<(i64, i64)>);

impl Span {
    /// From the first to the second time, both included.
    pub fn between(from_ms: i64, to_ms: i64) -> Self {
        Self(Some((from_ms, to_ms)))
    }

    /// Extends the span to `time_ms`.
    pub fn add(&mut self, time_ms: i64) {
        self.0 = Some(self.0.map_or((time_ms, time_ms), |(from, to)| (from.min(time_ms), to.max(time_ms))));
    }

    /// Extends the span to cover `other`.
    pub fn join(&mut self, other: Self) {
        if let Some((from, to)) = other.0 {
            self.add(from);
            self.add(to);
        }
    }

    /// The first and the last time.
    pub fn ends(&self) -> Option<(i64, i64)> {
        self.0
    }

    /// Whether the span and the times from `from` to `to` overlap.
    pub fn meets(&self, from: i64, to: i64) -> bool {
        self.0.is_some_and(|(own_from, own_to)| own_from <= to && from <= own_to)
    }
}

/// A milestone that may be a stage of others was added, changed or removed.
#[derive(Debug)]
pub struct StageChange {
    /// The earlier of its times before and after: milestones before that are not affected. Unbounded for a `lead` and an `mql`: an `mql`
    /// stands in for a lead only if there is no lead at any time.
    from_ms: i64,
    kind: String,
    /// Milestones of the same object are affected at any time.
    object_id: String,
    reason: Reason,
}

/// What a batch has changed in a unit.
#[derive(Debug, Default)]
pub struct Dirty {
    /// The unit's key.
    pub key: Vec<u8>,
    /// Times of touches that arrived.
    pub late: Span,
    /// Times of touches that were handed over, to or from this unit.
    pub moved: Span,
    /// Times of touches that were erased.
    pub erased: Span,
    /// Times of touches that were retracted.
    pub retracted: Span,
    /// Residents that were added, or whose profile, role, consent or account changed.
    pub residents: BTreeSet<IdentifierHash>,
    /// Times of touches whose rows have to be published, by the identifier that brought them.
    pub rows: BTreeMap<IdentifierHash, Span>,
    /// Objects in which somebody's role changed.
    pub objects: BTreeSet<String>,
    /// Objects of which a milestone was added, changed or removed: their ledgers get the new status.
    pub status: BTreeSet<String>,
    /// When the newest event that caused this was received, milliseconds since 1970-01-01 UTC.
    pub received_ms: i64,
    milestones: BTreeMap<String, Reason>,
    stages: Vec<StageChange>,
}

impl Dirty {
    /// No changes yet, for the unit with this key.
    pub fn of(key: &[u8]) -> Self {
        Self { key: key.to_vec(), ..Self::default() }
    }

    /// The milestone itself changed.
    pub fn milestone(&mut self, milestone_id: &str, reason: Reason) {
        let known = self.milestones.entry(milestone_id.to_owned()).or_insert(reason);
        *known = weightier(*known, reason);
    }

    /// A stage changed: its former and its current value.
    pub fn stage(&mut self, before: Option<&Milestone>, after: Option<&Milestone>, reason: Reason) {
        let times = before.iter().chain(&after).map(|milestone| milestone.time_ms);
        if let (Some(earliest_ms), Some(any)) = (times.min(), after.or(before)) {
            let from_ms = if [funnel::LEAD, funnel::MQL].contains(&any.kind.as_str()) { i64::MIN } else { earliest_ms };
            self.stages.push(StageChange { from_ms, kind: any.kind.clone(), object_id: any.object_id.clone(), reason });
        }
    }

    /// The reason to compute this milestone, whose relevant touches begin at `from_ms`; `None` if there is none.
    pub fn reason(&self, milestone: &Milestone, from_ms: i64, plan: &Plan) -> Option<Reason> {
        let mut reason = self.milestones.get(&milestone.milestone_id).copied();
        let mut because = |cause| reason = Some(reason.map_or(cause, |known| weightier(known, cause)));
        if milestone.withdrawn {
            return reason;
        }
        for stage in self.stages.iter().filter(|stage| plan.looks_at(&milestone.kind, &stage.kind)) {
            if stage.from_ms <= milestone.time_ms || stage.object_id == milestone.object_id {
                because(stage.reason);
            }
        }
        if self.erased.meets(from_ms, milestone.time_ms) {
            because(Reason::Erased);
        }
        if self.retracted.meets(from_ms, milestone.time_ms) {
            because(Reason::Amended);
        }
        if self.objects.contains(&milestone.object_id) || self.moved.meets(from_ms, milestone.time_ms) {
            because(Reason::Identity);
        }
        if self.late.meets(from_ms, milestone.time_ms) {
            because(Reason::LateTouch);
        }
        reason
    }
}

/// Of two reasons, the one that is reported.
pub(super) fn weightier(a: Reason, b: Reason) -> Reason {
    const ORDER: [Reason; 5] = [Reason::Erased, Reason::Withdrawn, Reason::Amended, Reason::Identity, Reason::LateTouch];
    let rank = |reason: Reason| ORDER.iter().position(|known| *known == reason).unwrap_or(ORDER.len());
    if rank(a) <= rank(b) { a } else { b }
}
