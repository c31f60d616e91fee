//! Changes on their way into a store: collected in the order of the changelog, written sorted, the latest of each key.

/// Memory of a change beside its bytes.
const ENTRY_BYTES: usize = size_of::<Entry>();

struct Entry {
    /// The first bytes of the key as numbers: most comparisons need no more.
    begins: [u64; 3],
    start: usize,
    key_len: u32,
    /// `None` for a deletion.
    value_len: Option<u32>,
}

impl Entry {
    fn key<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data.get(self.start..self.value_start()).unwrap_or_default()
    }

    fn value<'a>(&self, data: &'a [u8]) -> Option<&'a [u8]> {
        let start = self.value_start();
        self.value_len.map(|len| data.get(start..start + len as usize).unwrap_or_default())
    }

    fn value_start(&self) -> usize {
        self.start + self.key_len as usize
    }
}

/// A chunk of a changelog, in one buffer.
#[derive(Default)]
pub struct Load {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

impl Load {
    /// With space for about this many bytes: growing would copy them repeatedly.
    pub fn with_room(bytes: usize) -> Self {
        const VALUES_BYTES: usize = 128;
        let count = bytes / (ENTRY_BYTES + VALUES_BYTES);
        Self { data: Vec::with_capacity(count * VALUES_BYTES), entries: Vec::with_capacity(count) }
    }

    /// Adds a change; a later one of the same key overrides it.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let start = self.data.len();
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value.unwrap_or_default());
        // Records of a log are far smaller than 4 GB.
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { begins: begins(key), start, key_len: len(key), value_len: value.map(len) });
    }

    /// Sorts by key; stable, so changes of one key keep their order.
    pub fn sort(&mut self) {
        let data = &self.data;
        let in_order = |a: &Entry, b: &Entry| {
            a.begins.cmp(&b.begins).then_with(|| a.key(data).cmp(b.key(data))).then(a.start.cmp(&b.start))
        };
        self.entries.sort_unstable_by(in_order);
    }

    /// The changes in the order in which they were added (or sorted).
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.entries.iter().map(|entry| (entry.key(&self.data), entry.value(&self.data)))
    }

    /// The latest change of each key. Call [`Self::sort`] first.
    pub fn latest(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let followers = self.entries.iter().skip(1).map(Some).chain(std::iter::once(None));
        let is_latest =
            |entry: &Entry, next: &Entry| entry.begins != next.begins || entry.key(&self.data) != next.key(&self.data);
        let latest =
            self.entries.iter().zip(followers).filter(move |(entry, next)| next.is_none_or(|next| is_latest(entry, next)));
        latest.map(|(entry, _)| (entry.key(&self.data), entry.value(&self.data)))
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.entries.len() * ENTRY_BYTES
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes the changes, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.entries.clear();
    }
}

/// A key's first 24 bytes, with zeros after a shorter one: they sort like keys.
fn begins(key: &[u8]) -> [u64; 3] {
    let mut numbers = [0; 3];
    for (number, part) in numbers.iter_mut().zip(key.chunks(8)) {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        *number = u64::from_be_bytes(bytes);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_latest_change_of_a_key_wins_and_keys_come_sorted() {
        let mut load = Load::default();
        for (key, value) in [("b", Some("1")), ("a", Some("2")), ("b", None), ("c", None), ("c", Some("3")), ("a", Some(""))] {
            load.push(key.as_bytes(), value.map(str::as_bytes));
        }
        load.sort();
        let latest: Vec<_> = load.latest().collect();
        assert_eq!(latest, [(&b"a"[..], Some(&b""[..])), (b"b", None), (b"c", Some(b"3"))]);
    }

    proptest! {
        #[test]
        fn keys_are_sorted_as_bytes_are(keys in proptest::collection::vec(proptest::collection::vec(0u8..3, 0..20), 0..60)) {
            let mut load = Load::default();
            keys.iter().for_each(|key| load.push(key, Some(b"")));
            load.sort();
            let mut expected = keys.clone();
            expected.sort();
            prop_assert_eq!(load.changes().map(|(key, _)| key.to_vec()).collect::<Vec<_>>(), expected);
        }
    }
}
