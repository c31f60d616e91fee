//! Throttling of a root whose clusters are expensive, and the work that is deferred meanwhile.

use std::collections::BTreeSet;

use tributary_proto::Hash128;
use tributary_runtime::state::{State, StateError, prefix_end};

use super::Component;
use crate::keys;

/// The value under [`keys::THROTTLED`]: nothing was removed from the component since its root was throttled.
const GROWN: &[u8] = &[1];
/// The same: something was removed.
const SHRUNK: &[u8] = &[2];

/// What was deferred while a root was throttled.
#[derive(Default)]
pub struct Due {
    /// Members whose clusters are to be computed.
    pub members: BTreeSet<Hash128>,
    /// Ids of profiles or accounts to be checked.
    pub ids: BTreeSet<String>,
    /// Whether anything was removed from the component.
    pub shrunk: bool,
}

impl Component {
    /// Whether the root is throttled.
    pub fn is_throttled(self, state: &mut dyn State) -> Result<bool, StateError> {
        Ok(state.get(&self.root, keys::THROTTLED)?.is_some())
    }

    /// Throttles the root.
    pub fn rest(self, state: &mut dyn State) {
        state.put(&self.root, keys::THROTTLED, GROWN);
    }

    /// Stores which clusters are to be computed, and which ids to be checked, once the root resumes.
    pub fn deferred(self, state: &mut dyn State, due: &Due) -> Result<(), StateError> {
        let members = due.members.iter().map(|member| (keys::one(keys::DUE, *member), [1].as_slice()));
        let ids = due.ids.iter().map(|id| (keys::one(keys::DUE_ID, Hash128::of(id.as_bytes())), id.as_bytes()));
        for (sub, value) in members.chain(ids) {
            if state.get(&self.root, &sub)?.is_none() {
                state.put(&self.root, &sub, value);
            }
        }
        if due.shrunk {
            state.put(&self.root, keys::THROTTLED, SHRUNK);
        }
        Ok(())
    }

    /// Ends the throttling; returns what was deferred.
    pub fn wake(self, state: &mut dyn State) -> Result<Due, StateError> {
        let (mut due, mut gone) = (Due::default(), Vec::new());
        let Some(resting) = state.get(&self.root, keys::THROTTLED)? else { return Ok(due) };
        due.shrunk = resting == SHRUNK;
        state.delete(&self.root, keys::THROTTLED);
        for tag in [keys::DUE, keys::DUE_ID] {
            state.scan(&self.root, &[tag], &prefix_end(&[tag]), &mut |sub, value| {
                match tag {
                    keys::DUE => due.members.extend(sub.get(1..).and_then(Hash128::from_bytes)),
                    _ => due.ids.extend(String::from_utf8(value.to_vec()).ok()),
                }
                gone.push(sub.to_vec());
                true
            })?;
        }
        for sub in gone {
            state.delete(&self.root, &sub);
        }
        Ok(due)
    }
}
