//! What an event states about the identifiers that it names.

use tributary_proto::event::Body as What;
use tributary_proto::{Day, Event, Hash128, Identifier, IdentifierSet, Stamp, Trait, TraitFact, kind};

use crate::days::{Stated, one};
use crate::identifier_set::{ALONE, PUBLIC_ALONE};

/// When an event was received; if that is not known, when it happened.
pub(crate) fn received_ms(event: &Event) -> i64 {
    if event.received_ms == 0 { event.time_ms } else { event.received_ms }
}

/// What an event states about the identifiers in it.
pub(crate) struct Statement<'a> {
    pub people: &'a [Identifier],
    pub accounts: &'a [Identifier],
    /// Whether it links account identifiers to one account.
    pub links_accounts: bool,
    pub time_ms: i64,
    /// For a public event: when it was received, or when it happened if that is not known.
    pub received_ms: Option<i64>,
    pub stamp: Stamp,
    /// Whether it explicitly links (true) or unlinks (false) every pair.
    pub explicit: Option<bool>,
    pub traits: &'a [Trait],
    pub consent: Option<bool>,
    /// The stated parent of the account: `Some(None)` if it states that there is none.
    pub parent: Option<Option<&'a Identifier>>,
    /// Whether the event is public.
    pub public: bool,
    /// Whether the account exists in a CRM, as its record or its deletion states.
    pub exists: Option<bool>,
}

impl<'a> Statement<'a> {
    pub(crate) fn of(event: &'a Event) -> Self {
        let stamp = Stamp { time_ms: event.time_ms, event_hash: Hash128::of(event.event_id.as_bytes()).to_bytes().to_vec() };
        let (explicit, consent) = match &event.body {
            Some(What::Link(_)) => (Some(true), None),
            Some(What::Unlink(_)) => (Some(false), None),
            Some(What::Consent(consent)) => (None, Some(consent.granted)),
            _ => (None, None),
        };
        let record = match &event.body {
            Some(What::Account(record)) => Some(record),
            _ => None,
        };
        let of_account_alone = record.filter(|_| event.identifiers.is_empty() && !event.public);
        let parent = of_account_alone.and_then(|of| of.parent.as_ref().map(Some).or(of.parent_cleared.then_some(None)));
        let of_crm = event.account_identifiers.first().is_some_and(|account| account.kind == kind::CRM_ACCOUNT);
        let exists = of_account_alone.filter(|_| of_crm).map(|of| !of.gone);
        Self {
            people: &event.identifiers,
            accounts: &event.account_identifiers,
            links_accounts: record.is_some() || (explicit.is_some() && event.identifiers.is_empty()),
            time_ms: event.time_ms,
            received_ms: event.public.then(|| received_ms(event)),
            stamp,
            explicit,
            traits: &event.traits,
            consent,
            parent,
            public: event.public,
            exists,
        }
    }

    /// The identifier the event is keyed by.
    pub(crate) fn primary(&self) -> Option<&'a Identifier> {
        self.people.first().or_else(|| self.accounts.first())
    }

    /// The hash of the set of identifiers named, and of whether the event is public.
    pub(crate) fn identifier_set(&self) -> Hash128 {
        if self.people.len() + self.accounts.len() < 2 && self.parent.is_none() {
            return if self.public { PUBLIC_ALONE } else { ALONE };
        }
        let mut bytes = vec![u8::from(self.links_accounts), u8::from(self.is_apart()) | u8::from(self.public) << 1];
        for identifier in self.people {
            identifier.write_key(&mut bytes);
            bytes.push(0x1e);
        }
        bytes.push(0x1d);
        for identifier in self.accounts {
            identifier.write_key(&mut bytes);
            bytes.push(0x1e);
        }
        if let Some(parent) = self.parent {
            bytes.push(0x1c);
            parent.inspect(|parent| parent.write_key(&mut bytes));
        }
        Hash128::of(&bytes)
    }

    pub(crate) fn trait_facts(&self) -> Vec<TraitFact> {
        let fact =
            |named: &Trait| TraitFact { r#trait: Some(named.clone()), at: Some(self.stamp.clone()), public: self.public };
        self.traits.iter().map(fact).collect()
    }

    /// What it states, apart from the observation.
    pub(crate) fn stated(&self) -> impl Iterator<Item = Stated> {
        let beside = !self.people.is_empty() && !self.accounts.is_empty();
        let account = (beside || self.parent.is_some()).then_some(Stated::Account);
        let explicit = self.explicit.map(|join| if join { Stated::Joined } else { Stated::Apart });
        let consent = self.consent.map(|granted| if granted { Stated::Granted } else { Stated::Revoked });
        let exists = self.exists.map(|exists| if exists { Stated::Here } else { Stated::Gone });
        account.into_iter().chain(explicit).chain(consent).chain(exists)
    }

    /// Whether it is an unlink. An unlink is no observation of its identifiers.
    pub(crate) fn is_apart(&self) -> bool {
        self.explicit == Some(false)
    }

    /// Every identifier, people first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Identifier> {
        self.people.iter().chain(self.accounts)
    }

    /// Whether it is an observation of its identifiers. The deletion of an account is not.
    pub(crate) fn is_observation(&self) -> bool {
        if self.exists == Some(false) {
            return false;
        }
        !self.is_apart() || (!self.people.is_empty() && !self.accounts.is_empty())
    }

    /// Its statement as part of a day.
    pub(crate) fn day(&self, retracted: bool) -> Day {
        one(&self.stamp, retracted)
    }

    /// The identifiers named, as stored.
    pub(crate) fn to_identifier_set(&self) -> IdentifierSet {
        IdentifierSet {
            identifiers: self.people.to_vec(),
            account_identifiers: self.accounts.to_vec(),
            links_accounts: self.links_accounts,
            apart: self.is_apart(),
            public: self.public,
            parent: self.parent.flatten().cloned(),
            parent_cleared: self.parent == Some(None),
        }
    }
}
