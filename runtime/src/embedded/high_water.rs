//! The high-water mark: a small file beside RocksDB's own that records the end of the log. RocksDB cannot distinguish a log that lost its
//! end from one that never had it. Opening the log compares the two.
//!
//! It is written after each commit, without waiting for the disk: after a kill it is exact. It has two slots, written in turn, so that a
//! write that is cut off leaves the other slot.
//!
//! | bytes of a slot (integers big-endian) | |
//! |---|---|
//! | 8 | `TRIBMARK` |
//! | u64 | generation: of two slots the one with the larger holds |
//! | u64 | transactions committed |
//! | u32 | how many ends follow |
//! | u8, u32, u64, u64 each | topic, partition, next offset, running hash |
//! | u64 | XXH3 of all before |

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::topic::Topic;

/// The file's name. Part of the stored format: do not change.
const NAME: &str = "HIGH-WATER";
const MAGIC: &[u8; 8] = b"TRIBMARK";
/// Bytes before the ends, and bytes of each end.
const HEAD: usize = 28;
const ENTRY: usize = 21;
/// A slot is a whole number of pages, so that writing one never touches the other.
const PAGE: usize = 4_096;

/// The end of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// The offset of the next record to be written.
    pub offset: u64,
    /// A hash chained over all records ever written to it.
    pub hash: u64,
}

impl End {
    /// The end after one more record, with this stored value.
    pub fn after(self, value: &[u8]) -> Self {
        Self { offset: self.offset + 1, hash: xxh3_64_with_seed(value, self.hash) }
    }
}

/// Ends by topic and partition.
pub(super) type Ends = BTreeMap<(Topic, u32), End>;

/// The high-water mark of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HighWater {
    /// The number of committed transactions.
    pub sequence: u64,
    /// The end of each partition.
    pub ends: Ends,
}

/// Data that a log once had and has lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// The number of lost transactions; 0 if records differ.
    pub transactions: u64,
    /// Records, by topic and partition.
    pub records: Vec<MissingRecords>,
}

/// Lost records of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRecords {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// Its end now.
    pub found: u64,
    /// Its former end; equal to `found` if earlier records differ.
    pub expected: u64,
}

impl Display for Missing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.transactions {
            0 => f.write_str("records differ from those that were written"),
            1 => f.write_str("the last transaction"),
            more => write!(f, "the last {more} transactions"),
        }?;
        let mut between = " (";
        for records in &self.records {
            let MissingRecords { topic, partition, found, expected } = records;
            write!(f, "{between}{} partition {partition} ends at offset {found}, and ended at {expected}", topic.name())?;
            between = "; ";
        }
        if self.records.is_empty() { f.write_str(" (of the state alone: no records)") } else { f.write_str(")") }
    }
}

impl HighWater {
    /// What a log has lost that has only reached `found`; `None` if nothing is missing.
    pub fn missing_in(&self, found: &Self) -> Option<Missing> {
        let transactions = self.sequence.saturating_sub(found.sequence);
        let differing = |((topic, partition), expected): (&(Topic, u32), &End)| {
            let end = found.ends.get(&(*topic, *partition)).copied().unwrap_or_default();
            let differs = end.offset < expected.offset || (end.offset == expected.offset && end.hash != expected.hash);
            let (found, expected) = (end.offset, expected.offset);
            differs.then_some(MissingRecords { topic: *topic, partition: *partition, found, expected })
        };
        let records: Vec<_> = self.ends.iter().filter_map(differing).collect();
        (transactions > 0 || !records.is_empty()).then_some(Missing { transactions, records })
    }

    fn encode(&self, generation: u64, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(MAGIC);
        into.extend_from_slice(&generation.to_be_bytes());
        into.extend_from_slice(&self.sequence.to_be_bytes());
        into.extend_from_slice(&(self.ends.len() as u32).to_be_bytes());
        for ((topic, partition), end) in &self.ends {
            into.push(topic.spec().number);
            into.extend_from_slice(&partition.to_be_bytes());
            into.extend_from_slice(&end.offset.to_be_bytes());
            into.extend_from_slice(&end.hash.to_be_bytes());
        }
        into.extend_from_slice(&xxh3_64(into).to_be_bytes());
    }

    /// The generation and content of a slot; `None` if it is incomplete.
    fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let (magic, rest) = slot.split_first_chunk::<8>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let length = (u32::from_be_bytes(*count) as usize).checked_mul(ENTRY)?;
        let (entries, rest) = rest.split_at_checked(length)?;
        let sum = rest.first_chunk::<8>()?;
        if magic != MAGIC || xxh3_64(slot.get(..HEAD + length)?) != u64::from_be_bytes(*sum) {
            return None;
        }
        let mut ends = Ends::new();
        for entry in entries.chunks_exact(ENTRY) {
            let (number, rest) = entry.split_first()?;
            let (partition, rest) = rest.split_first_chunk::<4>()?;
            let (offset, rest) = rest.split_first_chunk::<8>()?;
            let hash = rest.first_chunk::<8>()?;
            let topic = Topic::ALL.into_iter().find(|topic| topic.spec().number == *number)?;
            let end = End { offset: u64::from_be_bytes(*offset), hash: u64::from_be_bytes(*hash) };
            ends.insert((topic, u32::from_be_bytes(*partition)), end);
        }
        Some((u64::from_be_bytes(*generation), Self { sequence: u64::from_be_bytes(*sequence), ends }))
    }
}

/// The path of the mark for the log in a folder.
pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// The mark in a folder; `None` if there is none.
///
/// # Errors
/// When it cannot be read, or no slot is complete.
pub(super) fn read(folder: &Path) -> io::Result<Option<HighWater>> {
    let bytes = match fs::read(file_in(folder)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let newest = [first, second].into_iter().filter_map(HighWater::decode).max_by_key(|(generation, _)| *generation);
    match newest {
        Some((_, mark)) => Ok(Some(mark)),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "is damaged")),
    }
}

/// The mark of a log that is open for writing.
pub(super) struct HighWaterFile {
    file: File,
    slot_bytes: usize,
    generation: u64,
    buffer: Vec<u8>,
    /// Whether the last write failed.
    failing: bool,
}

impl HighWaterFile {
    /// Creates the mark in a folder, replacing any former one. Flushed to disk on return.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(folder: &Path, mark: &HighWater) -> io::Result<Self> {
        let mut buffer = Vec::new();
        mark.encode(0, &mut buffer);
        let slot_bytes = buffer.len().next_multiple_of(PAGE);
        let draft = file_in(folder).with_extension("new");
        let file = File::create(&draft)?;
        // Both slots are written, so that later writes need no more disk space.
        let mut slot = buffer.clone();
        slot.resize(slot_bytes, 0);
        file.write_all_at(&slot, 0)?;
        file.write_all_at(&slot, slot_bytes as u64)?;
        file.sync_all()?;
        fs::rename(draft, file_in(folder))?;
        File::open(folder)?.sync_all()?;
        Ok(Self { file, slot_bytes, generation: 0, buffer, failing: false })
    }

    /// Raises the mark. The mark may be behind the log, so a failure is only logged, once.
    pub fn raise(&mut self, mark: &HighWater) {
        self.generation += 1;
        mark.encode(self.generation, &mut self.buffer);
        debug_assert!(self.buffer.len() <= self.slot_bytes, "a log has the partitions it was made with");
        let at = if self.generation.is_multiple_of(2) { 0 } else { self.slot_bytes as u64 };
        let written = self.file.write_all_at(&self.buffer, at);
        if let (Err(error), false) = (&written, self.failing) {
            tracing::warn!(%error, "the high-water mark of the embedded log cannot be written: a loss would not be detected now");
        }
        self.failing = written.is_err();
    }

    /// Flushes the mark to disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
