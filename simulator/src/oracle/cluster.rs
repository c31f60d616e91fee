//! Identifiers grouped into people, and into accounts: links united one by one, trusted ones first.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_identity::settings::PublicJoins;

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

/// Identifiers of one person or account.
pub type Group = BTreeSet<Name>;

/// Sort key and ends of a link: time of receipt (public links only), class, event time, the two ends.
type Link<'a> = (i64, i64, i64, &'a Name, &'a Name);

/// The persons (or accounts) as groups of identifiers; and the members of clusters that are too large.
pub fn groups(facts: &Facts, settings: &Settings, custom: &[String], accounts: bool) -> (Vec<Group>, Group) {
    let all: Vec<&Name> = facts.mentioned.iter().filter(|name| name.is_account() == accounts).collect();
    let pairs = || facts.pairs.iter().filter(|((a, _), _)| a.is_account() == accounts);
    let shared: BTreeSet<&Name> = all.iter().copied().filter(|name| is_shared(facts, settings, name)).collect();
    let forbidden = |pair: &Pair| pair.word.is_some_and(|(_, forbids)| forbids);
    let never: Vec<(&Name, &Name)> = pairs().filter(|(_, pair)| forbidden(pair)).map(|((a, b), _)| (a, b)).collect();
    let links = |trusted: bool| {
        let usable = pairs().filter(|((a, b), pair)| {
            !forbidden(pair) && !shared.contains(a) && !shared.contains(b) && is_trusted(pair) == trusted
        });
        let mut links: Vec<Link<'_>> = usable
            .filter_map(|((a, b), pair)| {
                let class = if pair.word.is_some() { -1 } else { rank(custom, a).max(rank(custom, b)) };
                let received_ms = if trusted { 0 } else { pair.received_ms? };
                Some((received_ms, class, pair.seen.time_ms()?, a, b))
            })
            .collect();
        links.sort();
        links
    };
    let limit = usize::try_from(settings.max_cluster).unwrap_or(usize::MAX);
    let mut joined = Joined { settings, never, records: Sets::singles(&all), sets: Sets::singles(&all) };

    // Trusted links first, as if there were no others.
    let mut trusted = links(true);
    let mut large = too_large(&all, &trusted, |cluster| cluster.len() > limit);
    trusted.retain(|(.., a, _)| !large.contains(*a));
    let merges = trusted.iter().filter(|(_, class, _, a, b)| *class == -1 && is_merge(settings, a, b));
    merges.for_each(|(.., a, b)| joined.records.unite(a, b));
    trusted.iter().for_each(|(.., a, b)| joined.unite(a, b, |_| true, usize::MAX));

    // Public-only identifiers in groups that are too large.
    let mut public = links(false);
    let untrusted = |(.., a, b): &&Link<'_>| !facts.is_trusted(a) && !facts.is_trusted(b);
    let chained: Vec<Link<'_>> = public.iter().filter(untrusted).copied().collect();
    let most = |of: u32| usize::try_from(of).unwrap_or(usize::MAX);
    let (public_most, anonymous_most) = (most(settings.public_cluster).min(limit), most(settings.anonymous_cluster));
    large.extend(too_large(&all, &chained, |cluster| {
        cluster.len() > public_most || cluster.iter().filter(|name| name.is_anonymous()).count() > anonymous_most
    }));

    // Then public links, in the order of receipt.
    public.retain(|(.., a, b)| !large.contains(*a) && !large.contains(*b));
    if settings.public_joins == PublicJoins::Anonymous {
        public = firsts_of_anonymous(&public);
    }
    let leaves_max = most(settings.public_leaves);
    for (.., a, b) in public {
        // In a group with trusted identifiers the limits count only these; the others have a limit of their own.
        if joined.any(a, b, |name| facts.is_trusted(name)) {
            joined.unite(a, b, |name| facts.is_trusted(name), leaves_max);
        } else {
            joined.unite(a, b, |_| true, usize::MAX);
        }
    }
    (joined.sets.0, large)
}

/// Whether the evidence for a link is trusted: explicit links always are.
fn is_trusted(pair: &Pair) -> bool {
    pair.seen.trusted_ms.is_some() || pair.word.is_some()
}

/// The members of clusters that are too large, if these links connect them.
fn too_large(all: &[&Name], links: &[Link<'_>], is_too_large: impl Fn(&Group) -> bool) -> Group {
    let mut clusters = Sets::singles(all);
    links.iter().for_each(|(.., a, b)| clusters.unite(a, b));
    clusters.0.into_iter().filter(|cluster| is_too_large(cluster)).flatten().collect()
}

/// Of these links, those that are the first of a cookie or a device.
fn firsts_of_anonymous<'a>(links: &[Link<'a>]) -> Vec<Link<'a>> {
    let mut met = BTreeSet::new();
    let is_first = |link: &&Link<'a>| {
        let ends = [link.3, link.4].map(|end| end.is_anonymous() && met.insert(end));
        ends.contains(&true)
    };
    links.iter().filter(is_first).copied().collect()
}

/// The groups joined so far.
struct Joined<'a> {
    settings: &'a Settings,
    never: Vec<(&'a Name, &'a Name)>,
    /// Records that their CRM has merged.
    records: Sets,
    sets: Sets,
}

impl Joined<'_> {
    /// Joins two groups unless that is forbidden, exceeds the limit of a kind (counting only identifiers that `counts` accepts), or gives
    /// more than `others_max` other identifiers.
    fn unite(&mut self, a: &Name, b: &Name, counts: impl Fn(&Name) -> bool, others_max: usize) {
        let left = self.sets.of(a);
        // They are in one group already, so nothing can forbid it.
        if left.contains(b) {
            return;
        }
        let union: Group = left.union(&self.sets.of(b)).cloned().collect();
        let enemies = self.never.iter().any(|(a, b)| union.contains(*a) && union.contains(*b));
        let (counted, others): (Group, Group) = union.into_iter().partition(counts);
        if !enemies && others.len() <= others_max && !self.exceeds_a_limit(&counted) {
            self.sets.unite(a, b);
        }
    }

    /// Whether `so` holds for any identifier in the groups of these two.
    fn any(&self, a: &Name, b: &Name, so: impl Fn(&Name) -> bool) -> bool {
        [a, b].into_iter().any(|name| self.sets.of(name).iter().any(&so))
    }

    fn exceeds_a_limit(&self, group: &Group) -> bool {
        let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        let record = |name: &Name| self.records.of(name).first().cloned();
        let records: BTreeSet<(&str, &str, Option<Name>)> =
            group.iter().map(|name| (name.kind.as_str(), name.scope.as_str(), record(name))).collect();
        records.into_iter().for_each(|(kind, scope, _)| *counts.entry((kind, scope)).or_default() += 1);
        counts.into_iter().any(|((kind, _), count)| limit(self.settings, kind).is_some_and(|limit| count > limit))
    }
}

/// Whether an identifier is linked to more others than one person can have. For a trusted identifier, public links do not count.
pub fn is_shared(facts: &Facts, settings: &Settings, name: &Name) -> bool {
    let counts = |pair: &Pair| is_trusted(pair) || !facts.is_trusted(name);
    let others = facts.pairs.iter().filter(|(_, pair)| counts(pair)).filter_map(|((a, b), _)| match () {
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

/// Whether an explicit link of two identifiers of this kind means that their CRM has merged two records.
fn is_merge(settings: &Settings, a: &Name, b: &Name) -> bool {
    a.kind == b.kind && a.scope == b.scope && settings.merged_kinds.contains(&a.kind)
}

/// How many identifiers of a kind a person may have.
fn limit(settings: &Settings, kind: &str) -> Option<u32> {
    let stated = settings.limits.get(kind).copied();
    if kind == "domain" || kind == "company_name" { stated } else { stated.or(Some(settings.default_limit)) }
}

fn rank(custom: &[String], name: &Name) -> i64 {
    let people = STRONG.into_iter().chain(custom.iter().map(String::as_str)).chain(WEAK);
    let mut order: Vec<&str> = people.collect();
    if name.is_account() {
        order = vec!["crm_account", "domain", "company_name"];
    }
    order.iter().zip(0..).find(|(kind, _)| **kind == name.kind).map_or(i64::MAX, |(_, at)| at)
}

/// Disjoint sets.
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
