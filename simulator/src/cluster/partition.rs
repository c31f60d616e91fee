//! One partition of a topic: records, transaction markers, and visibility.

use std::collections::{BTreeMap, BTreeSet};

/// A record, or the mark that ends a transaction.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// When the event behind it was received.
    pub timestamp_ms: i64,
    /// When it was written, by the cluster's clock.
    pub written_ms: u64,
    /// The transaction it belongs to.
    transaction: Option<u64>,
    /// Of a tombstone that was compacted: until when it is kept for readers who have seen the value it removed.
    keep_until_ms: Option<u64>,
    /// Whether it is a mark: it has an offset, and nobody sees it.
    mark: bool,
}

impl Entry {
    /// A record.
    pub fn new(key: Vec<u8>, value: Option<Vec<u8>>, timestamp_ms: i64, written_ms: u64) -> Self {
        Self { key, value, timestamp_ms, written_ms, transaction: None, keep_until_ms: None, mark: false }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Partition {
    entries: BTreeMap<u64, Entry>,
    end: u64,
    /// Transactions that are open here, and the first offset of each.
    open: BTreeMap<u64, u64>,
    aborted: BTreeSet<u64>,
}

impl Partition {
    /// Appends a record, of a transaction or of none; returns its offset.
    pub fn append(&mut self, mut entry: Entry, transaction: Option<u64>) -> u64 {
        let offset = self.end;
        if let Some(transaction) = transaction {
            self.open.entry(transaction).or_insert(offset);
        }
        entry.transaction = transaction;
        self.entries.insert(offset, entry);
        self.end += 1;
        offset
    }

    /// Ends a transaction here, with a mark that takes an offset.
    pub fn end_transaction(&mut self, transaction: u64, commit: bool, written_ms: u64) {
        if self.open.remove(&transaction).is_some() {
            let mark = Entry { mark: true, ..Entry::new(Vec::new(), None, 0, written_ms) };
            self.entries.insert(self.end, mark);
            self.end += 1;
            if !commit {
                self.aborted.insert(transaction);
            }
        }
    }

    /// What a transaction that is open here has written, in order.
    pub fn written_by(&self, transaction: u64) -> impl Iterator<Item = &Entry> {
        let from = self.open.get(&transaction).copied().unwrap_or(self.end);
        let entries = self.entries.range(from..).map(|(_, entry)| entry);
        entries.filter(move |entry| entry.transaction == Some(transaction) && !entry.mark)
    }

    /// The last stable offset: readers of committed records see nothing at or above it.
    pub fn stable_end(&self) -> u64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// The committed records from an offset on.
    pub fn committed(&self, from: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let stable = self.stable_end();
        let range = self.entries.range(from.min(stable)..stable);
        range.filter(|(_, entry)| self.visible(entry)).map(|(offset, entry)| (*offset, entry))
    }

    fn visible(&self, entry: &Entry) -> bool {
        !entry.mark && entry.transaction.is_none_or(|transaction| !self.aborted.contains(&transaction))
    }

    /// Keeps of each key the latest committed record. A tombstone that is the latest goes `retention_ms` after the first compaction that
    /// found it so: who has read the value it removed has that long to read on. Returns how many records are gone.
    pub fn compact(&mut self, now_ms: u64, retention_ms: u64) -> usize {
        let stable = self.stable_end();
        let mut latest: BTreeMap<&[u8], u64> = BTreeMap::new();
        for (offset, entry) in self.entries.range(..stable).filter(|(_, entry)| self.visible(entry)) {
            latest.insert(&entry.key, *offset);
        }
        let keep: BTreeSet<u64> = latest.into_values().collect();
        let before = self.entries.len();
        self.entries.retain(|offset, entry| {
            if *offset >= stable || !keep.contains(offset) {
                return *offset >= stable;
            }
            entry.value.is_some() || now_ms <= *entry.keep_until_ms.get_or_insert(now_ms + retention_ms)
        });
        before - self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: Option<&str>) -> Entry {
        Entry::new(key.into(), value.map(Into::into), 0, 0)
    }

    fn seen(partition: &Partition) -> Vec<(u64, String)> {
        partition.committed(0).map(|(offset, entry)| (offset, String::from_utf8(entry.key.clone()).unwrap())).collect()
    }

    #[test]
    fn an_open_transaction_hides_what_follows_and_an_aborted_one_only_itself() {
        let mut partition = Partition::default();
        partition.append(record("a", Some("1")), None);
        partition.append(record("b", Some("1")), Some(7));
        partition.append(record("c", Some("1")), None);
        assert_eq!((seen(&partition), partition.stable_end()), (vec![(0, "a".into())], 1));
        partition.end_transaction(7, false, 0);
        assert_eq!((seen(&partition), partition.stable_end()), (vec![(0, "a".into()), (2, "c".into())], 4));
        partition.append(record("d", Some("1")), Some(8));
        partition.end_transaction(8, true, 0);
        assert_eq!(seen(&partition).last(), Some(&(4, "d".into())));
        assert_eq!(partition.stable_end(), 6, "the mark has an offset");
    }

    #[test]
    fn compaction_keeps_the_latest_of_each_key_and_forgets_old_tombstones() {
        let mut partition = Partition::default();
        for entry in [record("a", Some("1")), record("b", Some("1")), record("a", Some("2")), record("b", None)] {
            partition.append(entry, None);
        }
        assert_eq!(partition.compact(7, 10), 2);
        assert_eq!(seen(&partition), [(2, "a".into()), (3, "b".into())]);
        assert_eq!(partition.compact(17, 10), 0);
        assert_eq!(partition.compact(18, 10), 1);
        assert_eq!(seen(&partition), [(2, "a".into())]);
    }
}
