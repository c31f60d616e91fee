//! Caches identities: several identifiers of an answer are often one person.

use std::collections::BTreeMap;

use tributary_identity::Rules;
use tributary_identity::read::{Person, person};
use tributary_proto::{Hash128, Identifier};
use tributary_runtime::state::{Snapshot, StateError};

use super::answer::{AccountWhy, MembershipWhy};
use super::words;

/// Persons by identifier: a cache.
pub(super) struct People<'a> {
    rules: &'a Rules,
    known: BTreeMap<Hash128, Option<Person>>,
    /// The accounts by time of those that were needed.
    stays: BTreeMap<Hash128, Vec<MembershipWhy>>,
}

impl<'a> People<'a> {
    pub fn new(rules: &'a Rules) -> Self {
        Self { rules, known: BTreeMap::new(), stays: BTreeMap::new() }
    }

    /// The person of an identifier.
    pub fn of(&mut self, snapshot: &mut dyn Snapshot, identifier: &Identifier) -> Result<Option<&Person>, StateError> {
        let hash = identifier.hash();
        if !self.known.contains_key(&hash) {
            let shared =
                self.known.values().flatten().find(|known| known.members.iter().any(|(member, _)| member == identifier));
            let found = match shared.cloned() {
                Some(person) => Some(person),
                None => person(snapshot, identifier, self.rules)?,
            };
            self.known.insert(hash, found);
        }
        Ok(self.known.get(&hash).and_then(Option::as_ref))
    }

    /// Why a person belonged to its account at a time; `None` if it had none, or is an account.
    pub fn account_why(
        &mut self,
        snapshot: &mut dyn Snapshot,
        of: &Person,
        time_ms: i64,
    ) -> Result<Option<AccountWhy>, StateError> {
        let account_id = of.placement.at(time_ms).1;
        let rules = self.rules;
        let mut found = None;
        for named in &of.accounts {
            let account = self.of(snapshot, &named.account)?;
            let is_it = account.map_or(named.account.value.as_str(), Person::id) == account_id;
            // The latest assertion up to then; the first one also counts for earlier times.
            if is_it && (named.from_ms <= time_ms || found.is_none()) {
                found = Some(words::account(named, of, account, rules));
            }
        }
        Ok(found)
    }

    /// The accounts that a person has belonged to, by time; empty unless there are several.
    pub fn memberships(&mut self, snapshot: &mut dyn Snapshot, of: &Person) -> Result<Vec<MembershipWhy>, StateError> {
        if of.placement.later.is_empty() { Ok(Vec::new()) } else { self.stays(snapshot, of) }
    }

    /// The accounts that a person has belonged to, by time, even if there is only one.
    fn stays(&mut self, snapshot: &mut dyn Snapshot, of: &Person) -> Result<Vec<MembershipWhy>, StateError> {
        let mut all = Vec::new();
        for stay in of.placement.stays() {
            let why = self.account_why(snapshot, of, stay.from_ms)?;
            let from_ms = (stay.from_ms != i64::MIN).then_some(stay.from_ms);
            all.push(MembershipWhy { from_ms, account_id: stay.account_id.to_owned(), why });
        }
        Ok(all)
    }

    /// The account of an identifier at a time, and the assertion behind it.
    pub fn account_then(
        &mut self,
        snapshot: &mut dyn Snapshot,
        identifier: &Identifier,
        time_ms: i64,
    ) -> Result<Option<MembershipWhy>, StateError> {
        let hash = identifier.hash();
        if !self.stays.contains_key(&hash) {
            let found = match self.of(snapshot, identifier)?.cloned() {
                Some(person) => self.stays(snapshot, &person)?,
                None => Vec::new(),
            };
            self.stays.insert(hash, found);
        }
        let stays = self.stays.get(&hash).into_iter().flatten();
        Ok(stays.take_while(|stay| stay.from_ms.is_none_or(|from_ms| from_ms <= time_ms)).last().cloned())
    }
}
