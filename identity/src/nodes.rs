//! The records of the identifiers of a batch: decoded once, changed in place, and encoded once, at the end of the batch.

use std::hash::{BuildHasherDefault, Hasher};

use tributary_proto::{Hash128, Identifier};
use tributary_runtime::state::{State, StateError};

use crate::node::Node;

/// A hasher that passes the key through: keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// A map whose order is the same in every run.
#[expect(clippy::disallowed_types, reason = "the hasher is fixed; in which order records are written does not show")]
type Held = std::collections::HashMap<Hash128, Box<Node>, BuildHasherDefault<AsIs>>;

/// See the module. A caller takes a node out and gives it back, so nobody can read an outdated one meanwhile.
#[derive(Default)]
pub(crate) struct Nodes {
    held: Held,
    out: usize,
}

impl Nodes {
    /// Takes out the node of an identifier. Its name becomes the one given: the identifier itself, or its address.
    pub fn take(&mut self, state: &mut dyn State, identifier: &Identifier) -> Result<Box<Node>, StateError> {
        let hash = identifier.hash();
        self.out += 1;
        let Some(mut node) = self.held.remove(&hash) else { return Ok(Box::new(Node::load(state, identifier, hash)?)) };
        if node.identifier != *identifier {
            node.identifier.clone_from(identifier);
        }
        Ok(node)
    }

    /// Gives a node back.
    pub fn keep(&mut self, node: Box<Node>) {
        self.out = self.out.saturating_sub(1);
        self.held.insert(node.hash, node);
    }

    /// Writes all changes, and empties the map.
    pub fn flush(&mut self, state: &mut dyn State) -> Result<(), StateError> {
        if self.out > 0 {
            return Err(StateError::Read("an identifier's record was not given back; this is a defect".into()));
        }
        self.held.drain().for_each(|(_, node)| node.save(state));
        Ok(())
    }

    /// Empties the map and drops all changes.
    pub fn clear(&mut self) {
        self.held.clear();
        self.out = 0;
    }
}
