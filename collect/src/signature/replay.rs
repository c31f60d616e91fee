//! Pushes that were taken already: each is taken once while its timestamp is fresh. Known to this process only; what another one has
//! taken is found to be a duplicate by its event id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::Once;

/// The most pushes that are remembered; more than that within their window is refused until some are forgotten.
const REMEMBERED_MAX: usize = 200_000;

/// What tells a push from others: a hash of its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark([u8; 32]);

impl Mark {
    /// The mark of a signature.
    pub fn of(signature: &[u8]) -> Self {
        Self(Sha256::digest(signature).into())
    }
}

/// Why a push is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was taken already, or is just being taken.
    Again,
    /// Too many are remembered.
    Full,
}

/// By mark: when it may be forgotten, milliseconds since 1970-01-01 UTC; and the same in the order of time.
#[derive(Debug, Default)]
struct Marks {
    until_ms: BTreeMap<Mark, i64>,
    by_time: BTreeSet<(i64, Mark)>,
}

impl Marks {
    fn remove(&mut self, mark: &Mark) {
        if let Some(until_ms) = self.until_ms.remove(mark) {
            self.by_time.remove(&(until_ms, *mark));
        }
    }

    fn forget_stale(&mut self, now_ms: i64) {
        while let Some((_, mark)) = self.by_time.first().copied().filter(|(until_ms, _)| *until_ms < now_ms) {
            self.remove(&mark);
        }
    }
}

/// The pushes of one webhook.
#[derive(Debug, Default)]
pub struct Taken {
    marks: Mutex<Marks>,
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to take a push. Unless it is [kept](Taking::keep), it is as if it had never come: the sender may try again.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn begin(&self, once: Once, now_ms: i64) -> Result<Taking<'_>, Refused> {
        let mut marks = self.lock();
        marks.forget_stale(now_ms);
        if marks.until_ms.contains_key(&once.mark) {
            return Err(Refused::Again);
        }
        if marks.until_ms.len() >= REMEMBERED_MAX {
            return Err(Refused::Full);
        }
        marks.until_ms.insert(once.mark, once.until_ms);
        marks.by_time.insert((once.until_ms, once.mark));
        Ok(Taking { taken: self, mark: Some(once.mark) })
    }
}

/// A push that is being taken.
#[derive(Debug)]
pub struct Taking<'a> {
    taken: &'a Taken,
    mark: Option<Mark>,
}

impl Taking<'_> {
    /// It is in the log: it is not taken again.
    pub fn keep(mut self) {
        self.mark = None;
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if let Some(mark) = self.mark.take() {
            self.taken.lock().remove(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_while_it_is_fresh_and_again_when_it_was_not_kept() {
        let taken = Taken::default();
        let once = Once { mark: Mark::of(b"a"), until_ms: 1_000 };
        let first = taken.begin(once, 0).unwrap();
        assert_eq!(taken.begin(once, 0).err(), Some(Refused::Again));
        drop(first);
        taken.begin(once, 1).unwrap().keep();
        assert_eq!(taken.begin(once, 1_000).err(), Some(Refused::Again));
        assert!(taken.begin(Once { mark: Mark::of(b"b"), ..once }, 1_000).is_ok());
        assert!(taken.begin(once, 1_001).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_the_stale_make_room() {
        let taken = Taken::default();
        let once = |number: usize, until_ms| Once { mark: Mark::of(&number.to_be_bytes()), until_ms };
        (0..REMEMBERED_MAX).for_each(|number| taken.begin(once(number, 1_000), 0).unwrap().keep());
        assert_eq!(taken.begin(once(REMEMBERED_MAX, 2_000), 1_000).err(), Some(Refused::Full));
        assert!(taken.begin(once(REMEMBERED_MAX, 2_000), 1_001).is_ok());
    }
}
