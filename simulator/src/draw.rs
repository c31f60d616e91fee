//! Seeded random numbers: the only source of randomness in the simulator, so that a seed determines everything.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// A stream of draws.
#[derive(Debug, Clone)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream number `stream` of `seed`: what one stream draws changes nothing for another.
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

    /// Whether something of this probability, in percent, happens.
    pub fn percent(&mut self, probability: usize) -> bool {
        self.below(100) < probability
    }

    /// Whether something that happens once in `of` times on average happens.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of.max(1)) == 0
    }

    /// One of a table; the default of the type for an empty one.
    pub fn pick<T: Clone + Default>(&mut self, table: &[T]) -> T {
        table.get(self.below(table.len())).cloned().unwrap_or_default()
    }

    /// An order of the numbers below `count` in which each is no more than about `reach` places from its own.
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
