//! People and accounts, and the account of each identifier at each time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::{Account, AccountPerson, Membership, Profile, Trait};
use tributary_runtime::config::AccountLevel;

use super::cluster::{self, Group};
use super::facts::{Consents, Facts, Name};
use super::hierarchy;
use super::timeline::{self, Company, Span};

/// The unit of an identifier at some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// The unit of attribution: the account, or the profile while it has none.
    pub unit: String,
    /// The account; empty while none is known.
    pub account_id: String,
    /// The profile; empty for an account's identifier.
    pub profile_id: String,
    /// The person's role.
    pub role: String,
    /// Whether consent is revoked for what the identifier brings.
    pub revoked: bool,
}

/// All people and accounts.
#[derive(Debug)]
pub struct People<'a> {
    facts: &'a Facts,
    settings: &'a Settings,
    groups: Vec<(Group, Profile)>,
    companies: Vec<(Group, Account)>,
    /// By account identifier, its account.
    accounts: BTreeMap<Name, Company>,
    /// By person identifier: its profile without an account, and the spans of its accounts.
    persons: BTreeMap<Name, (Home, Vec<Span>)>,
}

impl<'a> People<'a> {
    /// The people and accounts that follow from the facts.
    pub fn of(facts: &'a Facts, settings: &'a Settings, custom: &[String]) -> Self {
        let (groups, companies) = (Vec::new(), Vec::new());
        let (accounts, persons) = (BTreeMap::new(), BTreeMap::new());
        let mut people = Self { facts, settings, groups, companies, accounts, persons };
        let (companies, large) = cluster::groups(facts, settings, custom, true);
        for group in companies {
            let quarantined = group.iter().any(|name| large.contains(name));
            people.add_company(group, quarantined);
        }
        let (persons, large) = cluster::groups(facts, settings, custom, false);
        for group in persons {
            let quarantined = group.iter().any(|name| large.contains(name));
            people.add_person(group, quarantined);
        }
        people
    }

    /// The unit of an identifier at a time.
    pub fn home(&self, name: &Name, time_ms: i64) -> Home {
        if name.is_account() {
            let company = self.company(name);
            return Home { unit: self.journey_of(&company), account_id: company.account_id, ..Home::default() };
        }
        let (home, spans) = self.persons.get(name).cloned().unwrap_or_else(|| self.alone(name));
        match spans.into_iter().rfind(|(from_ms, _)| *from_ms <= time_ms) {
            Some((_, company)) => Home { unit: self.journey_of(&company), account_id: company.account_id, ..home },
            None => home,
        }
    }

    /// The unit that gets an account's touches and milestones.
    fn journey_of(&self, company: &Company) -> String {
        match self.settings.account_level {
            AccountLevel::Account => company.unit.clone(),
            AccountLevel::Root => self.root(company).unit,
        }
    }

    fn root(&self, company: &Company) -> Company {
        let by_id = |company: Company| (company.account_id, company.unit);
        let above = |(account_id, unit): &(String, String)| {
            self.parent(&Company { unit: unit.clone(), account_id: account_id.clone() }).map(by_id)
        };
        let (account_id, unit) = hierarchy::root(&by_id(company.clone()), above);
        Company { unit, account_id }
    }

    /// The parent that the latest record of an account states.
    fn parent(&self, of: &Company) -> Option<Company> {
        let group = self.accounts.iter().filter(|(_, company)| *company == of).map(|(name, _)| name);
        let said = group.filter_map(|name| self.facts.parents.get(name)).flatten();
        let (_, _, parent) = said.max()?;
        parent.as_ref().map(|parent| self.company(parent))
    }

    /// The profile of a person's identifier, and all units it belongs to at any time.
    pub fn units(&self, name: &Name) -> Option<(String, Vec<String>)> {
        let (home, spans) = self.persons.get(name)?;
        let units: Vec<String> = spans.iter().map(|(_, company)| self.journey_of(company)).collect();
        Some((home.profile_id.clone(), if units.is_empty() { vec![home.unit.clone()] } else { units }))
    }

    /// An erased identifier whose only events since are in the hour of the erasure is alone; its address still implies its domain.
    fn alone(&self, name: &Name) -> (Home, Vec<Span>) {
        let profile_id = format!("p_{:032x}", name.hash);
        let spans = timeline::of(self.facts, self.settings, &[name.clone()].into(), |account| self.company(account));
        (Home { unit: format!("p:{profile_id}"), profile_id, ..Home::default() }, spans)
    }

    fn company(&self, account: &Name) -> Company {
        let alone = || Company { unit: format!("a:{}:{}", account.kind, account.value), account_id: account.value.clone() };
        self.accounts.get(account).cloned().unwrap_or_else(alone)
    }

    /// Person identifiers that join nobody: shared ones, and those in too large a group.
    pub fn apart(&self) -> Group {
        let shared = self.facts.mentioned.iter().filter(|name| cluster::is_shared(self.facts, self.settings, name));
        let large = self.groups.iter().filter(|(_, profile)| profile.quarantined).flat_map(|(group, _)| group);
        shared.chain(large).cloned().collect()
    }

    /// The profiles by id.
    pub fn profiles(&self) -> BTreeMap<String, Profile> {
        self.groups.iter().map(|(_, profile)| (profile.profile_id.clone(), profile.clone())).collect()
    }

    /// The accounts by id, with the people who belong or belonged to them.
    pub fn accounts(&self) -> BTreeMap<String, Account> {
        let mut people = self.people_of_accounts();
        let with_people = |account: &Account| {
            let mut people = people.remove(&account.account_id).unwrap_or_default();
            let ids: BTreeSet<String> = people.iter().map(|person| person.profile_id.clone()).collect();
            // Trusted people first, then current ones, then the latest.
            people.sort_by_key(|of| (of.public, of.to_ms != 0, Reverse(of.from_ms), of.profile_id.clone()));
            people.truncate(self.settings.account_people as usize);
            people.sort_by_key(|of| (of.from_ms, of.profile_id.clone()));
            let own = self.companies.iter().find(|(_, of)| of == account).and_then(|(group, _)| group.first());
            let own = own.map(|name| self.company(name));
            let root = own.as_ref().map(|own| self.root(own)).filter(|root| Some(root) != own.as_ref());
            let parent = own.filter(|_| root.is_some()).and_then(|own| self.parent(&own));
            let id = |company: Option<Company>| company.map(|company| company.account_id).unwrap_or_default();
            let (parent_id, root_id) = (id(parent), id(root));
            Account { people, people_count: ids.len() as u32, parent_id, root_id, ..account.clone() }
        };
        self.companies
            .iter()
            .map(|(_, account)| account)
            .map(with_people)
            .map(|account| (account.account_id.clone(), account))
            .collect()
    }

    /// By account, the spans of all its people.
    fn people_of_accounts(&self) -> BTreeMap<String, Vec<AccountPerson>> {
        let mut all: BTreeMap<String, Vec<AccountPerson>> = BTreeMap::new();
        for (group, profile) in &self.groups {
            let Some((home, spans)) = group.first().and_then(|name| self.persons.get(name)) else { continue };
            let ends = spans.iter().skip(1).map(|(from_ms, _)| *from_ms).chain([0]);
            for ((from_ms, account), to_ms) in spans.iter().zip(ends) {
                all.entry(account.account_id.clone()).or_default().push(AccountPerson {
                    profile_id: profile.profile_id.clone(),
                    role: home.role.clone(),
                    from_ms: if *from_ms == i64::MIN { 0 } else { *from_ms },
                    to_ms,
                    public: !group.iter().any(|name| self.facts.is_trusted(name)),
                });
            }
        }
        all
    }

    fn add_company(&mut self, group: Group, quarantined: bool) {
        let order = |name: &Name| ["crm_account", "domain", "company_name"].iter().position(|kind| *kind == name.kind);
        let called = group.iter().min_by_key(|name| (order(name), age(self.facts, name)));
        let Some(called) = called.cloned() else { return };
        let company = Company { unit: format!("a:{}:{}", called.kind, called.value), account_id: called.value.clone() };
        self.accounts.extend(group.iter().map(|name| (name.clone(), company.clone())));
        let account = Account {
            account_id: called.value,
            identifiers: sorted(&group),
            traits: traits(self.facts, &group),
            quarantined,
            ..Account::default()
        };
        self.companies.push((group, account));
    }

    fn add_person(&mut self, group: Group, quarantined: bool) {
        let facts = self.facts;
        let Some(oldest) = group.iter().min_by_key(|name| age(facts, name)) else { return };
        let profile_id = format!("p_{:032x}", oldest.hash);
        let spans = timeline::of(facts, self.settings, &group, |account| self.company(account));
        let traits = traits(facts, &group);
        let revoked = revoked(facts, &group);
        let role = traits.iter().find(|stated| stated.name == "role").map(|role| role.value.clone()).unwrap_or_default();
        let home = Home { unit: format!("p:{profile_id}"), profile_id: profile_id.clone(), role, ..Home::default() };
        let homes = group.iter().map(|name| {
            let home = Home { revoked: revoked.contains(name), ..home.clone() };
            (name.clone(), (home, spans.clone()))
        });
        self.persons.extend(homes);
        let moved = spans.len() > 1;
        let memberships = spans.iter().filter(|_| moved).map(|(from_ms, account)| Membership {
            account_id: account.account_id.clone(),
            from_ms: Some(*from_ms).filter(|from_ms| *from_ms != i64::MIN).unwrap_or(0),
        });
        let profile = Profile {
            memberships: memberships.collect(),
            profile_id,
            account_id: spans.last().map(|(_, account)| account.account_id.clone()).unwrap_or_default(),
            identifiers: sorted(&group),
            traits,
            revoked: revoked.len() == group.len(),
            quarantined,
            ..Profile::default()
        };
        self.groups.push((group, profile));
    }
}

/// The identifiers of a profile whose consent is revoked. A trusted consent applies to the whole profile, a public one to the identifier
/// that states it.
fn revoked(facts: &Facts, group: &Group) -> BTreeSet<Name> {
    let of = |name: &Name| facts.consents.get(name).copied().unwrap_or_default();
    let all = group.iter().filter_map(|name| of(name).trusted).max();
    let revokes = |name: &Name| {
        let Consents { public, .. } = of(name);
        all.or(public).is_some_and(|(_, revokes)| revokes)
    };
    group.iter().filter(|name| revokes(name)).cloned().collect()
}

/// Trusted identifiers first, by when they were first seen, then by hash; those never seen come last.
fn age(facts: &Facts, name: &Name) -> (bool, i64, u128) {
    (!facts.is_trusted(name), facts.time_ms(name).unwrap_or(i64::MAX), name.hash)
}

fn sorted(group: &Group) -> Vec<tributary_proto::Identifier> {
    let mut all: Vec<&Name> = group.iter().collect();
    all.sort_by_key(|name| name.text());
    all.into_iter().map(Name::identifier).collect()
}

fn traits(facts: &Facts, group: &Group) -> Vec<Trait> {
    let mut latest = BTreeMap::new();
    for ((_, name), said) in facts.traits.iter().filter(|((bearer, _), _)| group.contains(bearer)) {
        let known = latest.entry(name).or_insert(said);
        *known = said.max(*known);
    }
    latest.into_iter().map(|(name, (.., value))| Trait { name: name.clone(), value: value.clone() }).collect()
}
