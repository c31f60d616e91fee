//! Which site a source or a referrer is.

use std::collections::BTreeMap;

use super::data::Site;
use super::matcher::lower;

/// Sites by name and by domain.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    known: Vec<KnownSite>,
    by_name: BTreeMap<String, usize>,
    by_domain: BTreeMap<String, usize>,
    categories: Vec<String>,
}

/// A site and the bit of its category.
#[derive(Debug)]
pub(crate) struct KnownSite {
    pub(crate) name: String,
    pub(crate) category: String,
    pub(super) category_bit: u64,
}

impl Sites {
    /// The first site that claims a name or domain has it.
    pub(super) fn new<'a>(sites: impl Iterator<Item = &'a Site>, problems: &mut Vec<(String, String)>) -> Self {
        let mut out = Self::default();
        for (at, site) in sites.enumerate() {
            if site.name.trim().is_empty() || site.category.trim().is_empty() {
                problems.push((format!("sites[{at}]"), "a site needs a name and a category".into()));
                continue;
            }
            let bit = match out.categories.iter().position(|known| *known == site.category) {
                Some(bit) => bit,
                None => {
                    out.categories.push(site.category.clone());
                    out.categories.len() - 1
                }
            };
            if bit >= 64 {
                problems.push((format!("sites[{at}].category"), "there are more than 64 categories".into()));
                continue;
            }
            let index = out.known.len();
            let category_bit = 1 << bit;
            out.known.push(KnownSite { name: site.name.clone(), category: site.category.clone(), category_bit });
            for name in std::iter::once(&site.name).chain(&site.aliases) {
                out.by_name.entry(name.to_lowercase()).or_insert(index);
            }
            for domain in &site.domains {
                out.by_domain.entry(domain.to_lowercase()).or_insert(index);
            }
        }
        out
    }

    /// The bit of a category; `None` when no site is of it.
    pub(super) fn category_bit(&self, category: &str) -> Option<u64> {
        self.categories.iter().position(|known| known == category).map(|bit| 1 << bit)
    }

    /// The site of a source: its name, an alias, or a host of its domains.
    pub(crate) fn find_name(&self, source: &str) -> Option<&KnownSite> {
        if source.is_empty() {
            return None;
        }
        let source = lower(source);
        match self.by_name.get(&*source) {
            Some(at) => self.known.get(*at),
            None => self.find_lower_host(&source),
        }
    }

    /// The site of a host in any case.
    pub(crate) fn find_host(&self, host: &str) -> Option<&KnownSite> {
        self.find_lower_host(&lower(host))
    }

    fn find_lower_host(&self, host: &str) -> Option<&KnownSite> {
        let mut rest = host;
        while rest.contains('.') {
            if let Some(at) = self.by_domain.get(rest) {
                return self.known.get(*at);
            }
            rest = rest.split_once('.').map_or("", |(_, rest)| rest);
        }
        None
    }
}
