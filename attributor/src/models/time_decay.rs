//! `time_decay`.

use super::{LastTouch, Model, elapsed_ms, scaled};
use crate::journey::Journey;

/// Credit that halves with every half-life between the touch and the milestone.
#[derive(Debug, Clone, Copy)]
pub struct TimeDecay {
    /// Milliseconds in which credit halves; 0 gives all to the last touch.
    pub half_life_ms: u64,
}

impl Model for TimeDecay {
    /// Relative to the latest touch, not to the milestone: the proportions are the same, and nothing underflows for a journey that
    /// ended long before its milestone.
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        if self.half_life_ms == 0 {
            return LastTouch.weigh(journey);
        }
        let latest_ms = journey.touches.last().map_or(0, |touch| touch.view.time_ms);
        let half_life_ms = self.half_life_ms as f64;
        let weights: Vec<f64> = journey
            .touches
            .iter()
            .map(|touch| libm::exp2(-(elapsed_ms(touch.view.time_ms, latest_ms) / half_life_ms)))
            .collect();
        scaled(&weights)
    }

    fn parameters(&self) -> String {
        format!("half_life_ms={}", self.half_life_ms)
    }
}
