//! The rest of a root whose clusters cost much, and what is put off until it is over.

use std::collections::BTreeSet;

use tributary_proto::Hash128;
use tributary_runtime::state::{State, StateError, prefix_end};

use super::Component;
use crate::keys;

impl Component {
    /// Whether it rests.
    pub fn is_resting(self, state: &mut dyn State) -> Result<bool, StateError> {
        Ok(state.get(&self.root, keys::RESTING)?.is_some())
    }

    /// Has it rest.
    pub fn rest(self, state: &mut dyn State) {
        state.put(&self.root, keys::RESTING, &[1]);
    }

    /// Notes of which members the clusters are to be computed after the rest, and which ids are to be looked at.
    pub fn put_off(self, state: &mut dyn State, members: &BTreeSet<Hash128>, ids: &BTreeSet<String>) -> Result<(), StateError> {
        let members = members.iter().map(|member| (keys::one(keys::DUE, *member), [1].as_slice()));
        let ids = ids.iter().map(|id| (keys::one(keys::DUE_ID, Hash128::of(id.as_bytes())), id.as_bytes()));
        for (sub, value) in members.chain(ids) {
            if state.get(&self.root, &sub)?.is_none() {
                state.put(&self.root, &sub, value);
            }
        }
        Ok(())
    }

    /// Ends the rest; returns what was put off.
    pub fn wake(self, state: &mut dyn State) -> Result<(BTreeSet<Hash128>, BTreeSet<String>), StateError> {
        let (mut members, mut ids, mut gone) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        if !self.is_resting(state)? {
            return Ok((members, ids));
        }
        state.delete(&self.root, keys::RESTING);
        for tag in [keys::DUE, keys::DUE_ID] {
            state.scan(&self.root, &[tag], &prefix_end(&[tag]), &mut |sub, value| {
                match tag {
                    keys::DUE => members.extend(sub.get(1..).and_then(Hash128::from_bytes)),
                    _ => ids.extend(String::from_utf8(value.to_vec()).ok()),
                }
                gone.push(sub.to_vec());
                true
            })?;
        }
        for sub in gone {
            state.delete(&self.root, &sub);
        }
        Ok((members, ids))
    }
}
