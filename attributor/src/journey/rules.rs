//! By which rules a journey is found.

use tributary_proto::Milestone;

use crate::moments;

/// Position of `lead` among [`JourneyRules::stages`].
pub(super) const LEAD_STAGE: usize = 0;

/// By which rules the journeys to one kind of milestone are found.
#[derive(Debug, Clone, Copy)]
pub struct JourneyRules<'p> {
    /// How far back it reaches.
    pub window: WindowMs,
    /// How far back from the milestone touches may matter, milliseconds: no less than any window.
    pub look_back_ms: i64,
    /// Milestone kinds that a model looks at, `lead` first.
    pub stages: &'p [String],
    /// Most touches of it.
    pub max_journey: usize,
}

/// How far back a journey reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowMs {
    /// This many milliseconds before the milestone, both ends included.
    Lookback(i64),
    /// After the deal the unit won before, and at most this many milliseconds before the milestone.
    Lifecycle(i64),
}

impl WindowMs {
    /// The earliest time of a touch in the journey to `of`, given the unit's milestones that are not withdrawn.
    pub fn start_ms(self, of: &Milestone, live: &[&Milestone]) -> i64 {
        match self {
            Self::Lookback(length_ms) => of.time_ms.saturating_sub(length_ms),
            Self::Lifecycle(longest_ms) => {
                let after_ms = moments::last_won_before(of, live).map_or(i64::MIN, |won_ms| won_ms.saturating_add(1));
                after_ms.max(of.time_ms.saturating_sub(longest_ms))
            }
        }
    }

    /// The most it reaches back, milliseconds.
    pub fn longest_ms(self) -> i64 {
        let (Self::Lookback(longest_ms) | Self::Lifecycle(longest_ms)) = self;
        longest_ms
    }
}

/// What makes hits one visit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitRules {
    /// Longest time from one hit to the next, milliseconds; 0 for no visits: every hit counts by itself.
    pub gap_ms: i64,
    /// Touch types in lower case, the most telling first. All others come after these, page views last.
    pub touch_types: Vec<String>,
}

impl VisitRules {
    /// Types that say no more than that somebody was there.
    const VIEWS: [&str; 3] = ["", "page", "screen"];

    /// How telling a hit of this type is; 0 is most.
    pub(super) fn rank(&self, touch_type: &str) -> usize {
        let others = self.touch_types.len();
        let is = |known: &String| known.chars().eq(touch_type.chars().flat_map(char::to_lowercase));
        let named = self.touch_types.iter().position(is);
        named.unwrap_or(others + usize::from(Self::VIEWS.iter().any(|view| view.eq_ignore_ascii_case(touch_type))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_without_case_in_any_script() {
        let rules = VisitRules { gap_ms: 1, touch_types: vec!["événement".into(), "form".into()] };
        let ranks = ["Événement", "FORM", "试用", "Page", ""].map(|touch_type| rules.rank(touch_type));
        assert_eq!(ranks, [0, 1, 2, 3, 3]);
    }
}
