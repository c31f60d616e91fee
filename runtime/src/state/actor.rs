//! The cached values of one actor, and their size.

use super::ActorKey;
use super::slots::{ALLOCATION, Slots};

/// Cached values of an actor, and which sub-keys are cached completely.
#[derive(Default)]
pub(super) struct Actor {
    /// Its cached values.
    pub slots: Slots,
    /// Whether all its values are cached.
    whole: bool,
    /// The last batch that used it.
    pub last_used: u32,
    /// Ranges of sub-keys that are cached completely; an empty end means to the end.
    loaded: Vec<Loaded>,
}

type Loaded = (Box<[u8]>, Box<[u8]>);

/// Memory of an actor without values: its place in a map that is three quarters full.
pub(super) const ACTOR_COST: usize = size_of::<(ActorKey, Actor)>() * 4 / 3;

impl Actor {
    /// Whether all sub-keys from `from` (inclusive) to `to` (exclusive; empty: to the end) are cached.
    pub fn has_loaded(&self, from: &[u8], to: &[u8]) -> bool {
        let holds = |(low, high): &Loaded| **low <= *from && (high.is_empty() || (!to.is_empty() && *to <= **high));
        self.whole || self.loaded.iter().any(holds)
    }

    /// Whether it is known what the state has under a sub-key.
    pub fn has_loaded_one(&self, sub: &[u8]) -> bool {
        self.whole || self.loaded.iter().any(|(low, high)| **low <= *sub && (high.is_empty() || *sub < **high))
    }

    /// Notes a loaded range, merging it with others; adjusts `bytes` by its cost.
    pub fn add_loaded(&mut self, from: &[u8], to: &[u8], bytes: &mut usize) {
        let before = self.loaded_cost();
        self.note_loaded(from, to);
        *bytes = (*bytes + self.loaded_cost()).saturating_sub(before);
    }

    fn note_loaded(&mut self, from: &[u8], to: &[u8]) {
        if from.is_empty() && to.is_empty() {
            self.whole = true;
            self.loaded = Vec::new();
            return;
        }
        self.loaded.retain(|(low, high)| {
            let within = *from <= **low && (to.is_empty() || (!high.is_empty() && **high <= *to));
            !within
        });
        self.loaded.push((from.into(), to.into()));
    }

    /// Memory of the noted ranges, bytes.
    fn loaded_cost(&self) -> usize {
        let bytes: usize = self.loaded.iter().map(|(low, high)| low.len() + high.len() + 2 * ALLOCATION).sum();
        bytes + self.loaded.capacity() * size_of::<Loaded>()
    }

    /// Bytes held, roughly.
    pub fn cost(&self) -> usize {
        ACTOR_COST + self.slots.cost() + self.loaded_cost()
    }
}
