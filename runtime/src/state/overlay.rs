//! The overlay: the changes of the current batch over the committed state, and the cache of what was read from it.
//!
//! A value is read from the store at most once, and written once per commit, however often it changed in between (measured: 2.8 times the
//! throughput of reading and writing the store for every record).

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::actor::{ACTOR_COST, Actor};
use super::slots::Slot;
use super::{ACTOR_KEY_LEN, ActorKey, State, StateError};

/// The committed state below an overlay.
///
/// ```
/// use tributary_proto::Hash128;
/// use tributary_runtime::state::{ActorKey, Base, Overlay, State, StateError};
///
/// /// The same value under every key.
/// struct Same;
///
/// impl Base for Same {
///     fn get(&self, _: &ActorKey, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
///         Ok(Some(b"committed".to_vec()))
///     }
///
///     fn scan(&self, _: &ActorKey, _: &[u8], _: &[u8], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
///         Ok(())
///     }
/// }
///
/// let (mut state, unit) = (Overlay::new(Same), ActorKey::new(b'u', Hash128::of(b"001B")));
/// assert_eq!(state.get(&unit, b"head")?, Some(&b"committed"[..]));
/// state.put(&unit, b"head", b"changed");
/// assert_eq!(state.get(&unit, b"head")?, Some(&b"changed"[..]));
/// state.discard();
/// assert_eq!(state.get(&unit, b"head")?, Some(&b"committed"[..]));
/// # Ok::<(), StateError>(())
/// ```
pub trait Base {
    /// The value under `sub` of `actor`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Calls `visit` with every sub-key and value of `actor` from `from` (inclusive) to `to` (exclusive; empty: to the end).
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError>;

    /// The next actors of a kind after `after`, at most `max`, in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read, or cannot list actors, which is the default.
    fn actors(&self, _tag: u8, _after: Option<&ActorKey>, _max: usize) -> Result<Vec<ActorKey>, StateError> {
        Err(StateError::Read("this state cannot list what it holds".into()))
    }

    /// Whether it is always empty: then the overlay is the whole state, and nothing is written.
    fn is_empty(&self) -> bool {
        false
    }
}

impl<B: Base + ?Sized> Base for Box<B> {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).get(actor, sub)
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        (**self).scan(actor, from, to, visit)
    }

    fn actors(&self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        (**self).actors(tag, after, max)
    }

    fn is_empty(&self) -> bool {
        (**self).is_empty()
    }
}

/// An empty base: with it, an overlay is a state in memory.
#[derive(Debug, Default, Clone, Copy)]
pub struct EmptyBase;

impl Base for EmptyBase {
    fn get(&self, _: &ActorKey, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn scan(&self, _: &ActorKey, _: &[u8], _: &[u8], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        Ok(())
    }

    fn actors(&self, _: u8, _: Option<&ActorKey>, _: usize) -> Result<Vec<ActorKey>, StateError> {
        Ok(Vec::new())
    }

    fn is_empty(&self) -> bool {
        true
    }
}

/// A change of the state, for the changelog and the store: the key (actor key and sub-key), and the value or its deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Actor key, then sub-key.
    pub key: Vec<u8>,
    /// The value; `None` for a deletion.
    pub value: Option<Vec<u8>>,
}

/// Actor keys are hashes already: eight of their bytes are as good as a hash of all.
#[derive(Default)]
struct TakeEight(u64);

impl Hasher for TakeEight {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let tail = bytes.last_chunk::<8>().map_or(0, |tail| u64::from_le_bytes(*tail));
        self.0 = tail ^ u64::from(bytes.first().copied().unwrap_or(0));
    }

    fn write_usize(&mut self, _: usize) {}
}

type Actors = HashMap<ActorKey, Actor, BuildHasherDefault<TakeEight>>;

/// The cache entry of an actor, created if missing and marked as used in this batch.
fn held<'a>(actors: &'a mut Actors, bytes: &mut usize, key: &ActorKey, generation: u32) -> &'a mut Actor {
    let actor = actors.entry(*key).or_insert_with(|| {
        *bytes += ACTOR_COST;
        Actor::default()
    });
    actor.last_used = generation;
    actor
}

/// The keys that the batch has changed, in order, each once; in one buffer.
#[derive(Default)]
struct Changed {
    subs: Vec<u8>,
    /// For each key, the actor, and the end of its sub-key in `subs`.
    ends: Vec<(ActorKey, usize)>,
}

impl Changed {
    fn push(&mut self, actor: &ActorKey, sub: &[u8]) {
        self.subs.extend_from_slice(sub);
        self.ends.push((*actor, self.subs.len()));
    }

    /// Removes the last key, whose sub-key has this length, because its slot was already changed.
    fn take_back(&mut self, sub_len: usize) {
        self.ends.pop();
        self.subs.truncate(self.subs.len().saturating_sub(sub_len));
    }

    fn iter(&self) -> impl Iterator<Item = (&ActorKey, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(actor, end)| {
            let sub = self.subs.get(start..*end).unwrap_or_default();
            start = *end;
            (actor, sub)
        })
    }

    fn clear(&mut self) {
        self.subs.clear();
        self.ends.clear();
    }
}

/// How much of the budget is kept when it is exceeded. The less is dropped, the more is found in memory; and the more often all actors are
/// looked through.
const KEPT_PERCENT: usize = 85;

/// See the module.
pub struct Overlay<B> {
    base: B,
    actors: Actors,
    changed: Changed,
    /// Approximate memory of keys and values, with the overhead of their containers, bytes.
    bytes: usize,
    /// The number of the current batch, from 1: actors used in the latest ones stay cached. If it ever wraps, a change may be written once
    /// more than needed.
    generation: u32,
}

impl<B: Base> Overlay<B> {
    /// An empty overlay over `base`.
    pub fn new(base: B) -> Self {
        Self { base, actors: HashMap::default(), changed: Changed::default(), bytes: 0, generation: 1 }
    }

    /// The committed state below.
    pub fn base(&self) -> &B {
        &self.base
    }

    /// Whether there are changes since the last [`Self::settle`].
    pub fn is_dirty(&self) -> bool {
        !self.changed.ends.is_empty()
    }

    /// Approximate memory, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The changes since the last [`Self::settle`], each key once, in the order of the keys: RocksDB inserts neighbours faster.
    pub fn writes(&self) -> Vec<Write> {
        let write = |(actor, sub): (&ActorKey, &[u8])| {
            let mut key = Vec::with_capacity(ACTOR_KEY_LEN + sub.len());
            key.extend_from_slice(&actor.0);
            key.extend_from_slice(sub);
            let slot = self.actors.get(actor)?.slots.get(sub)?;
            Some(Write { key, value: slot.value().map(<[u8]>::to_vec) })
        };
        let mut writes: Vec<Write> = self.changed.iter().filter_map(write).collect();
        writes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        writes
    }

    /// Call when the changes are in the base. Marks them as clean, and evicts the actors that were not used for longest until at most
    /// `budget_bytes` are held.
    pub fn settle(&mut self, budget_bytes: usize) {
        self.changed.clear();
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.bytes > budget_bytes && !self.base.is_empty() {
            self.evict(budget_bytes / 100 * KEPT_PERCENT);
        }
    }

    /// Discards the changes since the last [`Self::settle`], and the cache with them.
    pub fn discard(&mut self) {
        self.actors.clear();
        self.changed.clear();
        self.bytes = 0;
    }

    /// Evicts the actors not used for longest until no more than `target` bytes are held.
    fn evict(&mut self, target: usize) {
        let mut costs: BTreeMap<u32, usize> = BTreeMap::new();
        for actor in self.actors.values() {
            *costs.entry(actor.last_used).or_default() += actor.cost();
        }
        let mut surplus = costs.values().sum::<usize>().saturating_sub(target);
        // All that were used before this batch go, and of it as many as are needed.
        let mut last_to_go = 0;
        for (used, cost) in costs {
            last_to_go = used;
            if cost >= surplus {
                break;
            }
            surplus -= cost;
        }
        let bytes = &mut self.bytes;
        self.actors.retain(|_, actor| {
            let goes = actor.last_used < last_to_go || actor.last_used == last_to_go && surplus > 0;
            if goes {
                *bytes = bytes.saturating_sub(actor.cost());
                if actor.last_used == last_to_go {
                    surplus = surplus.saturating_sub(actor.cost());
                }
            }
            !goes
        });
    }

    fn set(&mut self, key: &ActorKey, sub: &[u8], value: Option<&[u8]>) {
        if value.is_none() && self.base.is_empty() {
            return self.forget(key, sub);
        }
        self.set_slot(key, Slot::new(sub, value, self.generation));
    }

    fn set_slot(&mut self, key: &ActorKey, slot: Slot) {
        let actor = held(&mut self.actors, &mut self.bytes, key, self.generation);
        self.bytes += slot.cost();
        let noted = !self.base.is_empty();
        if noted {
            self.changed.push(key, slot.sub());
        }
        let Some(before) = actor.slots.put(slot) else { return };
        self.bytes = self.bytes.saturating_sub(before.cost());
        if noted && before.changed_in() == self.generation {
            self.changed.take_back(before.sub().len());
        }
    }

    /// Removes a value of which the base has nothing to delete.
    fn forget(&mut self, key: &ActorKey, sub: &[u8]) {
        let Some(actor) = self.actors.get_mut(key) else { return };
        let freed = actor.slots.remove(sub).map_or(0, |slot| slot.cost());
        self.bytes = self.bytes.saturating_sub(freed);
        if actor.slots.is_empty() {
            self.actors.remove(key);
            self.bytes = self.bytes.saturating_sub(ACTOR_COST);
        }
    }
}

impl<B: Base> State for Overlay<B> {
    fn get(&mut self, key: &ActorKey, sub: &[u8]) -> Result<Option<&[u8]>, StateError> {
        if self.base.is_empty() {
            return Ok(self.actors.get(key).and_then(|actor| actor.slots.get(sub)).and_then(Slot::value));
        }
        let actor = held(&mut self.actors, &mut self.bytes, key, self.generation);
        if actor.slots.get(sub).is_none() && !actor.has_loaded_one(sub) {
            let slot = Slot::new(sub, self.base.get(key, sub)?.as_deref(), 0);
            self.bytes += slot.cost();
            actor.slots.put(slot);
        }
        Ok(actor.slots.get(sub).and_then(Slot::value))
    }

    fn actors(&mut self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        let mut found = self.base.actors(tag, after, max)?;
        let behind = |key: &&ActorKey| key.tag() == tag && after.is_none_or(|after| *key > after);
        found.extend(self.actors.keys().filter(behind));
        found.sort_unstable();
        found.dedup();
        found.truncate(max);
        Ok(found)
    }

    fn put(&mut self, actor: &ActorKey, sub: &[u8], value: &[u8]) {
        self.set(actor, sub, Some(value));
    }

    fn put_joined(&mut self, actor: &ActorKey, sub_len: usize, sub_and_value: Vec<u8>) {
        self.set_slot(actor, Slot::joined(sub_len, sub_and_value, self.generation));
    }

    fn delete(&mut self, actor: &ActorKey, sub: &[u8]) {
        self.set(actor, sub, None);
    }

    fn begins(&mut self, key: &ActorKey) {
        if !self.base.is_empty() {
            let actor = held(&mut self.actors, &mut self.bytes, key, self.generation);
            actor.add_loaded(&[], &[], &mut self.bytes);
        }
    }

    fn scan(
        &mut self,
        key: &ActorKey,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        if !self.base.is_empty() {
            let actor = held(&mut self.actors, &mut self.bytes, key, self.generation);
            if !actor.has_loaded(from, to) {
                let (slots, bytes) = (&mut actor.slots, &mut self.bytes);
                self.base.scan(key, from, to, &mut |sub, value| {
                    if slots.get(sub).is_none() {
                        let slot = Slot::new(sub, Some(value), 0);
                        *bytes += slot.cost();
                        slots.put(slot);
                    }
                })?;
                actor.add_loaded(from, to, &mut self.bytes);
            }
        }
        let Some(actor) = self.actors.get(key) else { return Ok(()) };
        for slot in actor.slots.range(from, to) {
            if let Some(value) = slot.value()
                && !visit(slot.sub(), value)
            {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
