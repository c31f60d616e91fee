//! What the events say, as sets: nothing here depends on the order in which they are heard.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::event::Body;
use tributary_proto::{Event, Identifier};
use xxhash_rust::xxh3::xxh3_128;

/// Mail providers anyone may sign up with: a part of the configuration that comes with the program.
const FREE_MAIL: &str = include_str!("../../../identity/data/free_mail.txt");

/// Sightings are told apart by the hour where somebody was erased.
const HOUR_MS: i64 = 3_600_000;

/// Until when each identifier was erased.
pub fn erasures(events: &[Event]) -> BTreeMap<Name, i64> {
    let mut erased = BTreeMap::new();
    for event in events.iter().filter(|event| is_erasure(event)) {
        for name in event.identifiers.iter().map(Name::of) {
            keep_greater(&mut erased, name, event.time_ms);
        }
    }
    erased
}

fn is_erasure(event: &Event) -> bool {
    matches!(event.body, Some(Body::Erase(_)))
}

/// The latest erasure of anybody the event names.
fn erased_until(event: &Event, erased: &BTreeMap<Name, i64>) -> Option<i64> {
    event.identifiers.iter().filter_map(|identifier| erased.get(&Name::of(identifier))).max().copied()
}

/// Whether an event counts for nothing: it asks for an erasure, or somebody it names was erased since. A milestone's version counts for
/// nothing in the hour of the erasure either.
pub fn is_void(event: &Event, erased: &BTreeMap<Name, i64>) -> bool {
    let version = matches!(event.body, Some(Body::Milestone(_)));
    let voids = |until| event.time_ms <= until || (version && !is_of_a_later_hour(event, until));
    is_erasure(event) || erased_until(event, erased).is_some_and(voids)
}

/// Whether the event's touch counts for nothing: of somebody who was erased, those of the same hour do not count either.
pub fn is_void_touch(event: &Event, erased: &BTreeMap<Name, i64>) -> bool {
    is_void(event, erased) || erased_until(event, erased).is_some_and(|until| !is_of_a_later_hour(event, until))
}

fn is_of_a_later_hour(event: &Event, until: i64) -> bool {
    event.time_ms.div_euclid(HOUR_MS) * HOUR_MS > until
}

/// An identifier. Sorted by its hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// xxh3-128 of kind, scope and value.
    pub hash: u128,
    /// The kind.
    pub kind: String,
    /// What the value is unique in.
    pub scope: String,
    /// The value.
    pub value: String,
}

impl Name {
    /// The name of an identifier.
    pub fn of(identifier: &Identifier) -> Self {
        let Identifier { kind, scope, value } = identifier;
        Self {
            hash: xxh3_128(format!("{kind}\u{1f}{scope}\u{1f}{value}").as_bytes()),
            kind: kind.clone(),
            scope: scope.clone(),
            value: value.clone(),
        }
    }

    /// The first eight bytes of the hash.
    pub fn short(&self) -> u64 {
        u64::try_from(self.hash >> 64).unwrap_or_default()
    }

    /// The domain with this value.
    fn domain(value: &str) -> Self {
        Self::of(&Identifier { kind: "domain".into(), scope: String::new(), value: value.into() })
    }

    /// The identifier it is the name of.
    pub fn identifier(&self) -> Identifier {
        Identifier { kind: self.kind.clone(), scope: self.scope.clone(), value: self.value.clone() }
    }

    /// Whether it names accounts, not people.
    pub fn is_account(&self) -> bool {
        self.kind == "crm_account" || self.kind == "domain"
    }

    /// What it is sorted by where published lists are.
    pub fn text(&self) -> (&str, &str, &str) {
        (&self.kind, &self.scope, &self.value)
    }
}

/// When something was said, and by which event: the later of two statements is the greater.
pub type When = (i64, u128);

/// What is known of two identifiers.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// When they were first seen together.
    pub seen_ms: Option<i64>,
    /// The latest word on them, and whether it forbids to join them.
    pub word: Option<(When, bool)>,
}

/// All facts.
#[derive(Debug, Default)]
pub struct Facts {
    /// Everything that was named, seen or not.
    pub mentioned: BTreeSet<Name>,
    /// When each was first seen.
    pub earliest: BTreeMap<Name, i64>,
    /// Pairs, the smaller first.
    pub pairs: BTreeMap<(Name, Name), Pair>,
    /// The latest account that each asserts.
    pub asserted: BTreeMap<Name, (When, Vec<u8>, Name)>,
    /// The latest consent of each, and whether it is a revocation.
    pub consent: BTreeMap<Name, (When, bool)>,
    /// The latest value of each trait.
    pub traits: BTreeMap<(Name, String), (When, String)>,
    free_mail: BTreeSet<String>,
}

impl Facts {
    /// The facts of a set of events.
    pub fn of(events: &[Event], settings: &Settings) -> Self {
        let built_in = FREE_MAIL.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let own = settings.free_mail.iter().map(|domain| domain.to_lowercase());
        let mut facts = Self { free_mail: built_in.map(str::to_owned).chain(own).collect(), ..Self::default() };
        let erased = erasures(events);
        for event in events.iter().filter(|event| !is_void(event, &erased)) {
            facts.hear(event, erased_until(event, &erased));
        }
        facts
    }

    /// The corporate domain of an address.
    pub fn corporate_domain(&self, name: &Name) -> Option<Name> {
        let (_, domain) = name.value.rsplit_once('@').filter(|_| name.kind == "email")?;
        (!domain.is_empty() && !self.free_mail.contains(domain)).then(|| Name::domain(domain))
    }

    /// Hears an event that is not void. Where somebody it names was erased, it is a sighting only if its whole hour is later, and counts
    /// as seen right after the erasure.
    fn hear(&mut self, event: &Event, erased_until: Option<i64>) {
        let at: When = (event.time_ms, xxh3_128(event.event_id.as_bytes()));
        let people: Vec<Name> = event.identifiers.iter().map(Name::of).collect();
        let accounts: Vec<Name> = event.account_identifiers.iter().map(Name::of).collect();
        let word = match &event.body {
            Some(Body::Link(_)) => Some(false),
            Some(Body::Unlink(_)) => Some(true),
            _ => None,
        };
        let later = erased_until.is_none_or(|until| is_of_a_later_hour(event, until));
        let sighting_ms = later.then(|| erased_until.map_or(event.time_ms, |until| until + 1));
        // What is said not to be one was not seen; an account that is named beside people was.
        let seen_ms = sighting_ms.filter(|_| word != Some(true));
        let accounts_seen_ms = if people.is_empty() { seen_ms } else { sighting_ms };
        let says = word.is_some() || matches!(event.body, Some(Body::Consent(_)));
        let asserts = !people.is_empty() && !accounts.is_empty();
        if seen_ms.is_none() && !says && !asserts && event.traits.is_empty() {
            return;
        }
        people.iter().for_each(|name| self.mention(name, seen_ms));
        accounts.iter().for_each(|name| self.mention(name, accounts_seen_ms));
        self.pair_up(&people, at, word, seen_ms);
        let record = matches!(event.body, Some(Body::Account(_)));
        let about_accounts = record || (word.is_some() && people.is_empty());
        if about_accounts {
            self.pair_up(&accounts, at, word, seen_ms);
        }
        if let (Some(primary), Some(account)) = (people.first(), accounts.first()) {
            let (kind, scope, value) = account.text();
            let said = (at, format!("{kind}\u{1f}{scope}\u{1f}{value}").into_bytes(), account.clone());
            keep_greater(&mut self.asserted, primary.clone(), said);
        }
        if let (Some(primary), Some(Body::Consent(consent))) = (people.first(), &event.body) {
            keep_greater(&mut self.consent, primary.clone(), (at, !consent.granted));
        }
        let bearer = if about_accounts { accounts.first() } else { people.first().or(accounts.first()) };
        for (bearer, stated) in event.traits.iter().filter_map(|stated| Some((bearer?, stated))) {
            keep_greater(&mut self.traits, (bearer.clone(), stated.name.clone()), (at, stated.value.clone()));
        }
    }

    /// An identifier was named; a corporate address names its domain too.
    fn mention(&mut self, name: &Name, seen_ms: Option<i64>) {
        let domain = self.corporate_domain(name);
        for name in domain.iter().chain([name]) {
            self.mentioned.insert(name.clone());
            if let Some(seen_ms) = seen_ms {
                let known = self.earliest.entry(name.clone()).or_insert(seen_ms);
                *known = seen_ms.min(*known);
            }
        }
    }

    fn pair_up(&mut self, group: &[Name], at: When, word: Option<bool>, seen_ms: Option<i64>) {
        if word.is_none() && seen_ms.is_none() {
            return;
        }
        for a in group {
            for b in group.iter().filter(|b| a < *b) {
                let pair = self.pairs.entry((a.clone(), b.clone())).or_default();
                pair.seen_ms = pair.seen_ms.into_iter().chain(seen_ms).min();
                if let Some(forbids) = word {
                    pair.word = pair.word.max(Some((at, forbids)));
                }
            }
        }
    }
}

fn keep_greater<K: Ord, V: Ord>(map: &mut BTreeMap<K, V>, key: K, said: V) {
    match map.get_mut(&key) {
        Some(known) if *known >= said => {}
        Some(known) => *known = said,
        None => {
            map.insert(key, said);
        }
    }
}
