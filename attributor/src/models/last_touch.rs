//! `last_touch`.

use super::{Basis, Model, all_on};
use crate::journey::Journey;

/// All credit to the last touch.
#[derive(Debug, Clone, Copy)]
pub struct LastTouch;

impl Model for LastTouch {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let count = journey.touches.len();
        all_on(count.saturating_sub(1), count)
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn basis(&self, journey: &Journey<'_>, at: usize) -> Basis {
        Basis::sole(at + 1 == journey.touches.len(), "the last touch")
    }
}
