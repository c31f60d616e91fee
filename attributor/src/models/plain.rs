//! The models without parameters: all credit to one touch, or the same to each.

use super::{Model, Rationale, all_on};
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

    fn rationale(&self, _: &Journey<'_>, at: usize) -> Rationale {
        Rationale::sole(at == 0, "the first touch")
    }
}

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

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        Rationale::sole(at + 1 == journey.touches.len(), "the last touch")
    }
}

/// All credit to the last touch whose channel is not `direct`; if all are direct, to the last touch.
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

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        match journey.last_non_direct() {
            Some(last) => Rationale::sole(at == last, "the last touch that is not direct"),
            None => Rationale::sole(at + 1 == journey.touches.len(), "the last touch: all are direct"),
        }
    }
}

/// All credit to the touch of the lead: the last at or before the time of `lead` (see [`super::Staged`]); without a lead, the first touch
/// that identified a person; else the first. For milestones that follow a won deal, only touches since then count: see [`Journey::begins`].
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

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        match (journey.lead_anchor(), journey.first_identified()) {
            (Some(lead), _) => {
                let anchors = if at == lead { vec![crate::funnel::LEAD.to_owned()] } else { Vec::new() };
                Rationale { anchors, ..Rationale::sole(at == lead, "the last touch up to the lead") }
            }
            (None, Some(first)) => Rationale::sole(at == first, "no touch before a lead: the first that named a person"),
            (None, None) => {
                Rationale::sole(at == journey.begins(), "no touch before a lead, and none named a person: the first")
            }
        }
    }
}

/// Equal credit to every touch.
#[derive(Debug, Clone, Copy)]
pub struct Linear;

impl Model for Linear {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        vec![1; journey.touches.len()]
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn rationale(&self, journey: &Journey<'_>, _: usize) -> Rationale {
        Rationale::words(format!("one of {} touches, in equal parts", journey.touches.len()))
    }
}
