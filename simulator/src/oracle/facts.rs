//! What the events say, as sets: nothing here depends on the order in which they are heard.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::event::Body;
use tributary_proto::{Event, Identifier};
use xxhash_rust::xxh3::xxh3_128;

/// Mail providers anyone may sign up with: a part of the configuration that comes with the program.
const FREE_MAIL: &str = include_str!("../../../identity/data/free_mail.txt");

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
        events.iter().for_each(|event| facts.hear(event));
        facts
    }

    /// The corporate domain of an address.
    pub fn corporate_domain(&self, name: &Name) -> Option<Name> {
        let (_, domain) = name.value.rsplit_once('@').filter(|_| name.kind == "email")?;
        (!domain.is_empty() && !self.free_mail.contains(domain)).then(|| Name::domain(domain))
    }

    fn hear(&mut self, event: &Event) {
        let at: When = (event.time_ms, xxh3_128(event.event_id.as_bytes()));
        let people: Vec<Name> = event.identifiers.iter().map(Name::of).collect();
        let accounts: Vec<Name> = event.account_identifiers.iter().map(Name::of).collect();
        let word = match &event.body {
            Some(Body::Link(_)) => Some(false),
            Some(Body::Unlink(_)) => Some(true),
            _ => None,
        };
        // What is said not to be one was not seen.
        let seen_people = word != Some(true);
        let seen_accounts = word != Some(true) || !people.is_empty();
        for (names, seen) in [(&people, seen_people), (&accounts, seen_accounts)] {
            for name in names {
                self.mention(name, seen.then_some(event.time_ms));
            }
        }
        self.pair_up(&people, at, word);
        let record = matches!(event.body, Some(Body::Account(_)));
        let about_accounts = record || (word.is_some() && people.is_empty());
        if about_accounts {
            self.pair_up(&accounts, at, word);
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

    fn pair_up(&mut self, group: &[Name], at: When, word: Option<bool>) {
        for a in group {
            for b in group.iter().filter(|b| a < *b) {
                let pair = self.pairs.entry((a.clone(), b.clone())).or_default();
                if word != Some(true) {
                    pair.seen_ms = Some(pair.seen_ms.map_or(at.0, |known| known.min(at.0)));
                }
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
