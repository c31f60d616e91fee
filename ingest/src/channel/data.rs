//! The format of the channel rules: in the built-in files, a file of the operator and the configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Spanned;

/// A channel rule: all its conditions must hold. A condition is a list of patterns, one of which must match the whole field, without case.
/// `*` at the beginning or end of a pattern stands for any text, `@name` for the patterns of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The channel given.
    pub channel: String,
    /// Patterns for the source.
    pub source: Option<Vec<String>>,
    /// Categories of sites (`search`, `social`, ...) of which the source must be one; empty for any source.
    pub source_site: Vec<String>,
    /// Categories of sites (`search`, `social`, ...), one of which the source must belong to; empty for any source.
    pub medium: Option<Vec<String>>,
    /// Patterns for the campaign.
    pub campaign: Option<Vec<String>>,
    /// A regular expression to be found in the campaign, for what patterns cannot say.
    pub campaign_regex: Option<String>,
    /// A regular expression that must occur in the campaign, for what patterns cannot express.
    pub touch_type: Option<Vec<String>>,
    /// Raw inputs: `sdk`, `utm`, `webhook`, `offline`.
    pub input: Option<Vec<String>>,
}

/// A site that refers visitors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// Its name: the source of touches with this referrer.
    pub name: String,
    /// Its category: `search`, `social`, `video`, `shopping`, `wechat`, ...
    pub category: String,
    /// Its domains, with their subdomains. `google.*` stands for the name under any public suffix.
    pub domains: Vec<String>,
    /// If only some subdomains belong to the site: these, in addition to the domains themselves. Empty: all do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subdomains: Vec<String>,
    /// Other names that senders use for it as a source.
    pub aliases: Vec<String>,
}

impl Site {
    /// The category of hosts between two pages of a visit: sign-in, payment. They are not referrers.
    pub(crate) const NO_REFERRER: &'static str = "no_referrer";
}

/// A regular expression, kept together with its text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ValuePattern(regex::Regex);

impl ValuePattern {
    pub(crate) fn is_found(&self, value: &str) -> bool {
        self.0.is_match(value)
    }
}

impl TryFrom<String> for ValuePattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        regex::Regex::new(&text).map(Self)
    }
}

impl From<ValuePattern> for String {
    fn from(pattern: ValuePattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl PartialEq for ValuePattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for ValuePattern {}

/// A parameter that an advertising network or a mailer adds to the landing URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClickId {
    /// The parameter's name, lower case.
    pub parameter: String,
    /// The source it proves; empty if it only proves that a click was paid, on whatever network.
    #[serde(default)]
    pub source: String,
    /// The medium it proves; empty if the network adds it to unpaid clicks, too.
    #[serde(default)]
    pub medium: String,
    /// Other networks whose parameter has the same name: it is theirs if the referrer is a site of that name.
    #[serde(default)]
    pub or_sources: Vec<String>,
    /// Other sites on which the network advertises. If a link names any other known site as its source, the click id is ignored.
    #[serde(default)]
    pub sisters: Vec<String>,
    /// Whether it counts only if the source or the referrer is the network's: for names in general use.
    #[serde(default)]
    pub needs_network: bool,
    /// If several networks share the parameter: how its value shows the network; the first match counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_value: Vec<ByValue>,
    /// Whether others may use the name for other things: then it proves nothing if the link names another source.
    #[serde(default)]
    pub common_name: bool,
}

/// What a click id proves if its value matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByValue {
    /// A regular expression that must occur in the value.
    pub regex: ValuePattern,
    /// The source it proves, if the link names none.
    #[serde(default)]
    pub source: String,
    /// The medium it proves; if empty, the medium of the parameter.
    #[serde(default)]
    pub medium: String,
}

/// The query parameters of each field, in order of precedence, lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
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
    /// Parameters of the same families that fill no field of a touch. They are listed so that a glued link is split before them.
    pub term: Vec<String>,
    /// Parameters of the same families that no field of a touch takes. They are known, so that links are taken apart where they stand.
    pub other: Vec<String>,
}

impl Parameters {
    /// The lists, each with its field, without [`Self::other`].
    pub(crate) fn fields(&self) -> [(Field, &Vec<String>); 5] {
        [
            (Field::Source, &self.source),
            (Field::Medium, &self.medium),
            (Field::Campaign, &self.campaign),
            (Field::Content, &self.content),
            (Field::Term, &self.term),
        ]
    }

    fn lists(&mut self) -> [&mut Vec<String>; 6] {
        [&mut self.source, &mut self.medium, &mut self.campaign, &mut self.content, &mut self.term, &mut self.other]
    }
}

/// A field of a touch that a query parameter can fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Source,
    Medium,
    Campaign,
    Content,
    Term,
}

impl Field {
    /// Its name in a native record.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Medium => "medium",
            Self::Campaign => "campaign",
            Self::Content => "content",
            Self::Term => "term",
        }
    }
}

/// The content of a file of channel rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelData {
    /// Whether the built-in rules are left out; built-in sites, parameters and click ids always apply.
    pub without_built_in_rules: bool,
    /// Named lists of patterns.
    pub sets: BTreeMap<String, Vec<String>>,
    /// Query parameters.
    pub parameters: Parameters,
    /// Click ids, in order of precedence.
    pub click_id: Vec<ClickId>,
    /// Sites.
    pub site: Vec<Spanned<Site>>,
    /// By category, the domains of sites that have no name of their own.
    pub domains: BTreeMap<String, Vec<String>>,
    /// Rules, in order.
    pub rule: Vec<Spanned<Rule>>,
}

impl ChannelData {
    /// Appends `later` with lower precedence.
    pub(super) fn extend(&mut self, later: Self) {
        for (name, patterns) in later.sets {
            self.sets.entry(name).or_insert(patterns);
        }
        let mut parameters = later.parameters;
        for (list, later) in self.parameters.lists().into_iter().zip(parameters.lists()) {
            list.append(later);
        }
        self.click_id.extend(later.click_id);
    }
}

/// The patterns in lower case, with each `@name` replaced by the patterns of the set.
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
