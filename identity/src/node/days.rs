//! Statements by day of an identifier's identifier sets: see [`crate::days`].

use tributary_proto::{Day, Hash128, Observation, Stamp, kind};
use tributary_runtime::state::{State, StateError, get_message, put_message, scan_messages};

use super::Node;
use crate::days::{Stated, day_of, is_over, latest, merge_day, one, only_last};
use crate::keys;
use crate::stamp::{head_of, stamp_key};

impl Node {
    /// Stores what an event of an identifier set states; returns whether that changed anything. `erased_ms`: the time up to which the
    /// identifier set is erased.
    pub fn note(
        &self,
        state: &mut dyn State,
        identifier_set: Hash128,
        what: Stated,
        said: &Day,
        erased_ms: Option<i64>,
    ) -> Result<bool, StateError> {
        let (sub, now) = self.would_note(state, identifier_set, what, said, erased_ms)?;
        if let Some(now) = &now {
            put_message(state, &self.actor, &sub, now);
        }
        Ok(now.is_some())
    }

    /// The sub-key and the new value for a statement of a day; `None` if it is stored already.
    pub(crate) fn would_note(
        &self,
        state: &mut dyn State,
        identifier_set: Hash128,
        what: Stated,
        said: &Day,
        erased_ms: Option<i64>,
    ) -> Result<(Vec<u8>, Option<Day>), StateError> {
        let day = day_of(stamp_key(said.first.as_ref()).0);
        let mut sub = keys::days(what as u8, identifier_set);
        keys::push_day(&mut sub, day);
        let known: Option<Day> = get_message(state, &self.actor, &sub)?;
        let mut now = known.clone().unwrap_or_default();
        merge_day(&mut now, said);
        if erased_ms.map(day_of) == Some(day) {
            only_last(&mut now);
        }
        let news = known.as_ref() != Some(&now);
        Ok((sub, news.then_some(now)))
    }

    /// The statements of the events of an identifier set, by day.
    pub fn days(&self, state: &mut dyn State, identifier_set: Hash128, what: Stated) -> Result<Vec<Day>, StateError> {
        let found = scan_messages::<Day>(state, &self.actor, &keys::days(what as u8, identifier_set))?;
        Ok(found.into_iter().map(|(_, day)| day).collect())
    }

    /// The latest statement that counts.
    pub fn latest(&self, state: &mut dyn State, identifier_set: Hash128, what: Stated) -> Result<Option<Stamp>, StateError> {
        Ok(latest(self.days(state, identifier_set, what)?.into_iter()))
    }

    /// Whether it is an account deleted in its CRM, by the latest statement in the events of any identifier set. Of two in one event, the
    /// deletion counts.
    pub fn is_gone(&self, state: &mut dyn State) -> Result<bool, StateError> {
        if self.identifier.kind != kind::CRM_ACCOUNT {
            return Ok(false);
        }
        let gone = self.latest_of_all(state, Stated::Gone)?;
        if gone.is_none() {
            return Ok(false);
        }
        let here = self.latest_of_all(state, Stated::Here)?;
        Ok(stamp_key(gone.as_ref()) >= stamp_key(here.as_ref()))
    }

    fn latest_of_all(&self, state: &mut dyn State, what: Stated) -> Result<Option<Stamp>, StateError> {
        let days = scan_messages::<Day>(state, &self.actor, &[keys::DAY, what as u8])?;
        Ok(latest(days.into_iter().map(|(_, day)| day)))
    }

    /// Deletes what the events of an identifier set stated up to `until_ms`; returns whether anything is left.
    pub fn void_days(&self, state: &mut dyn State, identifier_set: Hash128, until_ms: i64) -> Result<bool, StateError> {
        let mut left = false;
        for what in Stated::ALL {
            for (sub, mut day) in scan_messages::<Day>(state, &self.actor, &keys::days(what as u8, identifier_set))? {
                if is_over(&day, until_ms) {
                    state.delete(&self.actor, &sub);
                    continue;
                }
                left = true;
                if day_of(until_ms) == day_of(stamp_key(day.last.as_ref()).0) {
                    only_last(&mut day);
                    put_message(state, &self.actor, &sub, &day);
                }
            }
        }
        Ok(left)
    }

    /// Marks the statements of an event as retracted; returns the identifier sets that have some.
    pub fn retract_days(&self, state: &mut dyn State, event_head: u64) -> Result<Vec<Hash128>, StateError> {
        let is_it = |at: Option<&Stamp>| at.is_some_and(|at| head_of(at) == Some(event_head));
        let mut touched = Vec::new();
        for (sub, mut day) in scan_messages::<Day>(state, &self.actor, &[keys::DAY])? {
            let before = day.clone();
            day.first_retracted |= is_it(day.first.as_ref());
            day.last_retracted |= is_it(day.last.as_ref());
            if day != before {
                put_message(state, &self.actor, &sub, &day);
                touched.extend(sub.get(2..18).and_then(Hash128::from_bytes));
            }
        }
        Ok(touched)
    }

    /// Converts to days what an earlier version of this program stored of an identifier set: the latest statement only. Older statements
    /// that were applied then can no longer be told from those that never arrived, except by their time.
    pub(crate) fn by_day(
        &self,
        state: &mut dyn State,
        identifier_set: Hash128,
        observation: &mut Observation,
    ) -> Result<(), StateError> {
        if observation.by_day {
            return Ok(());
        }
        observation.former_ms = former_ms(observation);
        observation.by_day = true;
        let assertion = observation.assertion.take().and_then(|assertion| assertion.at).map(|at| (Stated::Account, at));
        let explicit = observation
            .explicit
            .clone()
            .and_then(|explicit| Some((if explicit.join { Stated::Joined } else { Stated::Apart }, explicit.at?)));
        let consent = observation.consent.clone();
        let consent =
            consent.and_then(|consent| Some((if consent.granted { Stated::Granted } else { Stated::Revoked }, consent.at?)));
        for (what, at) in [assertion, explicit, consent].into_iter().flatten() {
            self.note(state, identifier_set, what, &one(&at, false), observation.erased_ms)?;
        }
        Ok(())
    }
}

/// The time of the latest statement if an earlier version of this program stored only that one; `None` otherwise.
pub(crate) fn former_ms(observation: &Observation) -> Option<i64> {
    if observation.by_day {
        return observation.former_ms;
    }
    let stamps = [
        observation.assertion.as_ref().and_then(|said| said.at.as_ref()),
        observation.explicit.as_ref().and_then(|said| said.at.as_ref()),
        observation.consent.as_ref().and_then(|said| said.at.as_ref()),
    ];
    stamps.into_iter().flatten().map(|at| at.time_ms).max()
}
