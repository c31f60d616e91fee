//! The channel of a touch: ordered rules over source, medium and campaign, of which the first that matches wins.
//!
//! The rules, the sites and the click ids are data (`rules/channels.toml`); the configuration can put its own before them. They are
//! compiled once: each field is looked up once per touch and answers with the set of conditions it fulfils, a rule is then a few
//! bit tests.

pub mod data;
mod matcher;
mod site;

use regex::Regex;

pub use data::{ChannelData, ClickId, Rule, Site};
use matcher::FieldMatcher;
pub(crate) use site::Sites;

/// The built-in rules.
const BUILT_IN: &str = include_str!("../../rules/channels.toml");

/// What the rules look at. Matching ignores case.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// utm_source or its equivalent.
    pub source: &'a str,
    /// utm_medium or its equivalent.
    pub medium: &'a str,
    /// utm_campaign or its equivalent.
    pub campaign: &'a str,
    /// What the person did.
    pub touch_type: &'a str,
    /// The raw input the event came through: `sdk`, `utm`, `webhook`, `offline`.
    pub input: &'a str,
}

/// The compiled rules.
#[derive(Debug)]
pub struct Channels {
    sites: Sites,
    click_ids: Vec<ClickId>,
    parameters: data::Parameters,
    fields: [FieldMatcher; FIELDS],
    rules: Vec<Compiled>,
}

/// The fields of [`Evidence`], in its order.
const FIELDS: usize = 5;

#[derive(Debug)]
struct Compiled {
    channel: String,
    /// For each field the bit of its condition; `None` where the rule has none.
    conditions: [Option<u32>; FIELDS],
    /// Bits of the site categories that the source may be of; 0 for any source.
    categories: u64,
    campaign_regex: Option<Regex>,
}

/// Channel of what no rule matches: GA4's name for it.
pub const UNASSIGNED: &str = "unassigned";

impl Channels {
    /// The built-in data with `rules` and `sites` of the configuration before it.
    ///
    /// # Errors
    /// All that is wrong with them, each with its field.
    pub fn new(rules: &[Rule], sites: &[Site]) -> Result<Self, Vec<(String, String)>> {
        let built_in: ChannelData =
            toml::from_str(BUILT_IN).map_err(|error| vec![("rules/channels.toml".to_owned(), error.message().to_owned())])?;
        let mut problems = Vec::new();
        let sites = Sites::new(sites.iter().chain(&built_in.site), &mut problems);
        let mut fields: [FieldMatcher; FIELDS] = Default::default();
        let mut compiled = Vec::new();
        let own = rules.iter().enumerate().map(|(at, rule)| (format!("channel_rules[{at}]"), rule));
        for (name, rule) in own.chain(built_in.rule.iter().map(|rule| (format!("rules/channels.toml: {}", rule.channel), rule)))
        {
            match compile(rule, &built_in, &sites, &mut fields) {
                Ok(rule) => compiled.push(rule),
                Err((field, why)) => problems.push((format!("{name}.{field}"), why)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { sites, click_ids: built_in.click_id, parameters: built_in.parameters, fields, rules: compiled })
    }

    /// The channel of a touch.
    pub fn classify(&self, evidence: Evidence<'_>) -> &str {
        let Evidence { source, medium, campaign, touch_type, input } = evidence;
        let mut met = [0u128; FIELDS];
        for ((met, field), text) in met.iter_mut().zip(&self.fields).zip([source, medium, campaign, touch_type, input]) {
            *met = field.conditions_met(text);
        }
        let category = self.sites.find_name(source).map_or(0, |site| site.category_bit);
        let matches = |rule: &&Compiled| {
            (rule.categories == 0 || rule.categories & category != 0)
                && rule.conditions.iter().zip(&met).all(|(condition, met)| condition.is_none_or(|bit| met >> bit & 1 == 1))
                && rule.campaign_regex.as_ref().is_none_or(|regex| !campaign.is_empty() && regex.is_match(campaign))
        };
        self.rules.iter().find(matches).map_or(UNASSIGNED, |rule| &rule.channel)
    }

    /// The sites.
    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// The click ids, in order of precedence.
    pub(crate) fn click_ids(&self) -> &[ClickId] {
        &self.click_ids
    }

    /// Which query parameter says what.
    pub(crate) fn parameters(&self) -> &data::Parameters {
        &self.parameters
    }
}

fn compile(
    rule: &Rule,
    built_in: &ChannelData,
    sites: &Sites,
    fields: &mut [FieldMatcher; FIELDS],
) -> Result<Compiled, (&'static str, String)> {
    if rule.channel.trim().is_empty() {
        return Err(("channel", "must not be blank".into()));
    }
    let mut conditions = [None; FIELDS];
    let wanted = [
        ("source", &rule.source),
        ("medium", &rule.medium),
        ("campaign", &rule.campaign),
        ("touch_type", &rule.touch_type),
        ("input", &rule.input),
    ];
    for ((condition, field), (name, patterns)) in conditions.iter_mut().zip(fields).zip(wanted) {
        if let Some(patterns) = patterns {
            let patterns = data::expand(patterns, &built_in.sets).map_err(|why| (name, why))?;
            *condition = Some(field.condition(&patterns).map_err(|why| (name, why))?);
        }
    }
    let mut categories = 0;
    for category in &rule.source_site {
        categories |=
            sites.category_bit(category).ok_or_else(|| ("source_site", format!("no site is of category `{category}`")))?;
    }
    let campaign_regex = match &rule.campaign_regex {
        None => None,
        Some(text) => {
            let regex = regex::RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
            Some(regex.map_err(|_| ("campaign_regex", "not a regular expression, or too large".to_owned()))?)
        }
    };
    Ok(Compiled { channel: rule.channel.trim().to_owned(), conditions, categories, campaign_regex })
}

#[cfg(test)]
mod tests;
