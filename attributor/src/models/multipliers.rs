//! Multipliers by role, channel and touch type, on any model.

use std::collections::BTreeMap;

use tributary_proto::vocabulary;

use crate::journey::Visit;

/// One, in millionths.
const ONE_MICRO: u64 = 1_000_000;

/// The largest multiplier there may be.
pub const MULTIPLIER_MAX: f64 = 1_000.0;

/// Factors on a model's weights, which are then shared out anew. A role, channel or touch type that is not named has the factor 1.
/// Factors and their products are exact to the millionth. Where they leave no weight at all, the model's own weights stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multipliers {
    /// By the role of the touch's person, as [`vocabulary::role`] writes it, in millionths.
    pub role_micro: BTreeMap<String, u64>,
    /// By channel, in millionths.
    pub channel_micro: BTreeMap<String, u64>,
    /// By touch type, in millionths.
    pub touch_type_micro: BTreeMap<String, u64>,
}

impl Multipliers {
    /// Whether nothing is multiplied.
    pub fn is_empty(&self) -> bool {
        self.role_micro.is_empty() && self.channel_micro.is_empty() && self.touch_type_micro.is_empty()
    }

    /// Multiplies the weights of `touches`.
    pub fn apply(&self, touches: &[Visit<'_>], weights: Vec<u128>) -> Vec<u128> {
        if self.is_empty() {
            return weights;
        }
        // A model may leave it at all zero for equal weights.
        let own: Vec<u128> = if weights.iter().all(|weight| *weight == 0) { vec![1; weights.len()] } else { weights };
        let multiplied: Vec<u128> =
            own.iter().zip(touches).map(|(weight, touch)| weight.saturating_mul(self.factor_micro(touch))).collect();
        if multiplied.iter().all(|weight| *weight == 0) { own } else { multiplied }
    }

    fn factor_micro(&self, touch: &Visit<'_>) -> u128 {
        let factor = |map: &BTreeMap<String, u64>, key: &str| u128::from(map.get(key).copied().unwrap_or(ONE_MICRO));
        let one = u128::from(ONE_MICRO);
        let by_channel = factor(&self.role_micro, &self.role(touch)) * factor(&self.channel_micro, touch.view.channel) / one;
        by_channel * factor(&self.touch_type_micro, touch.view.touch_type) / one
    }

    /// The role of the touch's person, as roles are compared; empty where none matters.
    fn role(&self, touch: &Visit<'_>) -> String {
        if self.role_micro.is_empty() { String::new() } else { vocabulary::role(touch.role) }
    }

    /// The factors on a touch that has credit, in words; empty where there are none.
    pub fn words(&self, touch: &Visit<'_>) -> String {
        if self.factor_micro(touch) == 0 {
            return "; the multipliers would leave no weight at all, and are left out".to_owned();
        }
        let role = self.role(touch);
        let factors = [
            ("role", &self.role_micro, role.as_str()),
            ("channel", &self.channel_micro, touch.view.channel),
            ("touch type", &self.touch_type_micro, touch.view.touch_type),
        ];
        let named = factors.into_iter().filter_map(|(name, map, key)| Some((name, map.get(key)?, key)));
        named.map(|(name, factor, key)| format!("; times {} for the {name} {key}", *factor as f64 / ONE_MICRO as f64)).collect()
    }

    /// The factors as text, for the model's version. Part of the published format: do not change.
    pub fn parameters(&self) -> String {
        let mut text = String::new();
        for (name, map) in
            [("role", &self.role_micro), ("channel", &self.channel_micro), ("touch_type", &self.touch_type_micro)]
        {
            for (key, factor) in map {
                text.push_str(&format!("{name}.{key:?}={factor},"));
            }
        }
        text
    }
}
