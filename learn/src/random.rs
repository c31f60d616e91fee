//! Seeded random numbers: the same on every platform.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of pseudo-random numbers.
pub struct Random(ChaCha8Rng);

impl Random {
    /// A stream of its own for each use: `purpose` separates bags from resamples, `number` one of them from another.
    pub fn new(seed: u64, purpose: u32, number: u32) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(u64::from(purpose) << 32 | u64::from(number));
        Self(generator)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A position below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        let wide = u128::from(self.0.next_u64()) * count as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A Poisson random number with this mean.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            0
        } else if mean < 10.0 {
            self.poisson_of_few(mean)
        } else {
            self.poisson_of_many(mean)
        }
    }

    /// By multiplying uniform numbers (Knuth).
    fn poisson_of_few(&mut self, mean: f64) -> u64 {
        let limit = libm::exp(-mean);
        let (mut count, mut product) = (0, self.unit());
        while product > limit {
            count += 1;
            product *= self.unit();
        }
        count
    }

    /// By transformed rejection (Hörmann, *The transformed rejection method for generating Poisson random variables*, 1993, PTRS).
    fn poisson_of_many(&mut self, mean: f64) -> u64 {
        let log_mean = libm::log(mean);
        let b = 0.931 + 2.53 * libm::sqrt(mean);
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let quick = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.unit() - 0.5;
            let v = 1.0 - self.unit();
            let us = 0.5 - libm::fabs(u);
            let k = libm::floor((2.0 * a / us + b) * u + mean + 0.43);
            if us >= 0.07 && v <= quick {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let left = libm::log(v) + libm::log(inverse_alpha) - libm::log(a / (us * us) + b);
            if left <= k * log_mean - mean - libm::lgamma(k + 1.0) {
                return k as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_numbers_have_the_mean_and_the_variance_of_their_kind() {
        let seed = 20;
        for mean in [0.3, 2.0, 9.9, 10.1, 40.0, 1e6] {
            let mut random = Random::new(seed, 0, 0);
            let count = 20_000;
            let drawn: Vec<f64> = (0..count).map(|_| random.poisson(mean) as f64).collect();
            let average = drawn.iter().sum::<f64>() / f64::from(count);
            let variance = drawn.iter().map(|one| (one - average) * (one - average)).sum::<f64>() / f64::from(count);
            let slack = 5.0 * libm::sqrt(mean / f64::from(count));
            assert!((average - mean).abs() < slack, "seed {seed}: mean {average} of {mean}");
            assert!((variance / mean - 1.0).abs() < 0.08, "seed {seed}: variance {variance} of {mean}");
        }
    }

    #[test]
    fn streams_are_apart_and_repeat() {
        let first = |purpose, number| Random::new(7, purpose, number).0.next_u64();
        assert_eq!(first(1, 2), first(1, 2));
        assert!(first(1, 2) != first(1, 3) && first(1, 2) != first(2, 2));
    }
}
