//! Groups of touches that get a fixed part of the credit together, whatever their number.

use tributary_proto::WHOLE_NANO;

use super::pattern::ByName;
use crate::apportion;
use crate::journey::Visit;

/// Fixed parts for the sides of a journey. A side is the touches of some channels, named in the settings; the last side is all other
/// touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// Which side a channel is on.
    sides: ByName<usize>,
    /// Name and part of each side, in billionths; the last is that of all other touches.
    parts: Vec<(String, u64)>,
}

impl Split {
    /// From the parts of the named sides, in billionths; the other touches get the rest.
    pub fn new(sides: ByName<usize>, mut named: Vec<(String, u64)>) -> Self {
        let left = WHOLE_NANO.saturating_sub(named.iter().map(|(_, part)| part).sum());
        named.push(("others".to_owned(), left));
        Self { sides, parts: named }
    }

    /// The position of the side that a touch is on.
    pub fn side(&self, touch: &Visit<'_>) -> usize {
        self.sides.get(touch.view.channel).map_or(self.parts.len().saturating_sub(1), |(_, side)| *side)
    }

    /// The sides that have touches, with their parts in billionths. The part of an empty side goes to the others in proportion.
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
