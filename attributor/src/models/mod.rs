//! The models: each turns a journey into relative weights, one per touch.
//!
//! A model is a pure function of the journey and its parameters. Weights are integers, so that billionths and ties are the same on every
//! platform. A transcendental function comes from `libm`, whose results do not depend on the platform, and goes through `scaled`. The
//! parameters and weights of models that learn are in `tributary_learn`.

mod learnt;
mod multipliers;
mod pattern;
mod plain;
mod position;
mod split;
mod staged;
mod time_decay;
mod time_weighted;

use std::fmt::Debug;

use crate::journey::Journey;

pub use learnt::Learnt;
pub use multipliers::{Band, By, Factors, MULTIPLIER_MAX, Multipliers};
pub use pattern::{ByName, Pattern};
pub use plain::{FirstTouch, LastNonDirect, LastTouch, LeadConversion, Linear};
pub use position::Position;
pub use split::Split;
pub use staged::{Anchor, Staged};
pub use time_decay::TimeDecay;
pub use time_weighted::TimeWeighted;

/// A rule that gives the touches of a journey their weights.
///
/// ```
/// use tributary_attributor::journey::{Cast, Journey, Timeline, Touchpoint};
/// use tributary_attributor::models::{Model, Rationale};
/// use tributary_attributor::plan::Plan;
/// use tributary_attributor::settings::Settings;
/// use tributary_proto::{Message, Milestone, StoredTouch, Touch, kind::Kinds};
///
/// /// The second touch gets all; the only one, if there is no other.
/// #[derive(Debug)]
/// struct SecondTouch;
///
/// impl Model for SecondTouch {
///     fn weigh(&self, journey: &Journey<'_>) -> Vec<u128> {
///         let chosen = 1.min(journey.touches.len() - 1);
///         (0..journey.touches.len()).map(|at| u128::from(at == chosen)).collect()
///     }
///
///     fn parameters(&self) -> String {
///         String::new()
///     }
///
///     fn rationale(&self, _: &Journey<'_>, _: usize) -> Rationale {
///         Rationale { words: "the second touch".into(), ..Rationale::default() }
///     }
/// }
///
/// let touch = |event_id: &str, time_ms| {
///     let touch = Some(Touch { channel: "email".into(), ..Touch::default() });
///     StoredTouch { event_id: event_id.into(), time_ms, touch, ..StoredTouch::default() }.encode_to_vec()
/// };
/// let stored = [touch("a", 1), touch("b", 2), touch("c", 3)];
/// let touches: Result<Vec<_>, _> = stored.iter().map(|raw| Touchpoint::read(raw, "p_1", "", &[0; 16])).collect();
/// let touches = touches?;
/// let won = Milestone { kind: "closed_won".into(), time_ms: 4, ..Milestone::default() };
/// let plan = Plan::compile(&Settings::default(), &Kinds::default())?;
/// let timeline = Timeline::of(&touches, &plan.visits);
/// let journey = Journey::build(&timeline, &won, &[&won], &Cast::default(), &plan.journey("closed_won"));
/// assert_eq!(SecondTouch.weigh(&journey), [0, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Model: Debug + Send + Sync {
    /// The weights, one a touch, in the journey's order; only their proportions matter. All zero stands for equal weights.
    ///
    /// The journey has at least one touch.
    fn weigh(&self, journey: &Journey<'_>) -> Vec<u128>;

    /// The parameters as text, for the model's version: models with the same type and text give the same weights. Part of the published
    /// format: do not change.
    fn parameters(&self) -> String;

    /// Why the touch at this position has its weight; empty if it has none.
    fn rationale(&self, journey: &Journey<'_>, at: usize) -> Rationale;
}

/// Why a touch has its weight under a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rationale {
    /// Its anchors: `first`, `last`, `close`, or kinds of milestones.
    pub anchors: Vec<String>,
    /// The reason in words.
    pub words: String,
}

impl Rationale {
    /// A reason without anchors.
    fn words(words: impl Into<String>) -> Self {
        Self { anchors: Vec::new(), words: words.into() }
    }

    /// The reason of a model that gives all weight to one touch; empty unless that touch is `here`.
    fn sole(here: bool, words: &str) -> Self {
        if here { Self::words(words) } else { Self::default() }
    }
}

/// Billionths as percent.
fn percent(nano: u128) -> String {
    format!("{} %", nano as f64 / 1e7)
}

/// All weight on one touch.
fn all_on(at: usize, count: usize) -> Vec<u128> {
    let mut weights = vec![0; count];
    if let Some(weight) = weights.get_mut(at) {
        *weight = 1;
    }
    weights
}

/// Integers in proportion to floating-point weights. The largest becomes 2^52, the precision of the floats themselves.
///
/// Uses only division and truncation, which IEEE 754 defines bit by bit. Weights that are not positive numbers count as 0.
fn scaled(weights: &[f64]) -> Vec<u128> {
    const LARGEST: f64 = 4_503_599_627_370_496.0;
    let largest = weights.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 || !largest.is_finite() {
        return vec![0; weights.len()];
    }
    weights.iter().map(|weight| (weight / largest * LARGEST) as u128).collect()
}

/// Milliseconds from `from` to `to` as a float, without overflow.
fn elapsed_ms(from: i64, to: i64) -> f64 {
    (i128::from(to) - i128::from(from)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_floats_are_equal_integers_and_nonsense_is_nothing() {
        assert_eq!(scaled(&[0.5, 0.25, 0.5]), [1 << 52, 1 << 51, 1 << 52]);
        assert_eq!(scaled(&[f64::NAN, -1.0, 2.0]), [0, 0, 1 << 52]);
        assert_eq!(scaled(&[0.0, 0.0]), [0, 0]);
        assert_eq!(scaled(&[f64::INFINITY, 1.0]), [0, 0]);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        assert!(elapsed_ms(i64::MIN, i64::MAX) > 1.8e19);
    }
}
