//! `position`: U, J, inverse J and custom.

use super::{Model, Rationale, percent};
use crate::journey::Journey;

/// Fixed shares for the first and the last touch; those between divide the rest equally.
///
/// A single touch gets everything. Two touches divide it in the proportion of first to last.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Share of the first touch, in billionths.
    pub first_nano: u64,
    /// Share of all touches between, in billionths.
    pub middle_nano: u64,
    /// Share of the last touch, in billionths.
    pub last_nano: u64,
}

impl Model for Position {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let count = journey.touches.len();
        if count == 1 {
            return vec![1];
        }
        let between = count.saturating_sub(2) as u128;
        let scale = between.max(1);
        let mut weights = vec![u128::from(self.middle_nano); count];
        if let Some(first) = weights.first_mut() {
            *first = u128::from(self.first_nano) * scale;
        }
        if let Some(last) = weights.last_mut() {
            *last = u128::from(self.last_nano) * scale;
        }
        weights
    }

    fn parameters(&self) -> String {
        format!("first={},middle={},last={}", self.first_nano, self.middle_nano, self.last_nano)
    }

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        let count = journey.touches.len();
        let part = |nano: u64| percent(nano.into());
        let end =
            |name: &str, nano: u64| Rationale { anchors: vec![name.to_owned()], words: format!("{name}: {}", part(nano)) };
        match at {
            0 if count == 1 => Rationale { anchors: vec!["first".into(), "last".into()], words: "the only touch".into() },
            0 => end("first", self.first_nano),
            at if at + 1 == count => end("last", self.last_nano),
            _ => Rationale::words(format!(
                "one of {} between first and last: {} in equal parts",
                count - 2,
                part(self.middle_nano)
            )),
        }
    }
}
