//! Same events, same profiles: any order, any partitioning, any batching; judged by a naive computation over the set of all events.
//!
//! The judge shares nothing with the core but the message types and the settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tributary_identity::{IdentityStage, LOG, Rules, Settings};
use tributary_proto::event::Body;
use tributary_proto::{
    Account, AccountRecord, Consent, Erase, Event, Identifier, Identify, IdentityMessage, Link, Message, MilestoneVersion,
    Profile, Touch, Trait, Unlink, identity_message,
};
use tributary_runtime::log::{BatchLimits, MemoryLog};
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

const MAX_CLUSTER: usize = 9;

fn settings() -> Settings {
    Settings { shared_after: 2, shared_any: 6, max_cluster: MAX_CLUSTER as u32, ..Settings::default() }
}

/// Runs the stage over events; returns the live profiles and accounts.
fn run(events: &[Event], partitions: u32, records_max: usize) -> (BTreeMap<String, Profile>, BTreeMap<String, Account>) {
    let rules: Arc<Rules> = Arc::new(settings().compile().unwrap());
    let log = MemoryLog::new(partitions);
    let limits = BatchLimits { records_max, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let build = Box::new(move |share| Box::new(IdentityStage::new(rules.clone(), share)) as Box<_>);
    let mut worker =
        Worker::new(log.session(LOG), LOG, build, WorkerOptions { limits, cache_bytes: usize::MAX, json: Vec::new() });
    for event in events {
        let primary = event.identifiers.first().or(event.account_identifiers.first()).unwrap();
        let key = match &event.body {
            Some(Body::Milestone(version)) => version.milestone_id.clone().into_bytes(),
            _ => primary.key(),
        };
        let message = IdentityMessage { body: Some(identity_message::Body::Event(event.clone())) };
        log.append(Topic::IdentityInbox, event.time_ms, key, message.encode_to_vec());
    }
    let mut steps = 0;
    while worker.step().unwrap() > 0 {
        steps += 1;
        assert!(steps < 200_000, "the messages never drain");
    }
    let mut profiles = BTreeMap::new();
    for output in log.drain(Topic::Profiles) {
        let Some(value) = output.value else {
            profiles.remove(&String::from_utf8(output.key).unwrap());
            continue;
        };
        let profile = Profile::decode(value.as_slice()).unwrap();
        assert_eq!(output.key, profile.profile_id.as_bytes());
        profiles.insert(profile.profile_id.clone(), profile);
    }
    let mut accounts = BTreeMap::new();
    for output in log.drain(Topic::Accounts) {
        let Some(value) = output.value else {
            accounts.remove(&String::from_utf8(output.key).unwrap());
            continue;
        };
        let account = Account::decode(value.as_slice()).unwrap();
        accounts.insert(account.account_id.clone(), account);
    }
    assert!(profiles.values().all(|profile| profile.split_from.is_empty()), "a notice that nothing follows");
    assert!(accounts.values().all(|account| account.split_from.is_empty()), "a notice that nothing follows");
    profiles.retain(|_, profile| profile.merged_into.is_empty());
    accounts.retain(|_, account| account.merged_into.is_empty());
    (profiles, accounts)
}

/// Everything the events say, as sets.
#[derive(Default)]
struct Judge {
    mentioned: BTreeSet<Identifier0>,
    earliest: BTreeMap<Identifier0, i64>,
    links: BTreeMap<(Identifier0, Identifier0), Pair>,
    asserted: BTreeMap<Identifier0, (i64, u128, Identifier0)>,
    consent: BTreeMap<Identifier0, (i64, u128, bool)>,
    traits: BTreeMap<Identifier0, BTreeMap<String, (i64, u128, String)>>,
}

const HOUR_MS: i64 = 3_600_000;

/// When first seen together, and the last word: time, event, whether it forbids.
type Pair = (Option<i64>, Option<(i64, u128, bool)>);

/// Kind and value; the test's kinds have no scope.
type Identifier0 = (String, String);

fn plain(identifier: &Identifier) -> Identifier0 {
    (identifier.kind.clone(), identifier.value.clone())
}

fn hash(identifier: &Identifier0) -> u128 {
    xxhash(format!("{}\u{1f}\u{1f}{}", identifier.0, identifier.1).as_bytes())
}

fn xxhash(bytes: &[u8]) -> u128 {
    tributary_proto::Hash128::of(bytes).0
}

impl Judge {
    fn of(events: &[Event]) -> Self {
        let mut judge = Self::default();
        let mut erased: BTreeMap<Identifier0, i64> = BTreeMap::new();
        for event in events.iter().filter(|event| matches!(event.body, Some(Body::Erase(_)))) {
            for identifier in event.identifiers.iter().map(plain) {
                let until = erased.entry(identifier).or_insert(event.time_ms);
                *until = event.time_ms.max(*until);
            }
        }
        for event in events.iter().filter(|event| !matches!(event.body, Some(Body::Erase(_)))) {
            let until = event.identifiers.iter().filter_map(|of| erased.get(&plain(of))).max();
            if until.is_none_or(|until| event.time_ms > *until) {
                judge.hear(event, until.copied());
            }
        }
        judge
    }

    /// Hears an event that is not void. `erased` is the latest erasure of anybody it names: then it is a sighting only if its whole hour
    /// is later, and counts as seen at the erasure.
    fn hear(&mut self, event: &Event, erased: Option<i64>) {
        let mut at = (event.time_ms, xxhash(event.event_id.as_bytes()));
        let said_at = at;
        let people: Vec<_> = event.identifiers.iter().map(plain).collect();
        let accounts: Vec<_> = event.account_identifiers.iter().map(plain).collect();
        let unlink = matches!(event.body, Some(Body::Unlink(_)));
        let whole_hour_later = erased.is_none_or(|until| event.time_ms.div_euclid(HOUR_MS) * HOUR_MS > until);
        let sighting = !unlink && whole_hour_later;
        let seen_accounts = whole_hour_later && (!unlink || !people.is_empty());
        let says = unlink || matches!(event.body, Some(Body::Link(_) | Body::Consent(_)));
        let asserts = !people.is_empty() && !accounts.is_empty();
        if !sighting && !says && !asserts && event.traits.is_empty() {
            return;
        }
        if let Some(until) = erased {
            at.0 = until + 1;
        }
        self.mentioned.extend(people.iter().chain(&accounts).cloned());
        for email in people.iter().filter(|of| of.0 == "email" && !of.1.ends_with("@qq.com")) {
            let domain = ("domain".to_owned(), email.1.split('@').nth(1).unwrap().to_owned());
            self.mentioned.insert(domain.clone());
            if sighting {
                let known = self.earliest.entry(domain).or_insert(at.0);
                *known = at.0.min(*known);
            }
        }
        let link = matches!(event.body, Some(Body::Link(_)));
        for identifier in people.iter().filter(|_| sighting).chain(accounts.iter().filter(|_| seen_accounts)) {
            let known = self.earliest.entry(identifier.clone()).or_insert(at.0);
            *known = at.0.min(*known);
        }
        let mut groups = vec![people.clone()];
        if matches!(event.body, Some(Body::Account(_))) {
            groups.push(accounts.clone());
        }
        for group in groups {
            for a in &group {
                for b in group.iter().filter(|b| hash(a) < hash(b) && (sighting || link || unlink)) {
                    let known = self.links.entry((a.clone(), b.clone())).or_default();
                    if sighting {
                        known.0 = Some(known.0.map_or(at.0, |earliest| earliest.min(at.0)));
                    }
                    if link || unlink {
                        let word = (said_at.0, said_at.1, unlink);
                        known.1 = Some(known.1.map_or(word, |before| before.max(word)));
                    }
                }
            }
        }
        if let (Some(primary), Some(account)) = (people.first(), accounts.first()) {
            let said = (said_at.0, said_at.1, account.clone());
            let known = self.asserted.entry(primary.clone()).or_insert_with(|| said.clone());
            *known = said.max(known.clone());
        }
        if let (Some(primary), Some(Body::Consent(consent))) = (people.first(), &event.body) {
            let said = (said_at.0, said_at.1, !consent.granted);
            let known = self.consent.entry(primary.clone()).or_insert(said);
            *known = said.max(*known);
        }
        let bearer = if matches!(event.body, Some(Body::Account(_))) { accounts.first() } else { people.first() };
        for named in event.traits.iter().filter(|_| bearer.is_some()) {
            let said = (said_at.0, said_at.1, named.value.clone());
            let all = self.traits.entry(bearer.unwrap().clone()).or_default();
            let known = all.entry(named.name.clone()).or_insert_with(|| said.clone());
            *known = said.max(known.clone());
        }
    }

    fn traits_of(&self, group: &BTreeSet<Identifier0>) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, (i64, u128, String)> = BTreeMap::new();
        for (name, said) in group.iter().filter_map(|of| self.traits.get(of)).flatten() {
            let known = all.entry(name.clone()).or_insert_with(|| said.clone());
            *known = said.clone().max(known.clone());
        }
        all.into_iter().map(|(name, (.., value))| (name, value)).collect()
    }

    fn shared(&self, of: &Identifier0) -> bool {
        let others: Vec<_> = self
            .links
            .keys()
            .filter_map(|(a, b)| {
                if a == of {
                    Some(b)
                } else if b == of {
                    Some(a)
                } else {
                    None
                }
            })
            .collect();
        let strong = others.iter().filter(|other| ["crm_contact", "user_id", "crm_account"].contains(&other.0.as_str()));
        strong.count() > 2 || others.len() > 6
    }

    /// Groups of identifiers: people or accounts; and who is in quarantine.
    fn groups(&self, accounts: bool) -> (Vec<BTreeSet<Identifier0>>, BTreeSet<Identifier0>) {
        let kinds = [
            "crm_contact",
            "crm_lead",
            "user_id",
            "wechat_unionid",
            "wechat_openid",
            "wecom_external_userid",
            "email",
            "email_sha256",
            "phone",
            "anonymous_id",
            "device_id",
        ];
        let rank = |of: &Identifier0| {
            if accounts { i64::from(of.0 == "domain") } else { kinds.iter().position(|kind| *kind == of.0).unwrap() as i64 }
        };
        let is_account = |of: &Identifier0| of.0 == "crm_account" || of.0 == "domain";
        let all: Vec<_> = self.mentioned.iter().filter(|of| is_account(of) == accounts).cloned().collect();
        let shared: BTreeSet<_> = all.iter().filter(|of| self.shared(of)).cloned().collect();
        let mut usable = Vec::new();
        let mut never = Vec::new();
        for ((a, b), (earliest, word)) in &self.links {
            if is_account(a) != accounts {
                continue;
            }
            let forbidden = word.is_some_and(|(_, _, unlink)| unlink);
            if forbidden {
                never.push((a.clone(), b.clone()));
            } else if let Some(earliest) = earliest
                && !shared.contains(a)
                && !shared.contains(b)
            {
                let class = if word.is_some() { -1 } else { rank(a).max(rank(b)) };
                usable.push((class, *earliest, hash(a), hash(b), a.clone(), b.clone()));
            }
        }
        let singles = || all.iter().map(|of| BTreeSet::from([of.clone()])).collect::<Vec<_>>();
        let unite = |sets: &mut Vec<BTreeSet<Identifier0>>, a: &Identifier0, b: &Identifier0| {
            let at = sets.iter().position(|set| set.contains(a)).unwrap();
            let left = sets.swap_remove(at);
            match sets.iter_mut().find(|set| set.contains(b)) {
                Some(right) => right.extend(left),
                None => sets.push(left),
            }
        };
        let mut clusters = singles();
        for (.., a, b) in &usable {
            unite(&mut clusters, a, b);
        }
        let large: BTreeSet<_> = clusters.into_iter().filter(|set| set.len() > MAX_CLUSTER).flatten().collect();
        usable.retain(|(.., a, _)| !large.contains(a));
        usable.sort();
        let mut sets = singles();
        for (.., a, b) in &usable {
            let left = sets.iter().find(|set| set.contains(a)).unwrap();
            let right = sets.iter().find(|set| set.contains(b)).unwrap();
            if left == right {
                continue;
            }
            let union: BTreeSet<_> = left.union(right).cloned().collect();
            let mut count: BTreeMap<&str, usize> = BTreeMap::new();
            union.iter().for_each(|of| *count.entry(of.0.as_str()).or_default() += 1);
            let limit = |kind: &str| match kind {
                "crm_contact" | "user_id" | "crm_account" => 1,
                "domain" => usize::MAX,
                _ => 5,
            };
            let over = count.iter().any(|(kind, count)| *count > limit(kind));
            let enemies = never.iter().any(|(a, b)| union.contains(a) && union.contains(b));
            if !over && !enemies {
                unite(&mut sets, a, b);
            }
        }
        (sets, large)
    }

    fn age(&self, of: &Identifier0) -> (i64, u128) {
        (self.earliest.get(of).copied().unwrap_or(i64::MAX), hash(of))
    }

    fn profiles(&self) -> BTreeMap<String, Person> {
        let companies = self.accounts();
        let mut all = BTreeMap::new();
        let (sets, large) = self.groups(false);
        for set in sets {
            let quarantined = large.contains(set.first().unwrap());
            let traits = self.traits_of(&set);
            let oldest = set.iter().min_by_key(|of| self.age(of)).unwrap();
            let asserted = set.iter().filter_map(|of| self.asserted.get(of)).max().map(|(_, _, account)| account.clone());
            let domain = set
                .iter()
                .filter(|of| of.0 == "email" && !of.1.ends_with("@qq.com"))
                .max_by_key(|of| (self.earliest.get(*of).copied(), hash(of)))
                .map(|of| ("domain".to_owned(), of.1.split('@').nth(1).unwrap().to_owned()));
            let account = asserted.or(domain).map_or(String::new(), |named| {
                let company = companies.iter().find(|(_, (identifiers, ..))| identifiers.contains(&named));
                company.map_or(named.1.clone(), |(id, _)| id.clone())
            });
            let revoked = set.iter().filter_map(|of| self.consent.get(of)).max().is_some_and(|(_, _, revoked)| *revoked);
            all.insert(format!("p_{:032x}", hash(oldest)), (account, set, revoked, quarantined, traits));
        }
        all
    }

    fn accounts(&self) -> BTreeMap<String, Company> {
        let mut all = BTreeMap::new();
        let (sets, large) = self.groups(true);
        for set in sets {
            let quarantined = large.contains(set.first().unwrap());
            let traits = self.traits_of(&set);
            let crm = set.iter().find(|of| of.0 == "crm_account");
            let id = crm.unwrap_or_else(|| set.iter().min_by_key(|of| self.age(of)).unwrap()).1.clone();
            all.insert(id, (set, quarantined, traits));
        }
        all
    }
}

/// Account id, identifiers, whether revoked, whether quarantined, traits.
type Person = (String, BTreeSet<Identifier0>, bool, bool, Vec<(String, String)>);
/// Identifiers, whether quarantined, traits.
type Company = (BTreeSet<Identifier0>, bool, Vec<(String, String)>);

fn identifier() -> impl Strategy<Value = Identifier> {
    let plain =
        (prop::sample::select(vec!["crm_contact", "user_id", "phone", "anonymous_id", "crm_lead", "device_id"]), 0u8..4)
            .prop_map(|(kind, value)| Identifier::new(kind, "", format!("{kind}-{value}")));
    let email = (0u8..4, prop::sample::select(vec!["a.example", "b.example", "qq.com"]))
        .prop_map(|(name, domain)| Identifier::new("email", "", format!("{name}@{domain}")));
    prop_oneof![3 => plain, 1 => email]
}

fn account_identifier() -> impl Strategy<Value = Identifier> {
    (any::<bool>(), prop::sample::select(vec!["a.example", "b.example", "c.example"])).prop_map(|(crm, name)| {
        if crm { Identifier::new("crm_account", "", format!("crm-{name}")) } else { Identifier::new("domain", "", name) }
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let people = prop::collection::vec(identifier(), 1..4);
    let accounts = prop::collection::vec(account_identifier(), 0..3);
    let one = (people, accounts, 0i64..50, 0u8..24, 0u8..6).prop_map(|(mut people, mut accounts, time, what, some_trait)| {
        // Some hours hold several events.
        let time_ms = time * HOUR_MS / 4;
        let order = tributary_proto::kind::Kinds::default();
        let sort = |list: &mut Vec<Identifier>| {
            list.sort_by_key(|of| (order.rank(&of.kind), of.value.clone()));
            list.dedup();
        };
        sort(&mut people);
        sort(&mut accounts);
        if what > 2 {
            accounts.truncate(usize::from(what % 4 == 0));
        }
        let body = match what {
            0 | 1 if !accounts.is_empty() => {
                people.clear();
                Body::Account(AccountRecord {})
            }
            2 if !accounts.is_empty() => Body::Account(AccountRecord {}),
            3 => Body::Link(Link {}),
            4 => Body::Unlink(Unlink {}),
            5 => Body::Consent(Consent { granted: time % 2 == 0 }),
            20 | 21 => Body::Erase(Erase {}),
            22 | 23 => {
                let object_id = format!("{}", time % 3);
                let (milestone_id, kind) = (format!("mql:{object_id}"), "mql".to_owned());
                Body::Milestone(MilestoneVersion { milestone_id, kind, object_id, ..MilestoneVersion::default() })
            }
            6..10 => Body::Identify(Identify {}),
            _ => Body::Touch(Touch { channel: "direct".into(), ..Touch::default() }),
        };
        let named = matches!(body, Body::Erase(_) | Body::Unlink(_)) || some_trait > 1;
        let traits = if named { vec![] } else { vec![Trait { name: format!("t{some_trait}"), value: format!("{time}") }] };
        Event { time_ms, identifiers: people, account_identifiers: accounts, traits, body: Some(body), ..Event::default() }
    });
    prop::collection::vec(one, 1..40).prop_map(|mut all| {
        for (at, event) in all.iter_mut().enumerate() {
            event.event_id = format!("e{at}");
        }
        all
    })
}

fn check(events: &[Event], partitions: u32, records_max: usize) {
    let (profiles, accounts) = run(events, partitions, records_max);
    let judge = Judge::of(events);
    let found: BTreeMap<_, _> = profiles
        .into_values()
        .map(|profile| {
            let identifiers: BTreeSet<_> = profile.identifiers.iter().map(plain).collect();
            let traits = plain_traits(profile.traits);
            (profile.profile_id, (profile.account_id, identifiers, profile.revoked, profile.quarantined, traits))
        })
        .collect();
    assert_same(events, &found, &judge.profiles());
    let found: BTreeMap<_, Company> = accounts
        .into_values()
        .map(|account| {
            let identifiers = account.identifiers.iter().map(plain).collect();
            (account.account_id, (identifiers, account.quarantined, plain_traits(account.traits)))
        })
        .collect();
    assert_same(events, &found, &judge.accounts());
}

/// Panics with what differs.
fn assert_same<T: PartialEq + std::fmt::Debug>(events: &[Event], found: &BTreeMap<String, T>, expected: &BTreeMap<String, T>) {
    let differs = |key: &&String| found.get(*key) != expected.get(*key);
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).filter(differs).collect();
    let all: Vec<_> = keys.iter().map(|key| (key, found.get(*key), expected.get(*key))).collect();
    assert!(all.is_empty(), "{}found and expected: {all:#?}", compact(events));
}

fn plain_traits(traits: Vec<Trait>) -> Vec<(String, String)> {
    traits.into_iter().map(|named| (named.name, named.value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_partitioning_and_batching_gives_what_the_set_of_events_says(
        events in events(), partitions in 1u32..9, records_max in prop::sample::select(vec![1usize, 2, 7, 1000])
    ) {
        check(&events, partitions, records_max);
    }

    #[test]
    fn any_order_gives_what_the_set_of_events_says(events in events().prop_shuffle(), partitions in 1u32..5) {
        let mut twice = events.clone();
        twice.extend(events.iter().rev().cloned());
        let ((profiles, accounts), (expected, companies)) = (run(&twice, partitions, 3), run(&events, 1, 1000));
        assert_same(&events, &profiles, &expected);
        assert_same(&events, &accounts, &companies);
    }
}

/// A line an event.
fn compact(events: &[Event]) -> String {
    let names = |list: &[Identifier]| list.iter().map(|of| of.value.clone()).collect::<Vec<_>>().join(",");
    events
        .iter()
        .map(|event| {
            let body = format!("{:?}", event.body).chars().skip(5).take_while(|c| *c != '(').collect::<String>();
            format!(
                "{} {} {} | {} {}\n",
                event.event_id,
                event.time_ms / (HOUR_MS / 4),
                body,
                names(&event.identifiers),
                names(&event.account_identifiers)
            )
        })
        .collect()
}
