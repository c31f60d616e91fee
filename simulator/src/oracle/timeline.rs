//! Which account a person belonged to, and when.

use tributary_identity::Settings;
use tributary_identity::settings::Membership;

use super::cluster::Group;
use super::facts::{Facts, Name};

/// An account: its unit, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The unit.
    pub unit: String,
    /// The id.
    pub account_id: String,
}

/// An account from a time on.
pub type Span = (i64, Company);

/// The accounts of a person with these identifiers, in order, the first from the beginning on; empty if no account is named. `company`
/// gives the account of an account identifier.
pub fn of(facts: &Facts, settings: &Settings, group: &Group, company: impl Fn(&Name) -> Company) -> Vec<Span> {
    let mut asserted: Vec<_> = group.iter().filter_map(|name| facts.asserted.get(name)).flatten().collect();
    asserted.sort();
    let by_name = asserted.extract_if(.., |(_, _, account)| account.kind == "company_name").collect::<Vec<_>>();
    // In a profile with trusted identifiers, a public-only address implies no account.
    let is_known = group.iter().any(|name| facts.is_trusted(name));
    let counts = |name: &&Name| facts.is_trusted(name) || !is_known;
    let mut addresses: Vec<(i64, u128, Name)> = group
        .iter()
        .filter(counts)
        .filter_map(|name| Some((facts.time_ms(name).unwrap_or(i64::MIN), name.hash, facts.corporate_domain(name)?)))
        .collect();
    addresses.sort();
    // Company names are the last resort.
    if asserted.is_empty() && addresses.is_empty() {
        asserted = by_name;
    }
    let explicit: Vec<Span> = asserted.iter().map(|((time_ms, _), _, account)| (*time_ms, company(account))).collect();
    let domains: Vec<Span> = addresses.iter().map(|(time_ms, _, domain)| (*time_ms, company(domain))).collect();
    if settings.membership == Membership::Latest {
        let last = explicit.last().or(domains.last());
        return last.map(|(_, account)| (i64::MIN, account.clone())).into_iter().collect();
    }
    let explicit = without_empty(explicit);
    let mut spans = domains;
    let mut from_ms = explicit.first().map_or(i64::MAX, |(from_ms, _)| *from_ms);
    spans.retain(|(time_ms, _)| *time_ms < from_ms || explicit.is_empty());
    spans = without_empty(spans);
    if let Some((_, first)) = explicit.first() {
        while let Some((domain_ms, _)) = spans.pop_if(|(_, domain)| domain.unit.starts_with("a:domain:") || domain == first) {
            from_ms = domain_ms;
        }
        spans.push((from_ms, first.clone()));
    }
    spans.extend(explicit.into_iter().skip(1));
    spans.dedup_by(|later, earlier| later.1 == earlier.1);
    if let Some((from_ms, _)) = spans.first_mut() {
        *from_ms = i64::MIN;
    }
    spans
}

/// Of several at the same time, keeps the last.
fn without_empty(spans: Vec<Span>) -> Vec<Span> {
    let times: Vec<i64> = spans.iter().map(|(from_ms, _)| *from_ms).collect();
    let next = times.into_iter().skip(1).map(Some).chain([None]);
    spans.into_iter().zip(next).filter(|((from_ms, _), next)| Some(*from_ms) != *next).map(|(span, _)| span).collect()
}
