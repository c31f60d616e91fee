//! A map with a fixed hash, for counting where the order does not matter.

use std::hash::{BuildHasherDefault, Hasher};

/// A hash map with a fixed hasher. No result may depend on its order.
#[expect(clippy::disallowed_types, reason = "the hasher is fixed, and whoever shows what is in it sorts it first")]
pub type FixedMap<K, V> = std::collections::HashMap<K, V, FixedHash>;

/// A hasher that gives the same hashes in every run.
pub type FixedHash = BuildHasherDefault<Folding>;

/// Folds words of eight bytes into one by multiplication.
#[derive(Default)]
pub struct Folding(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let last = rest.iter().rev().fold(rest.len() as u64, |word, byte| word << 8 | u64::from(*byte));
            self.write_u64(last);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        (self.0 ^ (self.0 >> 32)).wrapping_mul(FACTOR)
    }
}
