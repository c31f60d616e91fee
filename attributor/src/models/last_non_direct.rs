//! `last_non_direct`.

use super::{Model, all_on};
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
}
