//! Notes about dropped records, pending erasures and pending compactions.

use std::collections::BTreeMap;

use rocksdb::WriteBatch;
use tributary_proto::Identifier;

use super::super::inner::Inner;
use super::super::{EmbeddedError, META, keys};
use super::{Cause, ERASED, LETTER, Pending, UNCLEAN, dropped_key, erased_key, letter_key, of_place, u64_at};
use crate::stage::Erasure;
use crate::topic::Topic;

impl Inner {
    /// How many records of a partition were dropped, by cause.
    pub(in super::super) fn dropped(&self, topic: Topic, at: u32) -> Result<BTreeMap<Cause, u64>, EmbeddedError> {
        let mut counts = BTreeMap::new();
        for cause in Cause::ALL {
            counts.insert(cause, self.number(&dropped_key(topic, at, cause))?.unwrap_or(0));
        }
        Ok(counts)
    }

    /// Counts dropped records. Only one thread drops records.
    pub(in super::super) fn count_dropped(
        &self,
        batch: &mut WriteBatch,
        (topic, at): (Topic, u32),
        cause: Cause,
        more: u64,
    ) -> Result<(), EmbeddedError> {
        let key = dropped_key(topic, at, cause);
        let known = self.number(&key)?.unwrap_or(0);
        batch.put_cf(self.family(META)?, key, (known + more).to_be_bytes());
        Ok(())
    }

    /// Notes that the dead letter of a raw record was dropped.
    pub(in super::super) fn put_letter(
        &self,
        batch: &mut WriteBatch,
        (topic, at, offset): (Topic, u32, u64),
        index: u32,
    ) -> Result<(), EmbeddedError> {
        batch.put_cf(self.family(META)?, letter_key(topic, at, offset, index), []);
        Ok(())
    }

    /// Deletes the notes on dead letters of raw records from one offset to below another.
    pub(in super::super) fn delete_letters(
        &self,
        batch: &mut WriteBatch,
        (topic, at): (Topic, u32),
        (from, to): (u64, u64),
    ) -> Result<(), EmbeddedError> {
        batch.delete_range_cf(self.family(META)?, letter_key(topic, at, from, 0), letter_key(topic, at, to, 0));
        Ok(())
    }

    /// The raw records whose dead letters were dropped.
    pub(in super::super) fn letters(&self) -> Result<Vec<(Topic, u32, u64, u32)>, EmbeddedError> {
        let place = |key: &[u8]| {
            let (index, record) = (key.last_chunk::<4>()?, key.get(..key.len().saturating_sub(4))?);
            let (topic, at, offset) = keys::parse_record(record)?;
            Some((topic, at, offset, u32::from_be_bytes(*index)))
        };
        Ok(self.notes(&[LETTER])?.iter().filter_map(|(key, _)| place(key)).collect())
    }

    /// Notes pending erasures in the batch that makes them. The caller holds the lock on positions.
    pub(in super::super) fn put_pending(
        &self,
        batch: &mut WriteBatch,
        erasures: &[Erasure],
        noted_ms: i64,
    ) -> Result<(), EmbeddedError> {
        // It grows with every write, also across restarts.
        let number = self.db.latest_sequence_number();
        let mut latest: BTreeMap<Vec<u8>, (i64, &Identifier)> = BTreeMap::new();
        for Erasure { of, until_ms } in erasures {
            let known = latest.entry(erased_key(of)).or_insert((*until_ms, of));
            known.0 = known.0.max(*until_ms);
        }
        for (key, (until_ms, of)) in latest {
            let known = self.note(&key)?.and_then(|bytes| bytes.first_chunk::<8>().map(|until| i64::from_be_bytes(*until)));
            let until_ms = until_ms.max(known.unwrap_or(i64::MIN));
            let mut value = [until_ms.to_be_bytes(), noted_ms.to_be_bytes(), number.to_be_bytes()].concat();
            of.write_key(&mut value);
            batch.put_cf(self.family(META)?, key, value);
        }
        Ok(())
    }

    /// The pending erasures.
    pub(in super::super) fn pending(&self) -> Result<Vec<Pending>, EmbeddedError> {
        let one = |value: &[u8]| {
            let (until, rest) = value.split_first_chunk::<8>()?;
            let (noted, rest) = rest.split_first_chunk::<8>()?;
            let (number, of) = rest.split_first_chunk::<8>()?;
            let erasure = Erasure { of: Identifier::from_key(of).ok()?, until_ms: i64::from_be_bytes(*until) };
            Some(Pending { erasure, noted_ms: i64::from_be_bytes(*noted), number: u64::from_be_bytes(*number) })
        };
        Ok(self.notes(&[ERASED])?.iter().filter_map(|(_, value)| one(value)).collect())
    }

    /// Deletes the notes of finished erasures, unless one was noted again since.
    pub(in super::super) fn settle_pending(&self, batch: &mut WriteBatch, done: &[Pending]) -> Result<(), EmbeddedError> {
        let now = self.pending()?;
        for pending in done.iter().filter(|pending| now.contains(pending)) {
            batch.delete_cf(self.family(META)?, erased_key(&pending.erasure.of));
        }
        Ok(())
    }

    /// Notes that bytes of deleted records between these offsets are still in the files.
    pub(in super::super) fn put_unclean(
        &self,
        batch: &mut WriteBatch,
        (topic, at): (Topic, u32),
        (from, to): (u64, u64),
    ) -> Result<(), EmbeddedError> {
        let key = of_place(UNCLEAN, topic, at);
        let known = self.note(&key)?.and_then(|bytes| Some((u64_at(&bytes, 0)?, u64_at(&bytes, 8)?)));
        let (from, to) = known.map_or((from, to), |(first, last)| (first.min(from), last.max(to)));
        batch.put_cf(self.family(META)?, key, [from.to_be_bytes(), to.to_be_bytes()].concat());
        Ok(())
    }

    /// Ranges whose deleted bytes are still in the files.
    pub(in super::super) fn unclean(&self) -> Result<Vec<(Topic, u32, u64, u64)>, EmbeddedError> {
        let one = |key: &[u8], value: &[u8]| {
            let (topic, at) = keys::parse_place(key)?;
            Some((topic, at, u64_at(value, 0)?, u64_at(value, 8)?))
        };
        Ok(self.notes(&[UNCLEAN])?.iter().filter_map(|(key, value)| one(key, value)).collect())
    }

    pub(in super::super) fn delete_unclean(&self, batch: &mut WriteBatch, topic: Topic, at: u32) -> Result<(), EmbeddedError> {
        batch.delete_cf(self.family(META)?, of_place(UNCLEAN, topic, at));
        Ok(())
    }
}
