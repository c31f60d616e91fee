//! Notes of the upkeep, in the family `meta`. Part of the stored format: do not change.
//!
//! | key | value |
//! |---|---|
//! | 2, place | next u64: how far a compacted topic has been compacted |
//! | 3, place, hash of a record's key (16) | offset u64 of its latest record; of a tombstone also that of the row before it, if that stays |
//! | 4, deleted at i64, place, offset u64 | hash of the key (16) of a tombstone |
//! | 5, place, cause u8 | count u64 of the records that were dropped |
//! | 6, place, offset u64, index u32 | nothing: the dead letter of a raw record was dropped |
//! | 7, hash of an identifier (16) | until i64, noted at i64, number u64, the identifier's key: it was erased, and is still to be forgotten |
//! | 8, place | from u64, to u64: offsets between which records were deleted whose bytes are still in the files |
//!
//! A place is a topic u8 and a partition u32, integers are big-endian. No key holds personal data: keys of files are also in RocksDB's
//! manifest, and stay there.

mod work;

use rocksdb::{IteratorMode, WriteBatch};
use tributary_proto::{Hash128, Identifier};

use super::inner::Inner;
use super::{EmbeddedError, META, keys, store_error};
use crate::stage::Erasure;
use crate::topic::Topic;

const COMPACTED: u8 = 2;
const LATEST: u8 = 3;
const TOMBSTONE: u8 = 4;
const DROPPED: u8 = 5;
const LETTER: u8 = 6;
const ERASED: u8 = 7;
const UNCLEAN: u8 = 8;

/// Why records of a topic were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// They were older than the topic's retention.
    Retention,
    /// They named an erased identifier.
    Erasure,
}

impl Cause {
    const ALL: [Self; 2] = [Self::Retention, Self::Erasure];

    const fn number(self) -> u8 {
        match self {
            Self::Retention => 1,
            Self::Erasure => 2,
        }
    }
}

/// The latest record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Latest {
    pub offset: u64,
    /// The row marked `erased`, which is kept beside its tombstone.
    pub row: Option<u64>,
}

/// A tombstone that is kept for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub deleted_ms: i64,
    pub topic: Topic,
    pub at: u32,
    pub offset: u64,
    pub key: Hash128,
}

/// A pending erasure, and a number that distinguishes it from a later one of the same identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    pub erasure: Erasure,
    /// When it was last noted, milliseconds since 1970-01-01 UTC.
    pub noted_ms: i64,
    pub number: u64,
}

/// A key and a value.
type Row = (Vec<u8>, Vec<u8>);

fn of_place(tag: u8, topic: Topic, at: u32) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(&keys::place(topic, at));
    key
}

fn latest_key(topic: Topic, at: u32, key: Hash128) -> Vec<u8> {
    [of_place(LATEST, topic, at).as_slice(), &key.to_bytes()].concat()
}

fn tombstone_key(of: &Tombstone) -> Vec<u8> {
    let mut key = vec![TOMBSTONE];
    // Times before 1970 would sort after all others; they do not occur.
    key.extend_from_slice(&of.deleted_ms.max(0).to_be_bytes());
    key.extend_from_slice(&keys::record(of.topic, of.at, of.offset));
    key
}

fn letter_key(topic: Topic, at: u32, offset: u64, index: u32) -> Vec<u8> {
    [&[LETTER][..], &keys::record(topic, at, offset), &index.to_be_bytes()].concat()
}

fn erased_key(of: &Identifier) -> Vec<u8> {
    [&[ERASED][..], &of.hash().to_bytes()].concat()
}

fn u64_at(bytes: &[u8], from: usize) -> Option<u64> {
    bytes.get(from..)?.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

impl Inner {
    fn note(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EmbeddedError> {
        self.db.get_cf(self.family(META)?, key).map_err(|error| self.error("reading", &error))
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>, EmbeddedError> {
        Ok(self.note(key)?.and_then(|bytes| u64_at(&bytes, 0)))
    }

    /// The notes whose keys have this prefix, without the prefix.
    fn notes(&self, prefix: &[u8]) -> Result<Vec<Row>, EmbeddedError> {
        let mut found = Vec::new();
        let mode = IteratorMode::From(prefix, rocksdb::Direction::Forward);
        for row in self.db.iterator_cf(self.family(META)?, mode) {
            let (key, value) = row.map_err(|error| self.error("reading", &error))?;
            let Some(rest) = key.strip_prefix(prefix) else { break };
            found.push((rest.to_vec(), value.to_vec()));
        }
        Ok(found)
    }

    pub(super) fn compacted_to(&self, topic: Topic, at: u32) -> Result<u64, EmbeddedError> {
        Ok(self.number(&of_place(COMPACTED, topic, at))?.unwrap_or(0))
    }

    pub(super) fn put_compacted_to(
        &self,
        batch: &mut WriteBatch,
        topic: Topic,
        at: u32,
        next: u64,
    ) -> Result<(), EmbeddedError> {
        batch.put_cf(self.family(META)?, of_place(COMPACTED, topic, at), next.to_be_bytes());
        Ok(())
    }

    pub(super) fn latest(&self, topic: Topic, at: u32, key: Hash128) -> Result<Option<Latest>, EmbeddedError> {
        let Some(bytes) = self.note(&latest_key(topic, at, key))? else { return Ok(None) };
        Ok(u64_at(&bytes, 0).map(|offset| Latest { offset, row: u64_at(&bytes, 8) }))
    }

    pub(super) fn put_latest(
        &self,
        batch: &mut WriteBatch,
        (topic, at, key): (Topic, u32, Hash128),
        latest: Option<Latest>,
    ) -> Result<(), EmbeddedError> {
        let (family, name) = (self.family(META)?, latest_key(topic, at, key));
        match latest {
            Some(Latest { offset, row }) => {
                let mut bytes = offset.to_be_bytes().to_vec();
                bytes.extend(row.iter().flat_map(|row| row.to_be_bytes()));
                batch.put_cf(family, name, bytes);
            }
            None => batch.delete_cf(family, name),
        }
        Ok(())
    }

    pub(super) fn put_tombstone(&self, batch: &mut WriteBatch, of: &Tombstone) -> Result<(), EmbeddedError> {
        batch.put_cf(self.family(META)?, tombstone_key(of), of.key.to_bytes());
        Ok(())
    }

    pub(super) fn delete_tombstone(&self, batch: &mut WriteBatch, of: &Tombstone) -> Result<(), EmbeddedError> {
        batch.delete_cf(self.family(META)?, tombstone_key(of));
        Ok(())
    }

    /// Tombstones written up to a time, at most `max`.
    pub(super) fn tombstones(&self, until_ms: i64, max: usize) -> Result<Vec<Tombstone>, EmbeddedError> {
        let mut found = Vec::new();
        let mode = IteratorMode::From(&[TOMBSTONE], rocksdb::Direction::Forward);
        for row in self.db.iterator_cf(self.family(META)?, mode) {
            let (key, value) = row.map_err(|error| self.error("reading", &error))?;
            let Some(rest) = key.strip_prefix(&[TOMBSTONE][..]).filter(|_| found.len() < max) else { break };
            let parts = rest.split_first_chunk::<8>().map(|(at, place)| (i64::from_be_bytes(*at), keys::parse_record(place)));
            let (Some((deleted_ms, Some((topic, at, offset)))), Some(key)) = (parts, Hash128::from_bytes(&value)) else {
                return Err(store_error("reading", &self.path, "a note of a tombstone is corrupt"));
            };
            if deleted_ms > until_ms {
                break;
            }
            found.push(Tombstone { deleted_ms, topic, at, offset, key });
        }
        Ok(found)
    }
}

fn dropped_key(topic: Topic, at: u32, cause: Cause) -> Vec<u8> {
    let mut key = of_place(DROPPED, topic, at);
    key.push(cause.number());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_the_literal_bytes_of_the_format() {
        assert_eq!(of_place(COMPACTED, Topic::Credits, 2), [COMPACTED, 7, 0, 0, 0, 2]);
        assert_eq!(dropped_key(Topic::Sdk, 0, Cause::Erasure), [5, 1, 0, 0, 0, 0, 2]);
        assert_eq!(letter_key(Topic::Utm, 1, 2, 3), [6, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3]);
        let of = Tombstone { deleted_ms: 1, topic: Topic::Profiles, at: 0, offset: 5, key: Hash128(9) };
        assert_eq!(tombstone_key(&of), [4, 0, 0, 0, 0, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(latest_key(Topic::Spend, 0, Hash128(1)).len(), 22);
        let first = [of_place(COMPACTED, Topic::Sdk, 0)[0], keys::FORMAT[0], keys::PARTITIONS[0]];
        assert!(first[0] < 32 && first[1] > 32 && first[2] > 32, "notes and settings are told apart by their first byte");
    }
}
