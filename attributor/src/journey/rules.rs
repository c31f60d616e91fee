//! The rules for finding a journey.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::settings::Period;

/// Position of `lead` among [`JourneyRules::stages`].
pub(super) const LEAD_STAGE: usize = 0;

/// The rules for journeys to one kind of milestone.
#[derive(Debug, Clone, Copy)]
pub struct JourneyRules<'p> {
    /// How far back a journey reaches.
    pub window: WindowMs,
    /// How far before the milestone touches can matter, milliseconds: at least the longest window.
    pub look_back_ms: i64,
    /// The time zone in which months begin.
    pub zone: &'p TimeZone,
    /// Milestone kinds that a model uses, `lead` first.
    pub stages: &'p [String],
    /// Most touches of a journey.
    pub max_journey: usize,
}

/// How far back a journey reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowMs {
    /// This many milliseconds before the milestone, both ends included.
    Lookback(i64),
    /// Since the deal that the unit won before, but at most this many milliseconds before the milestone.
    Lifecycle(i64),
    /// Since the beginning of the milestone's month, quarter or year.
    Calendar(Period),
}

const DAY_MS: i64 = 86_400_000;

impl WindowMs {
    /// The earliest time of a touch in the journey to a milestone at `time_ms`. `won_before_ms`: when the unit last won a deal before it.
    /// `zone`: where months begin.
    pub fn start_ms(self, time_ms: i64, won_before_ms: Option<i64>, zone: &TimeZone) -> i64 {
        match self {
            Self::Lookback(length_ms) => time_ms.saturating_sub(length_ms),
            Self::Lifecycle(longest_ms) => {
                let after_ms = won_before_ms.map_or(i64::MIN, |won_ms| won_ms.saturating_add(1));
                after_ms.max(time_ms.saturating_sub(longest_ms))
            }
            Self::Calendar(period) => began_ms(period, time_ms, zone).unwrap_or(time_ms.saturating_sub(self.longest_ms())),
        }
    }

    /// The longest it can reach back, milliseconds.
    pub fn longest_ms(self) -> i64 {
        match self {
            Self::Lookback(longest_ms) | Self::Lifecycle(longest_ms) => longest_ms,
            // A day more than the longest such period, for clocks that are set back.
            Self::Calendar(Period::Month) => 32 * DAY_MS,
            Self::Calendar(Period::Quarter) => 93 * DAY_MS,
            Self::Calendar(Period::Year) => 367 * DAY_MS,
        }
    }
}

/// The beginning of the month, quarter or year of a time; `None` for times outside the calendar's range.
fn began_ms(period: Period, time_ms: i64, zone: &TimeZone) -> Option<i64> {
    let date = zone.to_datetime(Timestamp::from_millisecond(time_ms).ok()?).date();
    let month = match period {
        Period::Month => date.month(),
        Period::Quarter => (date.month() - 1) / 3 * 3 + 1,
        Period::Year => 1,
    };
    let first = jiff::civil::Date::new(date.year(), month, 1).ok()?;
    Some(first.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// Which hits form one visit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitRules {
    /// Longest time from one hit to the next, milliseconds; 0: no visits, every hit counts by itself.
    pub gap_ms: i64,
    /// Touch types in lower case, highest rank first. All other types come after these, page views last.
    pub touch_types: Vec<String>,
}

impl VisitRules {
    /// Types of mere page views.
    const VIEWS: [&str; 3] = ["", "page", "screen"];

    /// The rank of a touch type among the hits of a visit; 0 is the highest.
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
    fn a_period_begins_at_midnight_of_its_zone() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let start =
            |period, time: &str, zone: &str| WindowMs::Calendar(period).start_ms(at(time), None, &TimeZone::get(zone).unwrap());
        let shanghai = "Asia/Shanghai";
        // In Shanghai it is already the first of April.
        assert_eq!(start(Period::Month, "2026-03-31T16:00:00Z", shanghai), at("2026-03-31T16:00:00Z"));
        assert_eq!(start(Period::Month, "2026-03-31T15:59:59.999Z", shanghai), at("2026-02-28T16:00:00Z"));
        assert_eq!(start(Period::Quarter, "2026-03-31T15:59:59.999Z", shanghai), at("2025-12-31T16:00:00Z"));
        assert_eq!(start(Period::Quarter, "2026-12-31T15:59:59Z", shanghai), at("2026-09-30T16:00:00Z"));
        assert_eq!(start(Period::Year, "2026-06-01T00:00:00Z", "America/New_York"), at("2026-01-01T05:00:00Z"));
        // Daylight saving begins within the month.
        assert_eq!(start(Period::Month, "2026-03-30T00:00:00Z", "Europe/Berlin"), at("2026-02-28T23:00:00Z"));
        let far = WindowMs::Calendar(Period::Month).start_ms(i64::MAX, None, &TimeZone::UTC);
        assert_eq!(far, i64::MAX - 32 * DAY_MS);
    }

    #[test]
    fn types_are_compared_without_case_in_any_script() {
        let rules = VisitRules { gap_ms: 1, touch_types: vec!["événement".into(), "form".into()] };
        let ranks = ["Événement", "FORM", "试用", "Page", ""].map(|touch_type| rules.rank(touch_type));
        assert_eq!(ranks, [0, 1, 2, 3, 3]);
    }
}
