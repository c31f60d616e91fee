//! Seeded random numbers: the only source of randomness in the simulator, so that a seed determines everything.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// A stream of pseudo-random numbers.
#[derive(Debug, Clone)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// Stream `stream` of `seed`: streams are independent of each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number below `limit`; 0 for a limit of 0. The bias of at most `limit` / 2^64 does not matter here.
    pub fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.0.next_u64()) * limit as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True with this probability, in percent.
    pub fn percent(&mut self, probability: usize) -> bool {
        self.below(100) < probability
    }

    /// True once in `of` times on average.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of.max(1)) == 0
    }

    /// An item of a table; the type's default if it is empty.
    pub fn pick<T: Clone + Default>(&mut self, table: &[T]) -> T {
        table.get(self.below(table.len())).cloned().unwrap_or_default()
    }

    /// A permutation of the numbers below `count` that moves each by at most about `reach` places.
    pub fn order(&mut self, count: usize, reach: usize) -> Vec<usize> {
        let mut keyed: Vec<(usize, usize)> = (0..count).map(|at| (at + self.below(reach + 1), at)).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, at)| at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draws = |seed, stream| (0..8).scan(Draw::new(seed, stream), |draw, _| Some(draw.below(1_000))).collect::<Vec<_>>();
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
        assert_eq!(Draw::new(7, 0).below(0), 0);
    }

    #[test]
    fn an_order_holds_everything_once() {
        let mut order = Draw::new(3, 0).order(50, 10);
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
