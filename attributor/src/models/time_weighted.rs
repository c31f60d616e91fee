//! `time_weighted`: an asymmetric bathtub.

use super::{Linear, Model, Rationale, elapsed_ms, scaled};
use crate::journey::Journey;

/// Credit by the time of a touch between the first touch and the milestone, as a beta density: high at both ends, low between.
///
/// Proportional to `u^(alpha-1) (1-u)^(beta-1)` at `u = 0.05 + 0.9 (t - t1) / (m.time - t1)`, after Wooff and Anderson, *Time-weighted
/// multi-touch attribution and channel relevance in the customer journey to online purchase* (2015). The margins of 0.05 keep the ends
/// finite. If the first touch and the milestone are at the same time, so are all touches: they share equally.
#[derive(Debug, Clone, Copy)]
pub struct TimeWeighted {
    /// Shape at the first touch, in millionths: lower gives more credit to that end.
    pub alpha_micro: u64,
    /// Shape at the milestone, in millionths: lower gives more credit to that end.
    pub beta_micro: u64,
}

impl Model for TimeWeighted {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let first_ms = journey.touches.first().map_or(0, |touch| touch.view.time_ms);
        let span_ms = elapsed_ms(first_ms, journey.milestone_time_ms);
        if span_ms <= 0.0 {
            return Linear.weigh(journey);
        }
        let rise = self.alpha_micro as f64 / 1e6 - 1.0;
        let fall = self.beta_micro as f64 / 1e6 - 1.0;
        let weights: Vec<f64> = journey
            .touches
            .iter()
            .map(|touch| {
                let u = 0.05 + 0.9 * (elapsed_ms(first_ms, touch.view.time_ms) / span_ms);
                libm::pow(u, rise) * libm::pow(1.0 - u, fall)
            })
            .collect();
        scaled(&weights)
    }

    fn parameters(&self) -> String {
        format!("alpha_micro={},beta_micro={}", self.alpha_micro, self.beta_micro)
    }

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        let (Some(first), Some(touch)) = (journey.touches.first(), journey.touches.get(at)) else {
            return Rationale::default();
        };
        let span_ms = elapsed_ms(first.view.time_ms, journey.milestone_time_ms);
        if span_ms <= 0.0 {
            return Linear.rationale(journey, at);
        }
        let way = elapsed_ms(first.view.time_ms, touch.view.time_ms) / span_ms * 100.0;
        Rationale::words(format!("{way:.0} % of the way from the first touch to the milestone"))
    }
}
