//! A store with the interfaces of the overlay and the exactly-once loop.

use rocksdb::{DBAccess, DBRawIteratorWithThreadMode, ReadOptions};

use super::{RocksStore, StoreError};
use crate::exactly_once::{Position, Store, StoreFailure};
use crate::state::{ACTOR_KEY_LEN, ActorKey, Base, Load, StateError, prefix_end};

impl StoreFailure for StoreError {
    fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

impl Store for RocksStore {
    type Error = StoreError;

    fn position(&self) -> Result<Option<Position>, StoreError> {
        Self::position(self)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Self::value(self, key)
    }

    fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        position: Position,
    ) -> Result<(), StoreError> {
        Self::write(self, changes, position)
    }

    fn ingest(&self, load: &mut Load, position: Position) -> Result<(), StoreError> {
        Self::ingest(self, load, position)
    }

    fn clear(&self) -> Result<(), StoreError> {
        Self::clear(self)
    }
}

/// The start key and the iterator options for the values of an actor from `from` (inclusive) to `to` (exclusive; empty: to the end); `None`
/// if the range is empty.
pub(super) fn range(actor: &ActorKey, from: &[u8], to: &[u8]) -> Option<(Vec<u8>, ReadOptions)> {
    let start = [actor.0.as_slice(), from].concat();
    let end = if to.is_empty() { prefix_end(&actor.0) } else { [actor.0.as_slice(), to].concat() };
    if !end.is_empty() && start >= end {
        return None;
    }
    let mut options = ReadOptions::default();
    options.set_prefix_same_as_start(true);
    if !end.is_empty() {
        options.set_iterate_upper_bound(end);
    }
    Some((start, options))
}

/// The options of an iterator over all actors.
pub(super) fn over_all() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_total_order_seek(true);
    options
}

/// The next actors of a kind after `after`, at most `max`, from an iterator over all. The iterator's status shows whether they could be
/// read.
pub(super) fn actors<D: DBAccess>(
    rows: &mut DBRawIteratorWithThreadMode<'_, D>,
    tag: u8,
    after: Option<&ActorKey>,
    max: usize,
) -> Vec<ActorKey> {
    let mut found = Vec::new();
    rows.seek(ActorKey::behind(tag, after));
    while let Some(actor) = rows.key().and_then(ActorKey::of).filter(|actor| actor.tag() == tag && found.len() < max) {
        found.push(actor);
        rows.seek(ActorKey::behind(tag, Some(&actor)));
    }
    found
}

impl Base for RocksStore {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut key = Vec::with_capacity(ACTOR_KEY_LEN + sub.len());
        key.extend_from_slice(&actor.0);
        key.extend_from_slice(sub);
        self.inner.db.get(key).map_err(|error| self.inner.unreadable(&error))
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        let Some((start, options)) = range(actor, from, to) else { return Ok(()) };
        let mut rows = self.inner.db.raw_iterator_opt(options);
        rows.seek(&start);
        while let Some((key, value)) = rows.item() {
            visit(key.get(ACTOR_KEY_LEN..).unwrap_or_default(), value);
            rows.next();
        }
        rows.status().map_err(|error| self.inner.unreadable(&error))
    }

    fn actors(&self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        let mut rows = self.inner.db.raw_iterator_opt(over_all());
        let found = actors(&mut rows, tag, after, max);
        rows.status().map_err(|error| self.inner.unreadable(&error))?;
        Ok(found)
    }
}
