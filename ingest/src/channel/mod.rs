//! The channel of a touch: ordered rules over source, medium and campaign; the first that matches wins.
//!
//! The rules, the sites, the query parameters and the click ids are data (`rules/`); the configuration, and a file that it names, can put
//! their own before them. They are compiled once: each field is looked up once per touch and gives the set of conditions it fulfils. A rule
//! is then a few bit tests.

pub(crate) mod compile;
pub mod data;
mod file;
mod listing;
mod matcher;
mod site;

use std::collections::BTreeMap;

use regex::Regex;
use tributary_proto::Hash128;

pub(crate) use data::Field;
pub use data::{ByValue, ChannelData, ClickId, Rule, Site, ValuePattern};
pub use file::ChannelFile;
pub use listing::{ListedRule, ListedSite, Listing};
use matcher::FieldMatcher;
pub(crate) use site::Sites;

/// The fields that the rules match. Case is ignored.
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
    parameters: BTreeMap<String, Known>,
    fields: [FieldMatcher; FIELDS],
    rules: Vec<Compiled>,
    digest: Hash128,
}

/// The fields of [`Evidence`], in its order.
const FIELDS: usize = 5;

/// The meaning of a query parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// The field it fills, and its position among the parameters for that field.
    pub(crate) field: Option<(Field, usize)>,
    /// Its position among the click ids.
    pub(crate) click_id: Option<usize>,
}

#[derive(Debug)]
struct Compiled {
    channel: String,
    /// For each field the bit of the rule's condition; `None` if it has none.
    conditions: [Option<u32>; FIELDS],
    /// Bits of the site categories that the source may belong to; 0 for any source.
    categories: u64,
    campaign_regex: Option<Regex>,
    /// Where the rule is defined, and its conditions, as text for people.
    place: String,
    wording: String,
}

/// The result of the rules for a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The channel.
    pub channel: &'a str,
    /// Where the rule is defined: `rules.toml:12`, `channel_rules[0]`; empty if none matched.
    pub place: &'a str,
    /// The rule's conditions: `source_site = search, medium = @paid`; empty if none matched.
    pub conditions: &'a str,
}

/// The channel if no rule matches, as GA4 calls it.
pub const UNASSIGNED: &str = "unassigned";

impl Channels {
    /// The channel of a touch.
    pub fn classify(&self, evidence: Evidence<'_>) -> &str {
        self.first_match(evidence).map_or(UNASSIGNED, |rule| &rule.channel)
    }

    /// The channel of a touch, and the rule that gave it.
    pub fn explain(&self, evidence: Evidence<'_>) -> Verdict<'_> {
        match self.first_match(evidence) {
            Some(rule) => Verdict { channel: &rule.channel, place: &rule.place, conditions: &rule.wording },
            None => Verdict { channel: UNASSIGNED, place: "", conditions: "" },
        }
    }

    fn first_match(&self, evidence: Evidence<'_>) -> Option<&Compiled> {
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
        self.rules.iter().find(matches)
    }

    /// A hash of all data that the rules were compiled from.
    pub(crate) fn digest(&self) -> Hash128 {
        self.digest
    }

    /// The sites.
    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// All click ids, in order of precedence.
    pub(crate) fn click_ids(&self) -> &[ClickId] {
        &self.click_ids
    }

    /// A click id, by its position.
    pub(crate) fn click_id(&self, at: usize) -> Option<&ClickId> {
        self.click_ids.get(at)
    }

    /// The meaning of a query parameter, by its name in lower case; `None` if it is unknown.
    pub(crate) fn parameter(&self, name: &str) -> Option<Known> {
        self.parameters.get(name).copied()
    }
}

#[cfg(test)]
mod ga4_tests;
#[cfg(test)]
mod tests;
