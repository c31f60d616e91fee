//! The committed state of a partition at one moment, while its worker continues.

use rocksdb::Snapshot;

use super::base::{actors, over_all, range};
use super::{Inner, POSITION_KEY, RocksStore, StoreError};
use crate::exactly_once::{INPUTS_KEY, Inputs, Position};
use crate::state::{ACTOR_KEY_LEN, ActorKey, StateError};

/// See the module. It contains everything written before it was taken, whether or not it has reached the disk, and nothing written later.
pub struct StoreView<'a> {
    inner: &'a Inner,
    snapshot: Snapshot<'a>,
}

impl RocksStore {
    /// A view of the current state.
    pub fn view(&self) -> StoreView<'_> {
        StoreView { inner: &self.inner, snapshot: self.inner.db.snapshot() }
    }
}

impl StoreView<'_> {
    /// The input offsets that it includes; empty if nothing was ever committed.
    ///
    /// # Errors
    /// When they cannot be read, or another version wrote them.
    pub fn inputs(&self) -> Result<Inputs, StoreError> {
        let Some(bytes) = self.value(INPUTS_KEY)? else { return Ok(Inputs::default()) };
        Inputs::decode(&bytes).ok_or_else(|| StoreError::Format { path: self.inner.path.clone() })
    }

    /// The position of the state; `None` if it is empty.
    ///
    /// # Errors
    /// When it cannot be read or another version wrote it.
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        let Some(bytes) = self.value(POSITION_KEY)? else { return Ok(None) };
        Position::decode(&bytes).map(Some).ok_or_else(|| StoreError::Format { path: self.inner.path.clone() })
    }

    /// The value under `sub` of `actor`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.snapshot.get([actor.0.as_slice(), sub].concat()).map_err(|error| self.inner.unreadable(&error))
    }

    /// Calls `visit` with every sub-key and value of `actor` from `from` (inclusive) to `to` (exclusive; empty: to the end), in byte
    /// order, until it returns false.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn scan(
        &self,
        actor: &ActorKey,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let Some((start, options)) = range(actor, from, to) else { return Ok(()) };
        let mut rows = self.snapshot.raw_iterator_opt(options);
        rows.seek(&start);
        while let Some((key, value)) = rows.item() {
            if !visit(key.get(ACTOR_KEY_LEN..).unwrap_or_default(), value) {
                break;
            }
            rows.next();
        }
        rows.status().map_err(|error| self.inner.unreadable(&error))
    }

    /// The next actors of a kind after `after`, at most `max`, in the order of their keys.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn actors(&self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        let mut rows = self.snapshot.raw_iterator_opt(over_all());
        let found = actors(&mut rows, tag, after, max);
        rows.status().map_err(|error| self.inner.unreadable(&error))?;
        Ok(found)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot.get(key).map_err(|error| self.inner.failed("reading", error))
    }
}
