//! `linear`.

use super::{Basis, Model};
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

    fn basis(&self, journey: &Journey<'_>, _: usize) -> Basis {
        Basis::words(format!("one of {} touches, in equal parts", journey.touches.len()))
    }
}
