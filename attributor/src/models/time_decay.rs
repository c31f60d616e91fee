//! `time_decay`.

use super::{LastTouch, Model, Rationale, elapsed_ms, scaled};
use crate::journey::Journey;

/// Milliseconds of a day.
const DAY_MS: f64 = 86_400_000.0;

/// Credit halves with every half-life between the touch and the milestone.
#[derive(Debug, Clone, Copy)]
pub struct TimeDecay {
    /// Half-life, milliseconds; 0 gives all to the last touch.
    pub half_life_ms: u64,
}

impl Model for TimeDecay {
    /// Relative to the latest touch, not to the milestone: the proportions are the same, and nothing underflows if a journey ended long
    /// before its milestone.
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

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        if self.half_life_ms == 0 {
            return LastTouch.rationale(journey, at);
        }
        let (Some(touch), Some(latest)) = (journey.touches.get(at), journey.touches.last()) else {
            return Rationale::default();
        };
        let days = elapsed_ms(touch.view.time_ms, latest.view.time_ms) / DAY_MS;
        let half_life_days = self.half_life_ms as f64 / DAY_MS;
        let place = if days > 0.0 { format!("{days:.1} days before the last touch") } else { "the last touch".to_owned() };
        Rationale::words(format!("{place}, halved every {half_life_days} days"))
    }
}
