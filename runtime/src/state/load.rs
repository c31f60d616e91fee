//! Changes on their way into a store: collected in the order of the changelog, taken out sorted, the latest of each key.

use std::ops::Range;

/// Room for a change beside its bytes.
const ENTRY_BYTES: usize = size_of::<Entry>();

struct Entry {
    key: Range<usize>,
    /// `None` is a removal.
    value: Option<Range<usize>>,
}

/// A chunk of a changelog, in one buffer.
#[derive(Default)]
pub struct Load {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

impl Load {
    /// Adds a change; a later one of the same key wins.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let key = self.copy(key);
        let value = value.map(|value| self.copy(value));
        self.entries.push(Entry { key, value });
    }

    /// Sorts by key, and keeps the order in which the changes of one key came.
    pub fn sort(&mut self) {
        let data = &self.data;
        self.entries.sort_by(|a, b| bytes(data, &a.key).cmp(bytes(data, &b.key)));
    }

    /// The changes in the order in which they came (or were sorted).
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.entries
            .iter()
            .map(|entry| (bytes(&self.data, &entry.key), entry.value.as_ref().map(|range| bytes(&self.data, range))))
    }

    /// The latest change of each key. Call [`Self::sort`] first.
    pub fn latest(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let followers = self.changes().skip(1).map(Some).chain(std::iter::once(None));
        self.changes()
            .zip(followers)
            .filter(|((key, _), follower)| follower.is_none_or(|(next, _)| next != *key))
            .map(|(change, _)| change)
    }

    /// The latest value pushed under `key` that is not a removal, searched from the end.
    pub fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let entry = self.entries.iter().rev().find(|entry| bytes(&self.data, &entry.key) == key)?;
        entry.value.as_ref().map(|range| bytes(&self.data, range))
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.entries.len() * ENTRY_BYTES
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets the changes, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.entries.clear();
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.data.len();
        self.data.extend_from_slice(bytes);
        start..self.data.len()
    }
}

fn bytes<'a>(data: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    data.get(range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_change_of_a_key_wins_and_keys_come_sorted() {
        let mut load = Load::default();
        for (key, value) in [("b", Some("1")), ("a", Some("2")), ("b", None), ("c", None), ("c", Some("3")), ("a", Some(""))] {
            load.push(key.as_bytes(), value.map(str::as_bytes));
        }
        assert_eq!(load.find(b"c"), Some(&b"3"[..]));
        assert_eq!(load.find(b"b"), None);
        load.sort();
        let latest: Vec<_> = load.latest().collect();
        assert_eq!(latest, [(&b"a"[..], Some(&b""[..])), (b"b", None), (b"c", Some(b"3"))]);
    }
}
