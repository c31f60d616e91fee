//! Throttles an actor whose computations were expensive, until other actors have had as much time.
//!
//! Work that grows with the size of an actor, and that every batch may cause, would take all the time of a partition. So the actor defers
//! the work: it notes what must be computed, and sends itself a message through the log that says how much work others get first.

/// In a batch with fewer records, no others wait, so throttling ends at once.
const QUIET: u64 = 100;

/// How much an actor still has to wait after a batch of `handled` records. The `resting` throttled actors of the partition each get an
/// equal part of them.
pub fn still_to_wait(wait: u64, handled: u64, resting: u64) -> u64 {
    let served = match handled {
        0 => wait,
        1..QUIET => wait / 4 + QUIET,
        _ => handled / resting.max(1),
    };
    wait.saturating_sub(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_at_once_with_nothing_waiting_and_soon_with_little() {
        assert_eq!(still_to_wait(1_000_000, 0, 1), 0);
        let (mut wait, mut batches) = (1_000_000, 0);
        while wait > 0 {
            (wait, batches) = (still_to_wait(wait, 1, 3), batches + 1);
        }
        assert!(batches < 40, "{batches}");
        assert_eq!((still_to_wait(9_000, 5_000, 1), still_to_wait(9_000, 5_000, 5)), (4_000, 8_000));
    }
}
