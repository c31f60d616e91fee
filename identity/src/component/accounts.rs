//! What a component knows of accounts: the answers of account identifiers, the members that need them, and the people of its own accounts.

use tributary_proto::{AccountIs, Belongs, Hash128, Identifier, Member, Subscribe};
use tributary_runtime::state::{State, StateError, get_message, put_message, scan_messages};

use super::Component;
use crate::group::People;
use crate::keys;
use crate::names::account_of;

impl Component {
    /// The latest answer of an account identifier.
    pub fn answer(self, state: &mut dyn State, account: Hash128) -> Result<Option<AccountIs>, StateError> {
        get_message(state, &self.root, &keys::one(keys::ACCOUNT, account))
    }

    /// Stores the answer of an account identifier; returns whether it changes the account of any member.
    pub fn add_answer(self, state: &mut dyn State, said: &AccountIs) -> Result<bool, StateError> {
        let Some(account) = &said.account else { return Ok(false) };
        let hash = account.hash();
        let known = self.answer(state, hash)?;
        if known.as_ref().is_some_and(|known| known.epoch >= said.epoch) {
            return Ok(false);
        }
        put_message(state, &self.root, &keys::one(keys::ACCOUNT, hash), said);
        let above_before = known.as_ref().map_or(&[][..], |known| &known.above);
        let moved = above_before != said.above;
        let (before, _) = account_of(account, known);
        Ok(moved || before != said.unit)
    }

    /// Whether this member has subscribed to an account identifier.
    pub fn is_subscribed(self, state: &mut dyn State, account: Hash128, subscriber: Hash128) -> Result<bool, StateError> {
        Ok(state.get(&self.root, &keys::two(keys::SUBSCRIPTION, account, subscriber))?.is_some())
    }

    /// Stores a subscription.
    pub fn add_subscription(self, state: &mut dyn State, subscribe: &Subscribe) {
        if let (Some(account), Some(subscriber)) = (&subscribe.account, &subscribe.subscriber) {
            put_message(state, &self.root, &keys::two(keys::SUBSCRIPTION, account.hash(), subscriber.hash()), subscribe);
        }
    }

    /// The members that have subscribed to an account identifier.
    pub fn subscribers_of(self, state: &mut dyn State, account: Hash128) -> Result<Vec<Hash128>, StateError> {
        let found = scan_messages::<Subscribe>(state, &self.root, &keys::one(keys::SUBSCRIPTION, account))?;
        Ok(found.into_iter().filter_map(|(sub, _)| sub.get(17..).and_then(Hash128::from_bytes)).collect())
    }

    /// Removes the subscriptions of a member that no longer exists; returns them.
    pub fn end_subscriptions(self, state: &mut dyn State, of: &Identifier, epoch: u64) -> Result<Vec<Subscribe>, StateError> {
        let mut ended = Vec::new();
        for (sub, subscribe) in scan_messages::<Subscribe>(state, &self.root, &[keys::SUBSCRIPTION])? {
            if subscribe.subscriber.as_ref() == Some(of) {
                state.delete(&self.root, &sub);
                ended.push(Subscribe { end: true, epoch, ..subscribe });
            }
        }
        for account in ended.iter().filter_map(|ended| ended.account.as_ref()).map(Identifier::hash) {
            if self.subscribers_of(state, account)?.is_empty() {
                // No subscription is left, so its answer would become stale.
                state.delete(&self.root, &keys::one(keys::ACCOUNT, account));
            }
        }
        Ok(ended)
    }

    /// Stores a person's message about belonging to the account of a member; returns whether it is new.
    pub fn add_person(self, state: &mut dyn State, member: Hash128, said: &Belongs) -> Result<bool, StateError> {
        let Some(person) = Hash128::from_bytes(&said.person) else { return Ok(false) };
        let sub = keys::two(keys::PERSON, member, person);
        let known: Option<Belongs> = get_message(state, &self.root, &sub)?;
        let news = known.is_none_or(|known| known.epoch < said.epoch);
        if news {
            // An entry of somebody who left is kept: an older message may still arrive by another path.
            put_message(state, &self.root, &sub, said);
        }
        Ok(news)
    }

    /// The stored messages of persons who belong or belonged to the account of any of these members.
    pub fn people_of(self, state: &mut dyn State, members: &[(Hash128, Member)]) -> Result<People, StateError> {
        let mut all = People::new();
        for (member, _) in members {
            let found = scan_messages::<Belongs>(state, &self.root, &keys::one(keys::PERSON, *member))?;
            if !found.is_empty() {
                all.insert(*member, found.into_iter().map(|(_, belongs)| belongs).collect());
            }
        }
        Ok(all)
    }
}
