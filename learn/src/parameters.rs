//! Parameter sets: the result of a fit, as stored in a file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;

pub use crate::models::{Coefficient, ModelKind, PairRate, Parameters, Rule, SetRate};
use crate::paths::LABELS_MAX;

/// The format of the file.
const FORMAT: u32 = 1;
/// Hex digits of the digest in a set's name.
const DIGEST_DIGITS: usize = 16;

/// A reason to distrust a fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Its code, for programs.
    pub code: String,
    /// In words.
    pub text: String,
}

impl Warning {
    pub(crate) fn new(code: &str, text: String) -> Self {
        Self { code: code.to_owned(), text }
    }
}

/// Which field of a touch is its channel in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Its channel.
    #[default]
    Channel,
    /// Its channel and its source, with `/` between; only the channel if it has no source.
    ChannelSource,
    /// Its campaign; if it has none, its channel in round brackets.
    Campaign,
}

impl Label {
    /// The label of a touch.
    pub fn of<'a>(self, channel: &'a str, source: &str, campaign: &'a str) -> Cow<'a, str> {
        match self {
            Self::ChannelSource if !source.is_empty() => format!("{channel}/{source}").into(),
            Self::Campaign if campaign.is_empty() => format!("({channel})").into(),
            Self::Campaign => campaign.into(),
            Self::Channel | Self::ChannelSource => channel.into(),
        }
    }
}

/// Where the paths come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The kind of milestone that converting journeys lead to.
    pub target: String,
    /// The field of a touch that is its channel.
    pub label: Label,
    /// How far journeys reach back, days; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window_days: Option<u64>,
    /// The earliest touch, milliseconds since 1970-01-01 UTC; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_ms: Option<i64>,
    /// Later events are left out, milliseconds since 1970-01-01 UTC; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until_ms: Option<i64>,
    /// Median time from the first touch to the milestone of converting journeys, milliseconds; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub median_cycle_ms: Option<i64>,
    /// Journeys left out because it is still open whether they convert.
    pub undecided: u64,
    /// Milestones left out because no touch led to them.
    pub without_touch: u64,
}

/// Numbers of paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub converting: u64,
    pub null: u64,
    pub distinct_paths: u64,
    pub distinct_sets: u64,
}

/// A channel, and its share under the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its label.
    pub channel: String,
    /// Journeys that have it.
    pub journeys: u64,
    /// Of these, the converting ones.
    pub converting: u64,
    /// Its share, in billionths: for Markov of all removal effects, for the others of the credit of all converting journeys.
    pub share_nano: u64,
    /// The 90 % interval of the share over the resamples; `None` without resamples.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval_nano: Option<[u64; 2]>,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSet {
    /// The format of the file.
    pub format: u32,
    /// Where the paths come from.
    #[serde(flatten)]
    pub about: About,
    /// Numbers of paths.
    pub counts: Counts,
    /// The seed of the random numbers.
    pub seed: u64,
    /// The number of resamples behind the intervals.
    pub resamples: u32,
    /// The parameters.
    pub parameters: Parameters,
    /// Every channel, by name.
    pub channels: Vec<Channel>,
    /// Reasons to distrust it.
    pub warnings: Vec<Warning>,
}

/// Why a file is not a usable parameter set.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is not JSON of this form.
    #[error("it is no parameter set that `tributary fit` has written: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it has the format {0}, and this version reads {FORMAT}: fit again")]
    Format(u32),
    /// Its parts do not fit together.
    #[error("{0}: it was changed or cut; fit again")]
    Damaged(&'static str),
}

impl ParameterSet {
    /// A set in the current format.
    pub(crate) fn new(about: About, counts: Counts, parameters: Parameters, channels: Vec<Channel>) -> Self {
        Self { format: FORMAT, about, counts, seed: 0, resamples: 0, parameters, channels, warnings: Vec::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let set: Self = serde_json::from_str(text)?;
        if set.format != FORMAT {
            return Err(Unusable::Format(set.format));
        }
        set.checked().map_err(Unusable::Damaged)
    }

    fn checked(self) -> Result<Self, &'static str> {
        let sorted = self.channels.is_sorted_by(|a, b| a.channel < b.channel);
        let count = self.channels.len();
        if !sorted || count > LABELS_MAX {
            return Err("its channels are not in order, each once");
        }
        if self.parameters.fit_to(count) { Ok(self) } else { Err("its parameters do not fit its channels") }
    }

    /// The model.
    pub fn kind(&self) -> ModelKind {
        self.parameters.kind()
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// None in practice: the data has only plain types.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// A hash of its content, whatever white space its file has.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn digest(&self) -> Result<String, serde_json::Error> {
        let mut hex = Hash128::of(self.text()?.as_bytes()).to_string();
        hex.truncate(DIGEST_DIGITS);
        Ok(hex)
    }

    /// Its name: the target, the model with its order, and the digest: `closed_won-markov1-9f3a5f0c1d2e3b4a`.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn name(&self) -> Result<String, serde_json::Error> {
        let order = if let ModelKind::Markov { order } = self.kind() { order.to_string() } else { String::new() };
        Ok(format!("{}-{}{order}-{}", self.about.target, self.kind().name(), self.digest()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_sum_game_need_a_set() {
        let names = ModelKind::all(1).map(ModelKind::name);
        let needing: Vec<&str> = names.into_iter().filter(|name| *name != ModelKind::Shapley.name()).collect();
        assert_eq!(needing, ModelKind::FITTED);
    }
}
