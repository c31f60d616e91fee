//! Who is who: identifiers grouped into people and into accounts.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::{Account, Profile, Trait};

use super::facts::{Facts, Name, Pair};

/// Kinds of people's identifiers, strongest first, before and after the custom ones.
const STRONG: [&str; 9] = [
    "crm_contact",
    "crm_lead",
    "user_id",
    "wechat_unionid",
    "wechat_openid",
    "wecom_external_userid",
    "email",
    "email_sha256",
    "phone",
];
const WEAK: [&str; 2] = ["anonymous_id", "device_id"];

/// Where an identifier belongs.
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
    /// Whether the latest consent is a revocation.
    pub revoked: bool,
}

type Group = BTreeSet<Name>;

/// All people and accounts.
#[derive(Debug)]
pub struct People {
    groups: Vec<(Group, Profile)>,
    companies: Vec<(Group, Account)>,
    homes: BTreeMap<Name, Home>,
}

impl People {
    /// The people and accounts that the facts make.
    pub fn of(facts: &Facts, settings: &Settings, custom: &[String]) -> Self {
        let mut people = Self { groups: Vec::new(), companies: Vec::new(), homes: BTreeMap::new() };
        let (companies, large) = groups(facts, settings, custom, true);
        for group in companies {
            let quarantined = group.iter().any(|name| large.contains(name));
            people.add_company(facts, group, quarantined);
        }
        let (persons, large) = groups(facts, settings, custom, false);
        for group in persons {
            let quarantined = group.iter().any(|name| large.contains(name));
            people.add_person(facts, group, quarantined);
        }
        people
    }

    /// Where an identifier belongs.
    pub fn home(&self, facts: &Facts, name: &Name) -> Home {
        if let Some(home) = self.homes.get(name) {
            return home.clone();
        }
        // Who was erased, and has only done something in the same hour, is alone; an address still speaks for its domain.
        let profile_id = if name.is_account() { String::new() } else { format!("p_{:032x}", name.hash) };
        let account = if name.is_account() { Some(name.clone()) } else { facts.corporate_domain(name) };
        match account {
            Some(account) => {
                let alone = Home {
                    unit: format!("a:{}:{}", account.kind, account.value),
                    account_id: account.value.clone(),
                    ..Home::default()
                };
                Home { profile_id, ..self.homes.get(&account).cloned().unwrap_or(alone) }
            }
            None => Home { unit: format!("p:{profile_id}"), profile_id, ..Home::default() },
        }
    }

    /// The profiles by id.
    pub fn profiles(&self) -> BTreeMap<String, Profile> {
        self.groups.iter().map(|(_, profile)| (profile.profile_id.clone(), profile.clone())).collect()
    }

    /// The accounts by id.
    pub fn accounts(&self) -> BTreeMap<String, Account> {
        self.companies.iter().map(|(_, account)| (account.account_id.clone(), account.clone())).collect()
    }

    fn add_company(&mut self, facts: &Facts, group: Group, quarantined: bool) {
        let Some(called) = group.iter().min_by_key(|name| (name.kind != "crm_account", age(facts, name))).cloned() else {
            return;
        };
        let home =
            Home { unit: format!("a:{}:{}", called.kind, called.value), account_id: called.value.clone(), ..Home::default() };
        self.homes.extend(group.iter().map(|name| (name.clone(), home.clone())));
        let account = Account {
            account_id: called.value,
            identifiers: sorted(&group),
            traits: traits(facts, &group),
            quarantined,
            ..Account::default()
        };
        self.companies.push((group, account));
    }

    fn add_person(&mut self, facts: &Facts, group: Group, quarantined: bool) {
        let Some(oldest) = group.iter().min_by_key(|name| age(facts, name)) else { return };
        let profile_id = format!("p_{:032x}", oldest.hash);
        let asserted = group.iter().filter_map(|name| facts.asserted.get(name)).max().map(|(.., account)| account.clone());
        let newest = group.iter().filter(|name| facts.corporate_domain(name).is_some());
        let newest = newest.max_by_key(|name| (facts.earliest.get(name), name.hash));
        let named = asserted.or_else(|| facts.corporate_domain(newest?));
        let account = named.map(|named| self.home(facts, &named));
        let traits = traits(facts, &group);
        let revoked = group.iter().filter_map(|name| facts.consent.get(name)).max().is_some_and(|(_, revoked)| *revoked);
        let home = Home {
            unit: account.as_ref().map_or_else(|| format!("p:{profile_id}"), |account| account.unit.clone()),
            account_id: account.map(|account| account.account_id).unwrap_or_default(),
            profile_id: profile_id.clone(),
            role: traits.iter().find(|stated| stated.name == "role").map(|role| role.value.clone()).unwrap_or_default(),
            revoked,
        };
        self.homes.extend(group.iter().map(|name| (name.clone(), home.clone())));
        let account_id = home.account_id;
        let profile =
            Profile { profile_id, account_id, identifiers: sorted(&group), traits, revoked, quarantined, ..Profile::default() };
        self.groups.push((group, profile));
    }
}

/// When it was first seen, then its hash; what was never seen is the youngest.
fn age(facts: &Facts, name: &Name) -> (i64, u128) {
    (facts.earliest.get(name).copied().unwrap_or(i64::MAX), name.hash)
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
    latest.into_iter().map(|(name, (_, value))| Trait { name: name.clone(), value: value.clone() }).collect()
}

/// Groups of identifiers that are one, of accounts or of people; and those in clusters that are too large.
fn groups(facts: &Facts, settings: &Settings, custom: &[String], accounts: bool) -> (Vec<Group>, Group) {
    let all: Vec<&Name> = facts.mentioned.iter().filter(|name| name.is_account() == accounts).collect();
    let pairs = || facts.pairs.iter().filter(|((a, _), _)| a.is_account() == accounts);
    let shared: BTreeSet<&Name> = all.iter().copied().filter(|name| is_shared(facts, settings, name)).collect();
    let forbidden = |pair: &Pair| pair.word.is_some_and(|(_, forbids)| forbids);
    let never: Vec<(&Name, &Name)> = pairs().filter(|(_, pair)| forbidden(pair)).map(|((a, b), _)| (a, b)).collect();
    let mut usable: Vec<(i64, i64, &Name, &Name)> = pairs()
        .filter(|((a, b), pair)| !forbidden(pair) && !shared.contains(a) && !shared.contains(b))
        .filter_map(|((a, b), pair)| {
            let class = if pair.word.is_some() { -1 } else { rank(custom, a).max(rank(custom, b)) };
            Some((class, pair.seen_ms?, a, b))
        })
        .collect();

    let mut clusters = Sets::singles(&all);
    usable.iter().for_each(|(.., a, b)| clusters.unite(a, b));
    let limit = usize::try_from(settings.max_cluster).unwrap_or(usize::MAX);
    let large: Group = clusters.0.iter().filter(|cluster| cluster.len() > limit).flatten().cloned().collect();
    usable.retain(|(.., a, _)| !large.contains(*a));

    usable.sort();
    let mut records = Sets::singles(&all);
    let merges = usable.iter().filter(|(class, _, a, b)| *class == -1 && is_merge(settings, a, b));
    merges.for_each(|(.., a, b)| records.unite(a, b));
    let mut sets = Sets::singles(&all);
    for (.., a, b) in usable {
        let union: Group = sets.of(a).union(&sets.of(b)).cloned().collect();
        let enemies = never.iter().any(|(a, b)| union.contains(a) && union.contains(b));
        // Two of one set are one already, whatever is said of them.
        if !enemies && !exceeds_a_limit(settings, &union, &records) {
            sets.unite(a, b);
        }
    }
    (sets.0, large)
}

/// Whether an identifier is linked to more others than one person can have.
fn is_shared(facts: &Facts, settings: &Settings, name: &Name) -> bool {
    let others = facts.pairs.keys().filter_map(|(a, b)| match () {
        () if a == name => Some(b),
        () if b == name => Some(a),
        () => None,
    });
    let (mut strong, mut any) = (0, 0);
    for other in others {
        any += 1;
        strong += u32::from(limit(settings, &other.kind) == Some(1) && !is_merge(settings, name, other));
    }
    strong > settings.shared_after || any > settings.shared_any
}

/// Whether two of a kind that are said to be one are a record that was merged into another one.
fn is_merge(settings: &Settings, a: &Name, b: &Name) -> bool {
    a.kind == b.kind && a.scope == b.scope && settings.merged_kinds.contains(&a.kind)
}

fn exceeds_a_limit(settings: &Settings, union: &Group, records: &Sets) -> bool {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let firsts: BTreeSet<(&str, &str, Option<Name>)> =
        union.iter().map(|name| (name.kind.as_str(), name.scope.as_str(), records.of(name).first().cloned())).collect();
    firsts.into_iter().for_each(|(kind, scope, _)| *counts.entry((kind, scope)).or_default() += 1);
    counts.into_iter().any(|((kind, _), count)| limit(settings, kind).is_some_and(|limit| count > limit))
}

/// How many of a kind one person may have.
fn limit(settings: &Settings, kind: &str) -> Option<u32> {
    let stated = settings.limits.get(kind).copied();
    if kind == "domain" { stated } else { stated.or(Some(settings.default_limit)) }
}

fn rank(custom: &[String], name: &Name) -> i64 {
    let people = STRONG.into_iter().chain(custom.iter().map(String::as_str)).chain(WEAK);
    let mut order: Vec<&str> = people.collect();
    if name.is_account() {
        order = vec!["crm_account", "domain"];
    }
    order.iter().zip(0..).find(|(kind, _)| **kind == name.kind).map_or(i64::MAX, |(_, at)| at)
}

/// Sets that do not overlap.
struct Sets(Vec<Group>);

impl Sets {
    fn singles(all: &[&Name]) -> Self {
        Self(all.iter().map(|name| Group::from([(*name).clone()])).collect())
    }

    fn of(&self, name: &Name) -> Group {
        self.0.iter().find(|set| set.contains(name)).cloned().unwrap_or_default()
    }

    fn unite(&mut self, a: &Name, b: &Name) {
        let Some(at) = self.0.iter().position(|set| set.contains(a)) else { return };
        let left = self.0.swap_remove(at);
        match self.0.iter_mut().find(|set| set.contains(b)) {
            Some(right) => right.extend(left),
            None => self.0.push(left),
        }
    }
}
