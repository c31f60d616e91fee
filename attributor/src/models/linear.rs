//! `linear`.

use super::Model;
use crate::journey::Journey;

/// The same credit to every touch.
#[derive(Debug, Clone, Copy)]
pub struct Linear;

impl Model for Linear {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        vec![1; journey.touches.len()]
    }

    fn parameters(&self) -> String {
        String::new()
    }
}
