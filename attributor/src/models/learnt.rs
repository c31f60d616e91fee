//! Models that learn: a parameter set gives the weights of the channels of a journey.

use std::borrow::Cow;

use tributary_learn::parameters::{Label, ParameterSet};
use tributary_learn::weigher::Weigher;

use super::{Model, Rationale};
use crate::journey::Journey;

/// `markov`, `shapley_rate`, `spm`, `blr` and `apriori` with a parameter set; `shapley` without one.
#[derive(Debug)]
pub struct Learnt {
    weigher: Weigher,
    parameters: String,
}

impl Learnt {
    /// With the parameter set that has this digest.
    pub fn new(set: &ParameterSet, digest: &str) -> Self {
        Self { weigher: Weigher::new(set), parameters: format!("set={digest}") }
    }

    /// `shapley` without parameters: every channel of a journey gets the same.
    pub fn sum_game(label: Label) -> Self {
        let name = match label {
            Label::Channel => "channel",
            Label::ChannelSource => "channel_source",
            Label::Campaign => "campaign",
        };
        Self { weigher: Weigher::sum_game(label), parameters: format!("label={name}") }
    }

    fn labels<'a>(&self, journey: &Journey<'a>) -> Vec<Cow<'a, str>> {
        let label = self.weigher.label;
        journey.touches.iter().map(|touch| label.of(touch.view.channel, touch.view.source, touch.view.campaign)).collect()
    }
}

impl Model for Learnt {
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
        self.weigher.weigh(&self.labels(journey))
    }

    fn parameters(&self) -> String {
        self.parameters.clone()
    }

    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale {
        Rationale::words(self.weigher.why(&self.labels(journey), at))
    }
}
