//! `last_non_direct`.

use super::{Basis, Model, all_on};
use crate::journey::Journey;

/// All credit to the last touch whose channel is not `direct`; to the last touch where all are.
#[derive(Debug, Clone, Copy)]
pub struct LastNonDirect;

impl Model for LastNonDirect {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let count = journey.touches.len();
        all_on(journey.last_non_direct().unwrap_or(count.saturating_sub(1)), count)
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn basis(&self, journey: &Journey<'_>, at: usize) -> Basis {
        match journey.last_non_direct() {
            Some(last) => Basis::sole(at == last, "the last touch that is not direct"),
            None => Basis::sole(at + 1 == journey.touches.len(), "the last touch: all are direct"),
        }
    }
}
