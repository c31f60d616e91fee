//! The statements of all events, as sets: nothing here depends on their order.

use std::collections::{BTreeMap, BTreeSet};

use tributary_identity::Settings;
use tributary_proto::event::Body;
use tributary_proto::{Event, Identifier};

use super::existence::{self, Existence};
use super::hierarchy;
pub use super::name::Name;
use super::statements::{self, Asserted, When, when};
use super::void::Void;

/// Free-mail providers: part of the configuration that comes with the program.
const FREE_MAIL: &str = include_str!("../../../identity/data/free_mail.txt");

/// When something was first seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// By trusted events.
    pub trusted_ms: Option<i64>,
    /// By public ones.
    pub public_ms: Option<i64>,
}

impl Seen {
    fn add(&mut self, time_ms: i64, public: bool) {
        let earliest = if public { &mut self.public_ms } else { &mut self.trusted_ms };
        *earliest = Some(earliest.map_or(time_ms, |known| known.min(time_ms)));
    }

    /// The first trusted time if there is one, else the first public one.
    pub fn time_ms(self) -> Option<i64> {
        self.trusted_ms.or(self.public_ms)
    }
}

/// The facts about two identifiers.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// When they were first seen together.
    pub seen: Seen,
    /// When the first public event with both was received; if that is not known, when it happened.
    pub received_ms: Option<i64>,
    /// The latest explicit statement, and whether it is an unlink.
    pub word: Option<(When, bool)>,
}

/// The latest consents that an identifier states, each with whether it is a revocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Consents {
    /// By trusted events.
    pub trusted: Option<(When, bool)>,
    /// By public ones.
    pub public: Option<(When, bool)>,
}

/// All facts.
#[derive(Debug, Default)]
pub struct Facts {
    /// Everything that was named, even without an observation.
    pub mentioned: BTreeSet<Name>,
    /// When each was first seen.
    pub seen: BTreeMap<Name, Seen>,
    /// By pair, the smaller identifier first.
    pub pairs: BTreeMap<(Name, Name), Pair>,
    /// The accounts that each identifier asserts.
    pub asserted: BTreeMap<Name, BTreeSet<Asserted>>,
    /// The latest consents of each identifier.
    pub consents: BTreeMap<Name, Consents>,
    /// By identifier and trait: whether trusted, when, and the value; the greatest of these counts.
    pub traits: BTreeMap<(Name, String), (bool, When, String)>,
    /// The stated parents of each account.
    pub parents: BTreeMap<Name, BTreeSet<hierarchy::Said>>,
    free_mail: BTreeSet<String>,
}

impl Facts {
    /// The facts of a set of events.
    pub fn of(events: &[Event], void: &Void, settings: &Settings) -> Self {
        let built_in = FREE_MAIL.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let own = settings.free_mail.iter().map(|domain| domain.to_lowercase());
        let events: Vec<&Event> = events.iter().filter(|event| !void.is_void(event)).collect();
        let mut facts = Self { free_mail: built_in.map(str::to_owned).chain(own).collect(), ..Self::default() };
        let asserting = statements::asserting(&events, void);
        let said = statements::words_and_consents(&events, void);
        facts.asserted = statements::assertions(&asserting, void);
        facts.parents = hierarchy::parents(&events, void);
        let existence = Existence::of(&events, &said, void);
        for event in &events {
            // An unlink is no observation of its identifiers, except of an account named beside people.
            let beside = !event.identifiers.is_empty() && !event.account_identifiers.is_empty();
            let sighting_ms = void.sighting_ms(event).filter(|_| beside || statements::word(event) != Some(true));
            // The deletion of an account is no observation, either.
            let sighting_ms = sighting_ms.filter(|_| existence::says(event) != Some(false));
            let received_ms = void.erased_until(event).map_or(received_ms(event), |until| until + 1);
            facts.see(event, existence.named(event), sighting_ms.map(|seen_ms| (seen_ms, received_ms)));
        }
        // A statement in the hour of an erasure counts without being an observation, so its identifiers are only named.
        let asserting = asserting.iter().filter(|event| !void.is_retracted(event));
        let naming = events.iter().filter(|event| !event.traits.is_empty()).chain(asserting).chain(&said);
        naming.for_each(|event| facts.name_all(event, existence.named(event)));
        said.iter().for_each(|event| facts.heed(event));
        facts
    }

    /// When it was first seen: the trusted time if there is one, else the public one.
    pub fn time_ms(&self, name: &Name) -> Option<i64> {
        self.seen.get(name).and_then(|seen| seen.time_ms())
    }

    /// Whether a trusted event named it.
    pub fn is_trusted(&self, name: &Name) -> bool {
        self.seen.get(name).is_some_and(|seen| seen.trusted_ms.is_some())
    }

    /// The corporate domain of an address.
    pub fn corporate_domain(&self, name: &Name) -> Option<Name> {
        let (_, domain) = name.value.rsplit_once('@').filter(|_| name.kind == "email")?;
        (!domain.is_empty() && !self.free_mail.contains(domain)).then(|| Name::domain(domain))
    }

    /// Adds the observation (event time and time of receipt) and the traits of an event that is not void. `accounts` are the accounts it
    /// names.
    fn see(&mut self, event: &Event, accounts: &[Identifier], sighting: Option<(i64, i64)>) {
        let people: Vec<Name> = event.identifiers.iter().map(Name::of).collect();
        let named = accounts;
        let accounts: Vec<Name> = named.iter().map(Name::of).collect();
        let about_accounts = statements::is_about_accounts(event);
        if let Some((seen_ms, received_ms)) = sighting {
            self.name_all(event, named);
            // An unlink is no observation of its people, but of an account named beside them.
            let apart = statements::word(event) == Some(true);
            for (names, seen) in [(&people, !apart), (&accounts, !apart || !people.is_empty())] {
                names.iter().filter(|_| seen).for_each(|name| self.sight(name, seen_ms, event.public));
            }
            let groups = [Some(&people), Some(&accounts).filter(|_| about_accounts)];
            for pair in groups.into_iter().flatten().filter(|_| !apart).flat_map(|group| pairs(group)) {
                let pair = self.pairs.entry(pair).or_default();
                pair.seen.add(seen_ms, event.public);
                if event.public {
                    pair.received_ms = Some(pair.received_ms.map_or(received_ms, |known| known.min(received_ms)));
                }
            }
        }
        let bearer = if about_accounts { accounts.first() } else { people.first().or(accounts.first()) };
        for (bearer, stated) in event.traits.iter().filter_map(|stated| Some((bearer?, stated))) {
            let said = (!event.public, when(event), stated.value.clone());
            let known = self.traits.entry((bearer.clone(), stated.name.clone())).or_insert_with(|| said.clone());
            if said > *known {
                *known = said;
            }
        }
    }

    /// Adds an observation of an identifier; for a corporate address, of its domain too.
    fn sight(&mut self, name: &Name, seen_ms: i64, public: bool) {
        let domain = self.corporate_domain(name);
        for name in domain.iter().chain([name]) {
            self.mentioned.insert(name.clone());
            self.seen.entry(name.clone()).or_default().add(seen_ms, public);
        }
    }

    fn name_all(&mut self, event: &Event, accounts: &[Identifier]) {
        for name in event.identifiers.iter().chain(accounts).map(Name::of) {
            self.mentioned.extend(self.corporate_domain(&name));
            self.mentioned.insert(name);
        }
    }

    /// Adds an explicit link or a consent that counts.
    fn heed(&mut self, event: &Event) {
        if let Some(forbids) = statements::word(event) {
            let of = if event.identifiers.is_empty() { &event.account_identifiers } else { &event.identifiers };
            for pair in pairs(&of.iter().map(Name::of).collect::<Vec<_>>()) {
                let word = &mut self.pairs.entry(pair).or_default().word;
                *word = (*word).max(Some((when(event), forbids)));
            }
        }
        if let (Some(primary), Some(Body::Consent(consent))) = (event.identifiers.first(), &event.body) {
            let known = self.consents.entry(Name::of(primary)).or_default();
            let known = if event.public { &mut known.public } else { &mut known.trusted };
            *known = (*known).max(Some((when(event), !consent.granted)));
        }
    }
}

/// When an event was received; if that is not known, when it happened.
pub fn received_ms(event: &Event) -> i64 {
    if event.received_ms == 0 { event.time_ms } else { event.received_ms }
}

/// All pairs of a group, the smaller first.
fn pairs(group: &[Name]) -> Vec<(Name, Name)> {
    let with = |a: &Name| group.iter().filter(|b| a < *b).map(|b| (a.clone(), b.clone())).collect::<Vec<_>>();
    group.iter().flat_map(with).collect()
}
