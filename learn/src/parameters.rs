//! Parameter sets: the result of a fit, as stored in a file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tributary_proto::Hash128;

pub use crate::models::{Coefficient, ModelKind, PairRate, Parameters, Rule, SetRate};
use crate::paths::LABELS_MAX;

/// The format of the file.
const FORMAT: u32 = 1;
/// Hex digits of a digest in a name.
const DIGEST_DIGITS: usize = 16;

/// A reason not to rely on a fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Which one, for programs.
    pub code: String,
    /// In words.
    pub text: String,
}

impl Warning {
    pub(crate) fn new(code: &str, text: String) -> Self {
        Self { code: code.to_owned(), text }
    }
}

/// What a touch is called in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Its channel.
    #[default]
    Channel,
    /// Its channel and its source, with `/` between; the channel alone where it has no source.
    ChannelSource,
    /// Its campaign; its channel in round brackets where it has none.
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

/// Where the paths are from, for readers of the set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The kind of milestone that converting journeys lead to.
    pub target: String,
    /// What touches are called.
    pub label: Label,
    /// How far journeys reach back, days; where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window_days: Option<u64>,
    /// The earliest touch, milliseconds since 1970-01-01 UTC; where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_ms: Option<i64>,
    /// What happened later is left out, milliseconds since 1970-01-01 UTC; where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until_ms: Option<i64>,
    /// Half of the converting journeys took longer than this from the first touch to the milestone; where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub median_cycle_ms: Option<i64>,
    /// Journeys left out because it is not decided yet whether they convert.
    pub undecided: u64,
    /// Milestones left out because no touch led to them.
    pub without_touch: u64,
}

/// How many paths there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Counts {
    pub converting: u64,
    pub null: u64,
    pub distinct_paths: u64,
    pub distinct_sets: u64,
}

/// A channel, and what the model gives it in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its label.
    pub channel: String,
    /// Journeys that have it.
    pub journeys: u64,
    /// Converting ones.
    pub converting: u64,
    /// Its part, in billionths: for Markov of all removal effects, for the others of the credit of all converting journeys.
    pub share_nano: u64,
    /// 90 % of the resamples give it at least and at most this; where there were any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval_nano: Option<[u64; 2]>,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSet {
    /// The format of the file.
    pub format: u32,
    /// What the paths were.
    #[serde(flatten)]
    pub about: About,
    /// How many there were.
    pub counts: Counts,
    /// What random numbers began with.
    pub seed: u64,
    /// How many resamples intervals come from.
    pub resamples: u32,
    /// What was learnt.
    pub parameters: Parameters,
    /// Every channel, by name.
    pub channels: Vec<Channel>,
    /// What speaks against relying on it.
    pub warnings: Vec<Warning>,
}

/// A file holds no usable parameter set.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is no JSON of this form.
    #[error("it is no parameter set that `tributary fit` has written: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it has the format {0}, and this version reads {FORMAT}: fit anew")]
    Format(u32),
    /// Its parts do not fit together.
    #[error("{0}: it was changed or cut; fit anew")]
    Damaged(&'static str),
}

impl ParameterSet {
    /// A set of the present format.
    pub(crate) fn new(about: About, counts: Counts, parameters: Parameters, channels: Vec<Channel>) -> Self {
        Self { format: FORMAT, about, counts, seed: 0, resamples: 0, parameters, channels, warnings: Vec::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
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
    /// None that can happen: it is plain data.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// A hash of all that is in it, whatever spaces its file has.
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
