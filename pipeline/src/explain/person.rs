//! Identities looked up once each: several identifiers of an answer are often one person.

use std::collections::BTreeMap;

use tributary_identity::Rules;
use tributary_identity::read::{Person, person};
use tributary_proto::{Hash128, Identifier};
use tributary_runtime::state::{Snapshot, StateError};

use super::answer::AccountWhy;
use super::words;

/// Persons by the identifiers they were looked up by.
pub(super) struct People<'a> {
    rules: &'a Rules,
    known: BTreeMap<Hash128, Option<Person>>,
}

impl<'a> People<'a> {
    pub fn new(rules: &'a Rules) -> Self {
        Self { rules, known: BTreeMap::new() }
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

    /// Why a person is of its account; `None` where it has none, or is one.
    pub fn account_why(&mut self, snapshot: &mut dyn Snapshot, of: &Person) -> Result<Option<AccountWhy>, StateError> {
        let Some(named) = &of.account else { return Ok(None) };
        let rules = self.rules;
        let account = self.of(snapshot, &named.account)?;
        Ok(Some(words::account(named, of, account, rules)))
    }
}
