//! Multipliers on any model: by the person of a touch, its fields, its time, and the size of the deal.

use tributary_proto::{Milestone, vocabulary};

use super::pattern::ByName;
use crate::journey::{Journey, Visit};
use crate::value::in_major_units;

/// One, in millionths.
const ONE_MICRO: u64 = 1_000_000;

/// The largest multiplier that settings may have.
pub const MULTIPLIER_MAX: f64 = 1_000.0;

/// The columns that factors can depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The role of the touch's person, as [`vocabulary::role`] writes it.
    Role,
    /// Channel.
    Channel,
    /// Touch type.
    TouchType,
    /// Source.
    Source,
    /// Campaign.
    Campaign,
}

impl By {
    /// All columns, in the order in which factors are multiplied.
    pub const ALL: [Self; 5] = [Self::Role, Self::Channel, Self::TouchType, Self::Source, Self::Campaign];

    /// The name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Channel => "channel",
            Self::TouchType => "touch_type",
            Self::Source => "source",
            Self::Campaign => "campaign",
        }
    }

    fn words(self) -> &'static str {
        if self == Self::TouchType { "touch type" } else { self.name() }
    }

    /// The value of a touch in this column.
    fn of(self, touch: &Visit<'_>) -> String {
        match self {
            Self::Role => vocabulary::role(touch.role),
            Self::Channel => touch.view.channel.to_owned(),
            Self::TouchType => touch.view.touch_type.to_owned(),
            Self::Source => touch.view.source.to_owned(),
            Self::Campaign => touch.view.campaign.to_owned(),
        }
    }
}

/// Factors in millionths. The factor of a name that is not listed is 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Factors {
    /// By column, the factors by name.
    pub by: Vec<(By, ByName<u64>)>,
    /// Factors for touches after a stage, of which the latest one counts: its position among the plan's stages, its kind and the factor.
    pub stages: Vec<(usize, String, u64)>,
    /// The factor for touches before all these stages.
    pub before_stages: Option<u64>,
}

/// Factors for deals of at least a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// The least value, in millionths of the major unit.
    pub from_micro: u128,
    /// The currency; any if empty.
    pub currency: String,
    /// The factors, which apply beside the general ones.
    pub factors: Factors,
}

/// Factors on a model's weights, which are normalised again afterwards. Factors and their products are exact to the millionth. If no weight
/// is left, the model's own weights count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multipliers {
    /// For all deals.
    pub factors: Factors,
    /// Of these, the one with the highest `from_micro` that the deal's value reaches applies.
    pub bands: Vec<Band>,
}

/// A factor and its reason: `the role champion`.
type Reason = (u64, String);

impl Factors {
    fn is_empty(&self) -> bool {
        self.by.is_empty() && self.stages.is_empty() && self.before_stages.is_none()
    }

    /// The factors of the touch at a position of a journey, in the order in which they are multiplied.
    fn on(&self, journey: &Journey<'_>, touch: &Visit<'_>) -> Vec<Reason> {
        let mut all = Vec::new();
        for (by, names) in &self.by {
            let name = by.of(touch);
            if let Some((_, factor)) = names.get(&name) {
                all.push((*factor, format!("the {} {name}", by.words())));
            }
        }
        all.extend(self.by_stage(journey, touch.view.time_ms));
        all
    }

    fn by_stage(&self, journey: &Journey<'_>, time_ms: i64) -> Option<Reason> {
        let moments = self.stages.iter().filter_map(|stage| Some((journey.stage_moment(stage.0)?, stage)));
        // Of stages reached at the same time, the one listed last counts.
        match moments.filter(|(moment_ms, _)| *moment_ms < time_ms).max_by_key(|(moment_ms, _)| *moment_ms) {
            Some((_, (_, kind, factor))) => Some((*factor, format!("the stage {kind}"))),
            None => self.before_stages.map(|factor| (factor, "the time before these stages".to_owned())),
        }
    }

    fn uses(&self, by: By) -> bool {
        self.by.iter().any(|(used, _)| *used == by)
    }

    fn parameters(&self) -> String {
        let mut text = String::new();
        for (by, names) in &self.by {
            for (name, factor) in names.sorted() {
                text.push_str(&format!("{}.{name:?}={factor},", by.name()));
            }
        }
        for (_, kind, factor) in &self.stages {
            text.push_str(&format!("stage.{kind:?}={factor},"));
        }
        if let Some(factor) = self.before_stages {
            text.push_str(&format!("stage.before={factor},"));
        }
        text
    }
}

impl Multipliers {
    /// Whether there are no factors.
    pub fn is_empty(&self) -> bool {
        self.factors.is_empty() && self.bands.is_empty()
    }

    /// Whether any factor depends on this column.
    pub fn uses(&self, by: By) -> bool {
        self.factors.uses(by) || self.bands.iter().any(|band| band.factors.uses(by))
    }

    /// Multiplies the weights of a journey's touches.
    pub fn apply(&self, journey: &Journey<'_>, of: &Milestone, weights: Vec<u128>) -> Vec<u128> {
        if self.is_empty() {
            return weights;
        }
        // All weights 0 stands for equal weights.
        let own: Vec<u128> = if weights.iter().all(|weight| *weight == 0) { vec![1; weights.len()] } else { weights };
        let band = self.band(of);
        let factor = |touch| product(&self.on(journey, touch, band));
        let multiplied: Vec<u128> =
            own.iter().zip(&journey.touches).map(|(weight, touch)| weight.saturating_mul(factor(touch))).collect();
        if multiplied.iter().all(|weight| *weight == 0) { own } else { multiplied }
    }

    fn band(&self, of: &Milestone) -> Option<&Band> {
        let mut value = None;
        let reached = |band: &&Band| {
            let value = *value.get_or_insert_with(|| in_major_units(of));
            (band.currency.is_empty() || band.currency == of.currency) && band.from_micro <= value
        };
        self.bands.iter().filter(reached).collect::<Vec<_>>().into_iter().max_by_key(|band| band.from_micro)
    }

    fn on(&self, journey: &Journey<'_>, touch: &Visit<'_>, band: Option<&Band>) -> Vec<Reason> {
        let mut all = self.factors.on(journey, touch);
        if let Some(band) = band {
            let size = band.from_micro as f64 / ONE_MICRO as f64;
            let of_band = band.factors.on(journey, touch).into_iter();
            all.extend(of_band.map(|(factor, why)| (factor, format!("{why} in deals from {size}"))));
        }
        all
    }

    /// The factors of a touch that has credit, in words; empty if there are none.
    pub fn words(&self, journey: &Journey<'_>, of: &Milestone, touch: &Visit<'_>) -> String {
        let all = self.on(journey, touch, self.band(of));
        if product(&all) == 0 {
            return "; the multipliers would leave no weight at all, and are left out".to_owned();
        }
        all.iter().map(|(factor, why)| format!("; times {} for {why}", *factor as f64 / ONE_MICRO as f64)).collect()
    }

    /// The factors as text, for the model's version. Part of the published format: do not change.
    pub fn parameters(&self) -> String {
        let mut text = self.factors.parameters();
        for band in &self.bands {
            text.push_str(&format!("from {} {}({}),", band.from_micro, band.currency, band.factors.parameters()));
        }
        text
    }
}

fn product(factors: &[Reason]) -> u128 {
    factors.iter().fold(u128::from(ONE_MICRO), |product, (factor, _)| product * u128::from(*factor) / u128::from(ONE_MICRO))
}
