//! Limits the number of records of the next batch, so that its output stays within bounds.
//!
//! The output that a record causes is known only afterwards, and differs by orders of magnitude: nothing for a touch that no milestone
//! sees, a thousand rows of credit for the milestone of a large account. So batches start small, may double from one to the next, and
//! shrink at once when records cause more output.

/// Most records of the first batch.
const FIRST: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes of output that a batch may cause.
    bytes_max: usize,
    /// Most records of the next batch.
    records: usize,
    /// Estimated output per record, bytes. Raised at once to that of the last batch; lowered half way to it.
    each: usize,
}

impl Pace {
    /// Batches may cause about `bytes_max` bytes each; [`usize::MAX`] means no limit, from the first batch on.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, records: if bytes_max == usize::MAX { usize::MAX } else { FIRST }, each: 0 }
    }

    /// The most records of the next batch: 1 to `records_max`.
    pub(crate) fn records(&self, records_max: usize) -> usize {
        self.records.clamp(1, records_max.max(1))
    }

    /// A batch of `records` has caused `bytes` of output.
    pub(crate) fn note(&mut self, records: usize, bytes: usize) {
        let each = bytes / records.max(1);
        self.each = each.max(self.each.midpoint(each));
        let affordable = self.bytes_max / self.each.max(1);
        self.records = self.records.saturating_mul(2).min(affordable.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn batches_grow_to_the_most_where_records_cause_little() {
        let mut pace = Pace::new(16 * MB);
        let sizes: Vec<usize> = (0..6)
            .map(|_| {
                let records = pace.records(10_000);
                pace.note(records, records * 10);
                records
            })
            .collect();
        assert_eq!(sizes, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    }

    #[test]
    fn batches_shrink_at_once_and_recover_by_steps() {
        let mut pace = Pace::new(16 * MB);
        for _ in 0..8 {
            pace.note(10_000, 10_000 * 100);
        }
        pace.note(10_000, 64 * MB);
        let shrunk = pace.records(10_000);
        assert!((2_400..=2_600).contains(&shrunk), "{shrunk}");
        pace.note(shrunk, shrunk * 100);
        let next = pace.records(10_000);
        assert!(next > shrunk && next <= 2 * shrunk, "{next} after {shrunk}");
        for _ in 0..8 {
            pace.note(next, next * 100);
        }
        assert_eq!(pace.records(10_000), 10_000);
    }

    #[test]
    fn a_batch_has_at_least_one_record() {
        let mut pace = Pace::new(1_000);
        pace.note(1, usize::MAX);
        assert_eq!(pace.records(10_000), 1);
        pace.note(1, usize::MAX);
        assert_eq!(pace.records(0), 1);
    }

    #[test]
    fn without_bounds_only_the_most_records_count() {
        let mut pace = Pace::new(usize::MAX);
        assert_eq!(pace.records(usize::MAX), usize::MAX);
        pace.note(10_000, MB);
        assert_eq!(pace.records(10_000), 10_000);
    }
}
