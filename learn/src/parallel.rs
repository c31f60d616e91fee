//! The only place that starts threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// `work(0)` to `work(count - 1)`, in this order, computed by this many threads. The results must not depend on each other.
pub fn map<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || count <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return done;
            }
            done.push((at, work(at)));
        }
    };
    let mut all: Vec<(usize, T)> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(worker)).collect();
        let joined = running.into_iter().map(|thread| thread.join());
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, done)| done).collect()
}

/// The positions of `count` items in this many ranges of about the same size.
pub fn parts(count: usize, parts: usize) -> Vec<std::ops::Range<usize>> {
    let size = count.div_ceil(parts.max(1)).max(1);
    (0..count).step_by(size).map(|start| start..(start + size).min(count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_work_for_any_number_of_threads() {
        for threads in [0, 1, 2, 8] {
            assert_eq!(map(threads, 100, |at| at * at), (0..100).map(|at| at * at).collect::<Vec<_>>());
        }
        assert_eq!(parts(7, 3), [0..3, 3..6, 6..7]);
        assert_eq!(parts(0, 3), []);
        assert_eq!(parts(2, 8), [0..1, 1..2]);
    }
}
