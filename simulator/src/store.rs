//! The local stores of a machine: a copy of the state that a crash sets back to what was flushed.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_runtime::exactly_once::{Position, Store, StoreFailure};
use tributary_runtime::state::{ACTOR_KEY_LEN, ActorKey, Base, Load, StateError, prefix_end};

/// The content of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Values by full key.
    pub values: BTreeMap<Vec<u8>, Vec<u8>>,
    position: Option<Position>,
}

#[derive(Debug, Default)]
struct Inner {
    now: Content,
    flushed: Content,
    /// How many of the next writes fail because the disk is full.
    no_room: usize,
}

/// The disk is full.
#[derive(Debug)]
pub struct Full;

impl Display for Full {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("no room")
    }
}

impl StoreFailure for Full {
    fn is_full(&self) -> bool {
        true
    }
}

/// The store of a partition. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LocalStore(Arc<Mutex<Inner>>);

impl LocalStore {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flushes: what was written so far survives a crash.
    pub fn flush(&self) {
        let mut inner = self.lock();
        inner.flushed = inner.now.clone();
    }

    /// Drops what was not flushed; returns whether there was anything.
    pub fn crash(&self) -> bool {
        let mut inner = self.lock();
        let lost = inner.now != inner.flushed;
        inner.now = inner.flushed.clone();
        lost
    }

    /// Makes the next writes fail because the disk is full.
    pub fn fill(&self, writes: usize) {
        self.lock().no_room = writes;
    }

    /// How many of the next writes will fail.
    pub fn no_room(&self) -> usize {
        self.lock().no_room
    }

    /// The store for writing, unless the disk is full.
    fn writable(&self) -> Result<MutexGuard<'_, Inner>, Full> {
        let mut inner = self.lock();
        if inner.no_room > 0 {
            inner.no_room -= 1;
            return Err(Full);
        }
        Ok(inner)
    }

    /// Its content.
    pub fn content(&self) -> Content {
        self.lock().now.clone()
    }

    /// The time up to which its content is complete.
    pub fn as_of_ms(&self) -> Option<u64> {
        self.lock().now.position.map(|position| position.as_of_ms)
    }
}

impl Base for LocalStore {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.lock().now.values.get(&[actor.0.as_slice(), sub].concat()).cloned())
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        let start = [actor.0.as_slice(), from].concat();
        let end = if to.is_empty() { prefix_end(&actor.0) } else { [actor.0.as_slice(), to].concat() };
        if start < end {
            for (key, value) in self.lock().now.values.range(start..end) {
                visit(key.get(ACTOR_KEY_LEN..).unwrap_or_default(), value);
            }
        }
        Ok(())
    }

    fn actors(&self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        let inner = self.lock();
        let keys = inner.now.values.range(ActorKey::behind(tag, after)..).map(|(key, _)| key);
        let mut found: Vec<ActorKey> = Vec::new();
        for actor in keys.map_while(|key| ActorKey::of(key).filter(|actor| actor.tag() == tag)) {
            if found.last() != Some(&actor) {
                if found.len() == max {
                    break;
                }
                found.push(actor);
            }
        }
        Ok(found)
    }
}

impl Store for LocalStore {
    type Error = Full;

    fn position(&self) -> Result<Option<Position>, Full> {
        Ok(self.lock().now.position)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Full> {
        Ok(self.lock().now.values.get(key).cloned())
    }

    fn write<'a>(&self, changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>, position: Position) -> Result<(), Full> {
        let mut inner = self.writable()?;
        for (key, value) in changes {
            match value {
                Some(value) => inner.now.values.insert(key.to_vec(), value.to_vec()),
                None => inner.now.values.remove(key),
            };
        }
        inner.now.position = Some(position);
        Ok(())
    }

    fn ingest(&self, load: &mut Load, position: Position) -> Result<(), Full> {
        load.sort();
        self.write(load.latest(), position)?;
        self.flush();
        Ok(())
    }

    fn clear(&self) -> Result<(), Full> {
        self.writable()?.now = Content::default();
        Ok(())
    }
}

/// The disk of a machine: the stores of its partitions. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<BTreeMap<(&'static str, u32), LocalStore>>>);

impl Disk {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, u32), LocalStore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store of a stage's partition; a new one if there is none.
    pub fn open(&self, stage: &'static str, partition: u32) -> LocalStore {
        self.lock().entry((stage, partition)).or_default().clone()
    }

    /// The machine crashes: what was not flushed is lost. Returns whether anything was.
    pub fn crash(&self) -> bool {
        let stores = self.lock();
        stores.values().filter(|store| store.crash()).count() > 0
    }

    /// All stores.
    pub fn stores(&self) -> Vec<((&'static str, u32), LocalStore)> {
        self.lock().iter().map(|(key, store)| (*key, store.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_throws_a_store_back_to_what_was_flushed() {
        let disk = Disk::default();
        let store = disk.open("identity", 1);
        let at = |changelog_next| Position { changelog_next, as_of_ms: 0 };
        let (a, b): (&[u8], &[u8]) = (b"a", b"b");
        store.write([(a, Some(b))].into_iter(), at(1)).unwrap();
        store.flush();
        store.write([(a, None), (b, Some(a))].into_iter(), at(2)).unwrap();
        assert_eq!((store.value(a).unwrap(), store.position().unwrap()), (None, Some(at(2))));
        assert!(disk.crash());
        assert_eq!((store.value(a).unwrap(), store.position().unwrap()), (Some(b.to_vec()), Some(at(1))));
        assert!(!disk.crash());
    }
}
