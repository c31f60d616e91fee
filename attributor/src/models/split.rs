//! Groups of touches that get a fixed part of the credit together, whatever their number.

use tributary_proto::WHOLE_NANO;

use super::pattern::ByName;
use crate::apportion;
use crate::journey::Visit;

/// What the sides get: touches of the channels that are named, side by side, and all others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Which side a channel is on.
    sides: ByName<usize>,
    /// The name of each side and its part, in billionths; the last is that of all others.
    parts: Vec<(String, u64)>,
}

impl Split {
    /// Of the parts of the sides that are named, in billionths; the others get what is left.
    pub fn new(sides: ByName<usize>, mut named: Vec<(String, u64)>) -> Self {
        let left = WHOLE_NANO.saturating_sub(named.iter().map(|(_, part)| part).sum());
        named.push(("others".to_owned(), left));
        Self { sides, parts: named }
    }

    /// The side of a touch, by position.
    pub fn side(&self, touch: &Visit<'_>) -> usize {
        self.sides.get(touch.view.channel).map_or(self.parts.len().saturating_sub(1), |(_, side)| *side)
    }

    /// The sides that any of the touches is on, with their parts in billionths: the part of an empty side goes to the others in proportion.
    pub fn parts(&self, touches: &[Visit<'_>]) -> Vec<(usize, u64)> {
        let filled = |side: &usize| touches.iter().any(|touch| self.side(touch) == *side);
        let sides: Vec<usize> = (0..self.parts.len()).filter(filled).collect();
        let parts: Vec<u128> =
            sides.iter().filter_map(|side| self.parts.get(*side)).map(|(_, part)| u128::from(*part)).collect();
        sides.into_iter().zip(apportion::nano(&parts)).collect()
    }

    /// The name of a side.
    pub fn name(&self, side: usize) -> &str {
        self.parts.get(side).map_or("", |(name, _)| name)
    }

    /// The parts as text, for the model's version. Part of the published format: do not change.
    pub fn parameters(&self) -> String {
        self.parts.iter().map(|(name, part)| format!("{name:?}={part},")).collect()
    }
}
