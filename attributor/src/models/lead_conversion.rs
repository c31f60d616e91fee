//! `lead_conversion`.

use super::{Model, all_on};
use crate::journey::Journey;

/// All credit to the touch that made the lead: the last at or before the moment of `lead` (see [`super::Staged`]); without one, the
/// first touch that identified a person; else the first.
#[derive(Debug, Clone, Copy)]
pub struct LeadConversion;

impl Model for LeadConversion {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let at = journey.lead_anchor().or_else(|| journey.first_identified()).unwrap_or(0);
        all_on(at, journey.touches.len())
    }

    fn parameters(&self) -> String {
        String::new()
    }
}
