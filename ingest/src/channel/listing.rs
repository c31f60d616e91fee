//! A listing of all rules, for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Channels, ClickId};

/// All channel rules and data, in order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The rules: the first that matches gives the channel.
    pub rules: Vec<ListedRule>,
    /// Parameters that networks and mailers add to links.
    pub click_ids: Vec<ClickId>,
    /// Sites, by category and name.
    pub sites: Vec<ListedSite>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedRule {
    /// The channel that it gives.
    pub channel: String,
    /// Where it is defined: `built-in channels.toml:12`.
    pub place: String,
    /// Its conditions.
    pub conditions: String,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedSite {
    /// Its category: `search`, `social`, ...
    pub category: String,
    /// The source of a touch that comes from it.
    pub name: String,
    /// Its domains, and packages of its Android applications.
    pub domains: Vec<String>,
    /// Other names that senders use for it.
    pub aliases: Vec<String>,
}

impl Channels {
    /// All rules and data: built-in, of the operator's file, and of the configuration.
    pub(crate) fn list(&self) -> Listing {
        let rule = |rule: &super::Compiled| ListedRule {
            channel: rule.channel.clone(),
            place: rule.place.clone(),
            conditions: rule.wording.clone(),
        };
        let mut by_site: BTreeMap<usize, ListedSite> = BTreeMap::new();
        for (at, site) in self.sites.known.iter().enumerate() {
            let (category, name) = (site.category.clone(), site.name.clone());
            by_site.insert(at, ListedSite { category, name, domains: Vec::new(), aliases: Vec::new() });
        }
        let stems = self.sites.by_stem.iter().map(|(stem, at)| (format!("{stem}.*"), at));
        for (domain, at) in self.sites.by_domain.iter().map(|(domain, at)| (domain.clone(), at)).chain(stems) {
            by_site.entry(*at).and_modify(|site| site.domains.push(domain));
        }
        for (alias, at) in &self.sites.by_name {
            by_site
                .entry(*at)
                .and_modify(|site| site.aliases.extend((*alias != site.name.to_lowercase()).then(|| alias.clone())));
        }
        let mut sites: Vec<_> = by_site.into_values().collect();
        sites.sort_by(|a, b| (&a.category, &a.name).cmp(&(&b.category, &b.name)));
        Listing { rules: self.rules.iter().map(rule).collect(), click_ids: self.click_ids.clone(), sites }
    }
}
