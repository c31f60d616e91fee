//! Finds the known site of a source or a referrer.

use std::collections::BTreeMap;

use super::data::Site;
use super::matcher::lower;

/// Most categories of sites: each is a bit.
const CATEGORIES_MAX: usize = 64;

/// First labels of hosts of sign-in pages: `login.huawei.com`, `auth.openai.com`. (Not `id.`: that is also Indonesia's.)
const SIGN_IN: [&str; 19] = [
    "login", "logon", "log-in", "signin", "sign-in", "auth", "auth0", "authn", "oauth", "oauth2", "sso", "passport", "account",
    "accounts", "idp", "adfs", "sts", "cas", "openid",
];

/// Sites by name and by domain. If several have the same name or domain, the first counts.
#[derive(Debug, Default)]
pub(crate) struct Sites {
    pub(super) known: Vec<KnownSite>,
    pub(super) by_name: BTreeMap<String, usize>,
    pub(super) by_domain: BTreeMap<String, usize>,
    /// By the part before the public suffix: `google`, `search.yahoo`.
    pub(super) by_stem: BTreeMap<String, usize>,
    categories: Vec<String>,
}

/// A site and the bit of its category.
#[derive(Debug)]
pub(crate) struct KnownSite {
    pub(crate) name: String,
    pub(crate) category: String,
    pub(super) category_bit: u64,
    /// The only subdomains that belong to the site; empty: all do.
    subdomains: Vec<String>,
}

impl KnownSite {
    /// Whether a host belongs to the site; `before` is the part of the host before one of the site's domains.
    fn has_subdomain(&self, before: &str) -> bool {
        let before = before.trim_matches('.');
        self.subdomains.is_empty()
            || before.is_empty()
            || self.subdomains.iter().any(|own| {
                // As uk.search.yahoo.com does, where `search` is one.
                before.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
    }
}

impl Sites {
    /// Adds a site with lower precedence than those already added.
    ///
    /// # Errors
    /// Its error: the field and the reason.
    pub(super) fn add(&mut self, site: &Site) -> Result<(), (&'static str, String)> {
        if site.name.trim().is_empty() || site.category.trim().is_empty() {
            return Err(("name", "a site needs a name and a category".into()));
        }
        let category_bit = self.bit_for(&site.category)?;
        let index = self.known.len();
        for name in std::iter::once(&site.name).chain(&site.aliases) {
            self.by_name.entry(name.to_lowercase()).or_insert(index);
        }
        for domain in &site.domains {
            let domain = domain.to_lowercase();
            match domain.strip_suffix(".*") {
                Some(stem) if !stem.contains('*') && !stem.is_empty() => {
                    self.by_stem.entry(stem.to_owned()).or_insert(index);
                }
                None if !domain.contains('*') => {
                    self.by_domain.entry(domain).or_insert(index);
                }
                _ => return Err(("domains", "`*` stands only for a public suffix: google.*".into())),
            }
        }
        let subdomains = site.subdomains.iter().map(|subdomain| subdomain.to_lowercase()).collect();
        self.known.push(KnownSite { name: site.name.clone(), category: site.category.clone(), category_bit, subdomains });
        Ok(())
    }

    fn bit_for(&mut self, category: &str) -> Result<u64, (&'static str, String)> {
        if let Some(bit) = self.category_bit(category) {
            return Ok(bit);
        }
        if self.categories.len() == CATEGORIES_MAX {
            return Err(("category", format!("there are more than {CATEGORIES_MAX} categories")));
        }
        self.categories.push(category.to_owned());
        Ok(1 << (self.categories.len() - 1))
    }

    /// The bit of a category; `None` if no site has it.
    pub(super) fn category_bit(&self, category: &str) -> Option<u64> {
        self.categories.iter().position(|known| known == category).map(|bit| 1 << bit)
    }

    /// The site of a source: found by its name, an alias, or a host in its domains.
    pub(crate) fn find_name(&self, source: &str) -> Option<&KnownSite> {
        if source.is_empty() {
            return None;
        }
        let source = lower(source);
        let named = |name: &str| self.by_name.get(name).and_then(|at| self.known.get(*at));
        named(&source).or_else(|| self.find_lower_host(&source)).or_else(|| named(without_advertising(&source)?))
    }

    /// The site of a host, in any case.
    pub(crate) fn find_host(&self, host: &str) -> Option<&KnownSite> {
        self.find_lower_host(&lower(host))
    }

    /// Whether a host is one between two pages of a visit: listed as such, or with the first label of a sign-in page.
    pub(crate) fn is_between_pages(&self, host: &str) -> bool {
        let begins = host
            .split_once('.')
            .filter(|(first, rest)| rest.contains('.') && SIGN_IN.iter().any(|word| first.eq_ignore_ascii_case(word)));
        // Unless the operator has listed it as a site, for example login.example.com.
        let is_own = |host: &str| self.by_domain.contains_key(&*lower(host));
        self.find_host(host).is_some_and(|site| site.category == Site::NO_REFERRER) || (begins.is_some() && !is_own(host))
    }

    fn find_lower_host(&self, host: &str) -> Option<&KnownSite> {
        if !host.contains('.') {
            return None;
        }
        let stem_end = stem(host).map_or(0, str::len);
        let mut from = 0;
        // The longest known part counts: mail.google.com is not google.
        while let Some(rest) = host.get(from..).filter(|rest| rest.contains('.')) {
            let stem = host.get(from..stem_end).filter(|stem| !stem.is_empty());
            let found = self.by_domain.get(rest).or_else(|| self.by_stem.get(stem?));
            if let Some(at) = found {
                let before = host.get(..from).unwrap_or_default();
                return self.known.get(*at).filter(|site| site.has_subdomain(before));
            }
            from += rest.find('.').map_or(rest.len(), |dot| dot + 1);
        }
        None
    }
}

/// The site in a source that names its advertising: `linkedin ads`, `facebook_ads`, `bingads`.
fn without_advertising(source: &str) -> Option<&str> {
    let site = ["ads", "广告", "推广"].iter().find_map(|word| source.strip_suffix(word))?;
    Some(site.trim_end_matches([' ', '_', '-', '.', '+']))
}

/// The part before a host's public suffix; `None` for suffixes under which anybody can register (blogspot.com), and for unknown suffixes.
fn stem(host: &str) -> Option<&str> {
    let suffix = psl::suffix(host.as_bytes())?;
    if suffix.typ() != Some(psl::Type::Icann) {
        return None;
    }
    host.get(..host.len().checked_sub(suffix.as_bytes().len() + 1)?)
}
