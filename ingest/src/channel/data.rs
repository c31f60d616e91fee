//! The form of the channel rules: what `rules/channels.toml` and the configuration may say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One rule: all its conditions must hold. A condition is a list of patterns of which one must match the whole field, without
/// case; `*` at the beginning or end of a pattern stands for any text, and `@name` for the patterns of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The channel given.
    pub channel: String,
    /// Patterns for the source.
    pub source: Option<Vec<String>>,
    /// Categories of sites (`search`, `social`, ...) of which the source must be one; empty for any source.
    pub source_site: Vec<String>,
    /// Patterns for the medium.
    pub medium: Option<Vec<String>>,
    /// Patterns for the campaign.
    pub campaign: Option<Vec<String>>,
    /// A regular expression to be found in the campaign, for what patterns cannot say.
    pub campaign_regex: Option<String>,
    /// Patterns for the touch type.
    pub touch_type: Option<Vec<String>>,
    /// Raw inputs: `sdk`, `utm`, `webhook`, `offline`.
    pub input: Option<Vec<String>>,
}

/// A site that sends visitors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// Its name: the source of a touch whose referrer it is.
    pub name: String,
    /// What it is: `search`, `social`, `video`, `shopping`, `wechat`, ...
    pub category: String,
    /// Its domains; their subdomains are the site's too.
    pub domains: Vec<String>,
    /// Other names that senders write for it as a source.
    pub aliases: Vec<String>,
}

/// A parameter that an advertising network adds to the landing URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickId {
    /// The parameter's name, lower case.
    pub parameter: String,
    /// The source it proves.
    pub source: String,
    /// The medium it proves; empty where the network adds it to unpaid clicks too.
    #[serde(default)]
    pub medium: String,
}

/// The query parameters of each field, in order of precedence, lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Parameters for the source.
    pub source: Vec<String>,
    /// Parameters for the medium.
    pub medium: Vec<String>,
    /// Parameters for the campaign.
    pub campaign: Vec<String>,
    /// Parameters for the content.
    pub content: Vec<String>,
    /// Parameters for the term.
    pub term: Vec<String>,
}

/// All of `rules/channels.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelData {
    /// Named lists of patterns.
    pub sets: BTreeMap<String, Vec<String>>,
    /// Query parameters.
    pub parameters: Parameters,
    /// Click ids, in order of precedence.
    pub click_id: Vec<ClickId>,
    /// Sites.
    pub site: Vec<Site>,
    /// Rules, in order.
    pub rule: Vec<Rule>,
}

/// The patterns with each `@name` replaced by the set's, lower case.
pub(super) fn expand(patterns: &[String], sets: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for pattern in patterns {
        match pattern.strip_prefix('@') {
            None => out.push(pattern.to_lowercase()),
            Some(name) => {
                let set = sets.get(name).ok_or_else(|| format!("there is no set `{name}`"))?;
                out.extend(set.iter().map(|pattern| pattern.to_lowercase()));
            }
        }
    }
    Ok(out)
}
