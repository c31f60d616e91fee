//! A circuit breaker per partition: if too many records are refused, the fault is upstream, and the partition stops instead of filling the
//! dead letters.
//!
//! ```
//! use tributary_runtime::dead_letter_limit::{LimitExceeded, DeadLetterLimits, DeadLetterCount};
//!
//! let limits = DeadLetterLimits { in_a_row: 3, ..DeadLetterLimits::default() };
//! let mut partition = DeadLetterCount::default();
//! assert_eq!(partition.note(true, &limits), None);
//! assert_eq!(partition.note(true, &limits), None);
//! assert_eq!(partition.note(true, &limits), Some(LimitExceeded { refused: 3, of: 3 }));
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// `[worker.dead_letters]`: how many records of a partition of an input topic may be refused. 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterLimits {
    /// Consecutive refused records that stop the partition.
    pub in_a_row: u32,
    /// Most refused records of every `window`, percent: 1 to 100.
    pub percent: u32,
    /// The number of records that `percent` refers to.
    pub window: u32,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self { in_a_row: 1_000, percent: 50, window: 10_000 }
    }
}

impl DeadLetterLimits {
    /// No limits: for files, where the dead letters are the report.
    pub const NONE: Self = Self { in_a_row: 0, percent: 0, window: 0 };
}

/// The current limits, read by workers before each batch. Clones share them; each can change them.
#[derive(Debug, Clone, Default)]
pub struct LiveLimits(Arc<Mutex<DeadLetterLimits>>);

impl LiveLimits {
    /// With these limits, until others are set.
    pub fn new(limits: DeadLetterLimits) -> Self {
        Self(Arc::new(Mutex::new(limits)))
    }

    /// The current limits.
    pub fn get(&self) -> DeadLetterLimits {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets other limits. Partitions stopped under the former ones continue, and their counts begin again.
    pub fn set(&self, limits: DeadLetterLimits) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }
}

impl PartialEq for LiveLimits {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for LiveLimits {}

/// Too many records were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The number of refused records
    pub refused: u32,
    /// among this number of records read last.
    pub of: u32,
}

/// Counts refused records of a partition of an input topic. A worker that starts, or whose transaction was aborted, begins to count again.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeadLetterCount {
    in_a_row: u32,
    seen: u32,
    refused: u32,
}

impl DeadLetterCount {
    /// Counts a record; returns the numbers if it is the refusal that exceeds a limit.
    pub fn note(&mut self, refused: bool, limits: &DeadLetterLimits) -> Option<LimitExceeded> {
        self.in_a_row = if refused { self.in_a_row.saturating_add(1) } else { 0 };
        if refused && self.in_a_row == limits.in_a_row {
            return Some(LimitExceeded { refused: self.in_a_row, of: self.in_a_row });
        }
        if limits.window == 0 || limits.percent == 0 {
            return None;
        }
        self.seen += 1;
        self.refused += u32::from(refused);
        if self.seen < limits.window {
            return None;
        }
        let Self { seen, refused, .. } = *self;
        (self.seen, self.refused) = (0, 0);
        let share = u64::from(refused) * 100;
        (share > u64::from(limits.percent) * u64::from(seen)).then_some(LimitExceeded { refused, of: seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_record_ends_a_run_of_refused_ones() {
        let limits = DeadLetterLimits { in_a_row: 2, ..DeadLetterLimits::NONE };
        let mut partition = DeadLetterCount::default();
        let excess: Vec<bool> =
            [true, false, true, false, true, true].map(|refused| partition.note(refused, &limits).is_some()).to_vec();
        assert_eq!(excess, [false, false, false, false, false, true]);
    }

    #[test]
    fn the_share_is_of_every_window() {
        let limits = DeadLetterLimits { in_a_row: 0, percent: 50, window: 4 };
        let mut partition = DeadLetterCount::default();
        let half = [true, false, true, false, true, true, false, true].map(|refused| partition.note(refused, &limits));
        assert_eq!(half[..7], [None; 7]);
        assert_eq!(half[7], Some(LimitExceeded { refused: 3, of: 4 }));
        assert_eq!(partition.note(true, &DeadLetterLimits::NONE), None);
    }
}
