//! Seeded random numbers. Every company has its own stream, so one company's draws do not affect another.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

/// A stream of random numbers.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// Stream `stream` of `seed`.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// 32 random bits.
    pub(super) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number below `limit`; 0 for a limit of 0. The bias of at most `limit` / 2^32 does not matter here.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        let wide = u64::from(self.bits()) * u64::from(limit);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// True with this probability, in percent.
    pub(super) fn percent(&mut self, probability: u32) -> bool {
        self.below(100) < probability
    }

    /// A duration between two numbers of minutes, in milliseconds, to the second.
    pub(super) fn minutes(&mut self, from: u32, to: u32) -> i64 {
        let seconds = i64::from(from) * 60 + i64::from(self.below(to.saturating_sub(from) * 60 + 1));
        seconds * 1_000
    }

    /// A duration between two numbers of days, in milliseconds, to the minute.
    pub(super) fn days(&mut self, from: u32, to: u32) -> i64 {
        let minutes = i64::from(from) * 1_440 + i64::from(self.below(to.saturating_sub(from) * 1_440 + 1));
        minutes * 60_000
    }
}

/// The entry of a table at this number, modulo its length; the type's default if it is empty.
pub(super) fn pick<T: Copy + Default>(table: &[T], by: u32) -> T {
    let index = usize::try_from(by).ok().and_then(|by| by.checked_rem(table.len()));
    index.and_then(|index| table.get(index)).copied().unwrap_or_default()
}

/// A bijection of the 64-bit numbers that looks random: makes ids unique without remembering them.
///
/// Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(super) fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let draws = |seed, stream| {
            let mut draw = Draw::new(seed, stream);
            [draw.bits(), draw.below(10), draw.below(0)]
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
    }

    #[test]
    fn durations_stay_in_their_range() {
        let mut draw = Draw::new(7, 0);
        for _ in 0..1_000 {
            assert!((120_000..=240_000).contains(&draw.minutes(2, 4)));
            assert!((86_400_000..=2 * 86_400_000).contains(&draw.days(1, 2)));
        }
    }
}
