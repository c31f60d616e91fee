//! `first_touch`.

use super::{Basis, Model, all_on};
use crate::journey::Journey;

/// All credit to the first touch.
#[derive(Debug, Clone, Copy)]
pub struct FirstTouch;

impl Model for FirstTouch {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        all_on(0, journey.touches.len())
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn basis(&self, _: &Journey<'_>, at: usize) -> Basis {
        Basis::sole(at == 0, "the first touch")
    }
}
