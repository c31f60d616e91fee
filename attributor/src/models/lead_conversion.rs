//! `lead_conversion`.

use super::{Basis, Model, all_on};
use crate::journey::Journey;

/// All credit to the touch that made the lead: the last at or before the moment of `lead` (see [`super::Staged`]); without one, the
/// first touch that identified a person; else the first. For what follows a deal that was won, of the touches since then: see
/// [`Journey::begins`].
#[derive(Debug, Clone, Copy)]
pub struct LeadConversion;

impl Model for LeadConversion {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        let at = journey.lead_anchor().or_else(|| journey.first_identified()).unwrap_or(journey.begins());
        all_on(at, journey.touches.len())
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn basis(&self, journey: &Journey<'_>, at: usize) -> Basis {
        match (journey.lead_anchor(), journey.first_identified()) {
            (Some(lead), _) => {
                let anchors = if at == lead { vec![crate::moments::LEAD.to_owned()] } else { Vec::new() };
                Basis { anchors, ..Basis::sole(at == lead, "the last touch up to the lead") }
            }
            (None, Some(first)) => Basis::sole(at == first, "no touch before a lead: the first that named a person"),
            (None, None) => Basis::sole(at == journey.begins(), "no touch before a lead, and none named a person: the first"),
        }
    }
}
