//! The journey to a milestone: which touches count, in which order, and which of them led to a stage.

mod cast;
mod dimensions;
mod rules;
mod timeline;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

use tributary_proto::vocabulary::DIRECT;
use tributary_proto::{Hash128, Message, Milestone};

use crate::funnel;
use crate::view::{Malformed, TouchView};

pub use cast::Cast;
use rules::LEAD_STAGE;
pub use rules::{JourneyRules, VisitRules, WindowMs};
pub use timeline::Timeline;

/// Bytes of the field `identifier_set` of an encoded `StoredTouch`: a tag and a `fixed64`.
const MENTION_BYTES: usize = 9;

/// A touch that may be part of a journey, with its person's profile and role.
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
    /// The browser or device; if unknown, the identifier that brought the touch.
    pub device: u64,
    /// xxh3-128 of the event id: orders touches of the same time.
    pub event_hash: Hash128,
    /// xxh3-128 of `raw` without the identifier set: orders versions of one event.
    pub content_hash: Hash128,
}

impl<'a> Touchpoint<'a> {
    /// Reads an encoded `StoredTouch`. `by` is the hash of the identifier that brought it.
    ///
    /// # Errors
    /// When the bytes are not one.
    pub fn read(raw: &'a [u8], profile: &'a str, role: &'a str, by: &[u8; 16]) -> Result<Self, Malformed> {
        let view = TouchView::parse(raw)?;
        let event_hash = Hash128::of(view.event_id.as_bytes());
        // The identifier set is not part of the content: its field comes last and is cut off.
        let content =
            if view.identifier_set == 0 { raw } else { raw.get(..raw.len().saturating_sub(MENTION_BYTES)).unwrap_or(raw) };
        let bringer = Hash128(u128::from_be_bytes(*by)).head();
        let device = if view.device == 0 { bringer } else { view.device };
        Ok(Self { view, raw, profile, role, device, event_hash, content_hash: Hash128::of(content) })
    }

    /// The order of touches in a journey: time, then event hash. Then content, if one event came in two versions; then profile and role, if
    /// two people brought the same event; then device, if one person brought it by two identifiers.
    pub fn order(&self, other: &Self) -> Ordering {
        let key = |touch: &Self| {
            (touch.view.time_ms, touch.event_hash, touch.content_hash, touch.profile, touch.role, touch.device, touch.raw)
        };
        key(self).cmp(&key(other))
    }

    /// The source, if the touch itself names one.
    fn source(&self) -> Option<[&'a str; 4]> {
        let view = &self.view;
        view.names_source.then_some([view.channel, view.source, view.medium, view.campaign])
    }
}

/// An entry of a journey: a visit of one or more hits, or a touch that is not part of a visit.
#[derive(Debug, Clone)]
pub struct Visit<'a> {
    /// For a visit: id and time of its first hit, source of the first hit that names one, type and content of the highest-ranked hit. The
    /// dimensions here are not used: see `dimensions`.
    pub view: TouchView<'a>,
    /// Its own dimensions, encoded; empty if there are none.
    pub dimensions: Cow<'a, [u8]>,
    /// The profile it belongs to; empty for touches of the account itself.
    pub profile: &'a str,
    /// The person's role in the deal; if there is none, the general one.
    pub role: &'a str,
    /// Its first hit.
    pub first: &'a Touchpoint<'a>,
    /// The number of hits, at least 1.
    pub hits: usize,
}

impl<'a> Visit<'a> {
    /// As an encoded `StoredTouch`.
    pub fn encoded(&self) -> Cow<'a, [u8]> {
        if self.hits == 1 {
            return Cow::Borrowed(self.first.raw);
        }
        Cow::Owned(TouchView { dimensions: &self.dimensions, ..self.view }.to_stored().encode_to_vec())
    }
}

/// The touches in the window that are not entries of the journey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Folded {
    /// Copies of the same event.
    pub duplicates: usize,
    /// Later hits of a visit.
    pub visits: usize,
    /// Left out because of `max_journey`.
    pub overlong: usize,
}

/// Why a touch in the window is not an entry of the journey.
#[derive(Debug, Clone, Copy)]
pub enum Fold<'t> {
    /// A copy of the same event: this one counts.
    Duplicate(&'t Touchpoint<'t>),
    /// A later hit of the visit that this touch began.
    Visit(&'t Touchpoint<'t>),
    /// Left out because of `max_journey`.
    Overlong,
}

impl Folded {
    fn count(&mut self, fold: Fold<'_>) {
        match fold {
            Fold::Duplicate(_) => self.duplicates += 1,
            Fold::Visit(_) => self.visits += 1,
            Fold::Overlong => self.overlong += 1,
        }
    }
}

/// A callback for touches that are folded.
type Hear<'a, 't> = dyn FnMut(&'t Touchpoint<'t>, Fold<'t>) + 'a;

/// The journey to one milestone.
#[derive(Debug, Clone)]
pub struct Journey<'t> {
    /// Its touches, by time, then event hash.
    pub touches: Vec<Visit<'t>>,
    /// When the milestone was reached, milliseconds since 1970-01-01 UTC.
    pub milestone_time_ms: i64,
    /// The numbers of touches in the window that are not entries.
    pub folded: Folded,
    /// When the unit last won a deal before it.
    pub won_before_ms: Option<i64>,
    /// By position of the stage, when it was reached.
    moments: Vec<Option<i64>>,
    stages: Vec<Option<usize>>,
    close: Option<usize>,
    begins: usize,
}

impl<'t> Journey<'t> {
    /// Builds the journey to `of` from the touches of its unit. `live` are the milestones of the unit that are not withdrawn, `of`
    /// included.
    ///
    /// Reads only as many touches as the journey may have, and those that a model singles out.
    pub fn build(
        course: &Timeline<'t>,
        of: &Milestone,
        live: &[&Milestone],
        cast: &Cast<'t>,
        rules: &JourneyRules<'_>,
    ) -> Self {
        Self::find(course, of, live, cast, rules, None)
    }

    /// The same, and calls `hear` for every touch in the window that is not an entry.
    pub fn trace(
        course: &Timeline<'t>,
        of: &Milestone,
        live: &[&Milestone],
        cast: &Cast<'t>,
        rules: &JourneyRules<'_>,
        hear: &mut Hear<'_, 't>,
    ) -> Self {
        Self::find(course, of, live, cast, rules, Some(hear))
    }

    fn find(
        course: &Timeline<'t>,
        of: &Milestone,
        live: &[&Milestone],
        cast: &Cast<'t>,
        rules: &JourneyRules<'_>,
        hear: Option<&mut Hear<'_, 't>>,
    ) -> Self {
        let won_before_ms = funnel::last_won_before(of, live);
        let from_ms = rules.window.start_ms(of.time_ms, won_before_ms, rules.zone);
        let known = course.between(of.time_ms.saturating_sub(rules.look_back_ms), of.time_ms);
        let course = known.as_ref().unwrap_or(course);
        let search = Search { course, cast, window: course.window(from_ms, of.time_ms) };

        let last_until = |moment: i64| search.last(course.end(moment), |_| true);
        let moments: Vec<Option<i64>> = rules.stages.iter().map(|kind| funnel::of_stage(kind, of, live)).collect();
        let stages: Vec<Option<usize>> = moments.iter().map(|moment| moment.and_then(last_until)).collect();
        let close = if funnel::is_closing(&of.kind) { last_until(of.time_ms) } else { None };
        let since_win = funnel::won_for(of, live).and_then(|won_ms| search.first(course.end(won_ms)));
        let singled = stages.iter().copied().chain([close, since_win]).flatten();
        let (positions, folded) = search.positions(singled, rules.max_journey, hear);
        let place = |position: Option<usize>| positions.binary_search(&position?).ok();
        Self {
            stages: stages.into_iter().map(place).collect(),
            close: place(close),
            begins: place(since_win).unwrap_or(0),
            touches: positions.iter().filter_map(|at| search.visit(*at)).collect(),
            milestone_time_ms: of.time_ms,
            won_before_ms,
            moments,
            folded,
        }
    }

    /// The journey of only the touches that `so` accepts, and their positions in this one.
    pub fn part(&self, so: impl Fn(&Visit<'t>) -> bool) -> (Self, Vec<usize>) {
        let kept: Vec<usize> =
            self.touches.iter().enumerate().filter(|(_, touch)| so(touch)).map(|(position, _)| position).collect();
        let up_to = |place: Option<usize>| {
            let place = place?;
            kept.partition_point(|position| *position <= place).checked_sub(1)
        };
        let begins = kept.partition_point(|position| *position < self.begins);
        let part = Self {
            touches: kept.iter().filter_map(|position| self.touches.get(*position)).cloned().collect(),
            moments: self.moments.clone(),
            stages: self.stages.iter().copied().map(up_to).collect(),
            close: up_to(self.close),
            begins: if begins < kept.len() { begins } else { 0 },
            ..*self
        };
        (part, kept)
    }

    /// When the stage at this position of the rules' stages was reached.
    pub fn stage_moment(&self, stage: usize) -> Option<i64> {
        self.moments.get(stage).copied().flatten()
    }

    /// The anchor of the stage at this position of the rules' stages: the last touch at or before it. For milestones that follow a won deal
    /// (an expansion), `None` if the anchor is from before that.
    pub fn stage_anchor(&self, stage: usize) -> Option<usize> {
        self.stages.get(stage).copied().flatten().filter(|at| *at >= self.begins)
    }

    /// The first touch that models with stages use: the first of all. For milestones that follow a won deal (an expansion): the first since
    /// then, if there is one.
    pub fn begins(&self) -> usize {
        self.begins
    }

    /// The anchor of the lead.
    pub fn lead_anchor(&self) -> Option<usize> {
        self.stage_anchor(LEAD_STAGE)
    }

    /// The anchor of the close, if the milestone closes a deal.
    pub fn close_anchor(&self) -> Option<usize> {
        self.close
    }

    /// The first touch that identified a person, starting at [`Self::begins`].
    pub fn first_identified(&self) -> Option<usize> {
        self.touches.iter().enumerate().skip(self.begins).find(|(_, touch)| touch.view.identified).map(|(at, _)| at)
    }

    /// The last touch whose channel is not `direct`.
    pub fn last_non_direct(&self) -> Option<usize> {
        self.touches.iter().rposition(|touch| touch.view.channel != DIRECT)
    }
}

/// The search for the entries of a journey in a window.
struct Search<'a, 't> {
    course: &'a Timeline<'t>,
    cast: &'a Cast<'t>,
    window: Range<usize>,
}

impl<'t> Search<'_, 't> {
    fn visit(&self, at: usize) -> Option<Visit<'t>> {
        let visit = self.course.visit(at, self.window.end)?;
        Some(Visit { role: self.cast.role(visit.profile).unwrap_or(visit.role), ..visit })
    }

    fn is(&self, at: usize, what: impl Fn(&TouchView<'_>) -> bool) -> bool {
        self.course.fold(at).is_none() && self.visit(at).is_some_and(|visit| what(&visit.view))
    }

    /// The first entry at position `from` or later.
    fn first(&self, from: usize) -> Option<usize> {
        (from.max(self.window.start)..self.window.end).find(|at| self.course.fold(*at).is_none())
    }

    /// The last entry before position `end` that `what` accepts.
    fn last(&self, end: usize, what: impl Fn(&TouchView<'_>) -> bool) -> Option<usize> {
        (self.window.start..end.min(self.window.end)).rev().find(|at| self.is(*at, &what))
    }

    /// The positions of the journey's touches. If there are more than `max`: the first, those that a model singles out, and the newest,
    /// trusted ones before public ones.
    fn positions(
        &self,
        singled: impl Iterator<Item = usize>,
        max: usize,
        hear: Option<&mut Hear<'_, 't>>,
    ) -> (Vec<usize>, Folded) {
        let mut folded = Folded::default();
        let mut newest = Vec::new();
        for at in self.window.clone().rev() {
            match self.course.fold(at) {
                None if newest.len() == max => {
                    newest.push(at);
                    break;
                }
                None => newest.push(at),
                Some(fold) => folded.count(fold),
            }
        }
        let overlong = newest.len() > max;
        let kept = if overlong { self.shortened(singled, max) } else { newest.iter().rev().copied().collect() };
        if overlong {
            folded.overlong = self.window.len() - kept.len() - folded.duplicates - folded.visits;
        }
        if let Some(hear) = hear {
            for at in self.window.clone() {
                let overlong = || kept.binary_search(&at).err().map(|_| Fold::Overlong);
                if let (Some(touch), Some(fold)) = (self.course.get(at), self.course.fold(at).or_else(overlong)) {
                    hear(touch, fold);
                }
            }
        }
        (kept, folded)
    }

    fn shortened(&self, singled: impl Iterator<Item = usize>, max: usize) -> Vec<usize> {
        let first = self.first(self.window.start);
        let first_identified = self.window.clone().find(|at| self.is(*at, |touch| touch.identified));
        let last_non_direct = self.last(self.window.end, |touch| touch.channel != DIRECT);
        let mut kept: BTreeSet<usize> =
            singled.chain([first, first_identified, last_non_direct].into_iter().flatten()).collect();
        for public in [false, true] {
            let counts = |at: &usize| {
                self.course.get(*at).is_some_and(|touch| touch.view.public == public) && self.course.fold(*at).is_none()
            };
            for at in self.window.clone().rev().filter(counts) {
                if kept.len() >= max {
                    break;
                }
                kept.insert(at);
            }
        }
        kept.into_iter().collect()
    }
}
