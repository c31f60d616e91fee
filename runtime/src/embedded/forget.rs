//! Physical deletion of erased people: their records are dropped, then no file may hold a byte of them.
//!
//! RocksDB deletes by writing a tombstone; the bytes stay in its files until they are compacted. So after an erasure the memtables are
//! flushed, which frees the write-ahead log, and the ranges of the files with deleted data are compacted. All pending work is noted in
//! `meta`: a killed process starts it again.

use std::collections::BTreeMap;

use rocksdb::{BottommostLevelCompaction, CompactOptions, WriteBatch};
use tributary_proto::{CreditUpdate, DeadLetter, Hash128, Message};

use super::notes::{Cause, Pending};
use super::retention::letter_of;
use super::{EmbeddedError, FAMILIES, Inner, META, RECORDS, STATE, keys, store_error};
use crate::stage::{Erasure, Output};
use crate::topic::Topic;
use crate::topic::format;

/// An erasure whose raw data is to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The identifier, and the time of the erasure.
    pub erasure: Erasure,
    /// When the erasure was read, milliseconds since 1970-01-01 UTC: earlier records without a time of their own are void, too.
    pub noted_ms: i64,
}

/// Recognises records that name an erased person.
///
/// ```
/// use tributary_proto::Identifier;
/// use tributary_runtime::embedded::{Recognise, Sought};
/// use tributary_runtime::stage::Erasure;
/// use tributary_runtime::topic::Topic;
///
/// /// Finds identifiers by their plain text.
/// #[derive(Default)]
/// struct Plain(Vec<Sought>);
///
/// impl Recognise for Plain {
///     fn look_for(&mut self, sought: &[Sought]) {
///         self.0 = sought.to_vec();
///     }
///
///     fn names(&mut self, _: Topic, _: i64, value: &[u8]) -> bool {
///         self.mentions(value)
///     }
///
///     fn mentions(&self, text: &[u8]) -> bool {
///         let text = String::from_utf8_lossy(text);
///         self.0.iter().any(|sought| text.contains(sought.erasure.of.value.as_str()))
///     }
/// }
///
/// let mut plain = Plain::default();
/// let of = Identifier::new("email", "", "zhang@b-corp.example");
/// plain.look_for(&[Sought { erasure: Erasure { of, until_ms: 1 }, noted_ms: 1 }]);
/// assert!(plain.names(Topic::Offline, 0, br#"{"email": "zhang@b-corp.example"}"#));
/// ```
pub trait Recognise {
    /// Sets the erasures to look for.
    fn look_for(&mut self, sought: &[Sought]);

    /// Whether a raw record of a topic, or the record in a dead letter, names any of them in an event before their erasure. For an internal
    /// record, `topic` is the inbox.
    fn names(&mut self, topic: Topic, timestamp_ms: i64, value: &[u8]) -> bool;

    /// Whether a text names any of them, whenever it was written.
    fn mentions(&self, text: &[u8]) -> bool;
}

/// Records per read.
const LOOK: usize = 2_000;

impl Inner {
    /// Deletes processed raw records, and dead letters, that name an erased identifier, while `go_on` returns true. Returns how many;
    /// `None` if it was stopped before the end.
    pub(super) fn drop_named(
        &self,
        sought: &[Sought],
        recognise: &mut dyn Recognise,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, EmbeddedError> {
        let mut gone = 0;
        recognise.look_for(sought);
        // Dead letters first: when a raw record is dropped later, its dead letter is dropped and noted with it.
        for topic in [Topic::DeadLetters].into_iter().chain(Topic::RAW) {
            for at in 0..self.partitions {
                let (mut from, until) = (0, self.forgettable(topic, at)?);
                while from < until {
                    if !go_on() {
                        return Ok(None);
                    }
                    let (next, dropped) = self.drop_some(topic, at, (from, until), recognise)?;
                    (from, gone) = (next, gone + dropped);
                }
            }
        }
        Ok(Some(gone))
    }

    /// Credit updates stay, because readers sum them. But a touch's id or campaign may contain personal data of the person who brought it.
    /// Once its row is taken back, both are replaced in all its updates consistently: so every sum, by any column, stays the same.
    pub(super) fn rename_touches(&self, recognise: &dyn Recognise, go_on: &dyn Fn() -> bool) -> Result<(), EmbeddedError> {
        for at in 0..self.partitions {
            let until = self.forgettable(Topic::Credits, at)?;
            let (mut faces, mut stopped) = (Faces::default(), false);
            self.visit(Topic::Credits, at, 0, &mut |offset, timestamp_ms, key, value| {
                stopped = !go_on();
                if let Some(value) = value.filter(|value| recognise.mentions(value)) {
                    faces.add(offset, timestamp_ms, key, value);
                }
                offset < until && !stopped
            })?;
            for some in faces.taken_back().chunks(LOOK).filter(|_| !stopped) {
                let mut batch = WriteBatch::default();
                for Said { offset, timestamp_ms, key, value } in some {
                    let value = renamed(value, recognise);
                    let output = Output { topic: Topic::Credits, key: key.clone(), value };
                    let record = keys::record(Topic::Credits, at, *offset);
                    batch.put_cf(self.family(RECORDS)?, record, keys::record_value(&output, *timestamp_ms));
                    self.put_unclean(&mut batch, (Topic::Credits, at), (*offset, *offset))?;
                }
                self.write(batch)?;
            }
        }
        Ok(())
    }

    /// Reads some records; returns the offset from which to continue, and how many were dropped.
    fn drop_some(
        &self,
        topic: Topic,
        at: u32,
        (from, until): (u64, u64),
        recognise: &mut dyn Recognise,
    ) -> Result<(u64, u64), EmbeddedError> {
        let (mut looked_at, mut next, mut named) = (0, until, Vec::new());
        self.visit(topic, at, from, &mut |offset, timestamp_ms, key, value| {
            if looked_at >= LOOK || offset >= until {
                next = offset.min(until);
                return false;
            }
            looked_at += 1;
            let names = |recognise: &mut dyn Recognise| match (topic, value) {
                (_, None) => false,
                (Topic::DeadLetters, Some(value)) => names_in_letter(recognise, key, value),
                (_, Some(value)) => recognise.names(topic, timestamp_ms, value),
            };
            if names(recognise) {
                let letter = if topic == Topic::DeadLetters { value.and_then(letter_of) } else { None };
                named.push((offset, letter));
            }
            true
        })?;
        let (Some((first, _)), Some((last, _))) = (named.first(), named.last()) else { return Ok((next, 0)) };
        let mut batch = WriteBatch::default();
        self.put_unclean(&mut batch, (topic, at), (*first, *last))?;
        for (offset, letter) in &named {
            batch.delete_cf(self.family(RECORDS)?, keys::record(topic, at, *offset));
            if let Some(letter) = letter {
                self.note_letter(&mut batch, letter)?;
            }
            if Topic::RAW.contains(&topic) {
                self.delete_letters(&mut batch, (topic, at), (*offset, offset + 1))?;
            }
        }
        self.count_dropped(&mut batch, (topic, at), Cause::Erasure, named.len() as u64)?;
        self.write(batch)?;
        Ok((next, named.len() as u64))
    }

    /// Rewrites the files that contain bytes of deleted records; with `state`, also those of the state.
    pub(super) fn scrub(&self, state: bool) -> Result<(), EmbeddedError> {
        let errors = self.background_errors();
        let unclean = self.unclean()?;
        self.flush_families()?;
        let options = CompactOptions::default();
        for (topic, at, from, to) in &unclean {
            let ends = (keys::record(*topic, *at, *from), keys::record(*topic, *at, to.saturating_add(1)));
            self.db.compact_range_cf_opt(self.family(RECORDS)?, Some(ends.0), Some(ends.1), &options);
        }
        if state {
            self.db.compact_range_cf_opt(self.family(STATE)?, None::<&[u8]>, None::<&[u8]>, &options);
        }
        if self.background_errors() != errors {
            return Err(store_error("compacting", &self.path, "RocksDB could not write its files anew; see its LOG"));
        }
        let mut batch = WriteBatch::default();
        // Holds the lock, because workers also delete.
        let _held = self.lock();
        for (topic, at, from, to) in unclean {
            // Skipped if more was deleted in this range meanwhile.
            if self.unclean()?.contains(&(topic, at, from, to)) {
                self.delete_unclean(&mut batch, topic, at)?;
            }
        }
        self.write(batch)
    }

    /// Removes the notes of these erasures, and rewrites the files that contain their bytes.
    pub(super) fn settle(&self, done: &[Pending]) -> Result<(), EmbeddedError> {
        let mut batch = WriteBatch::default();
        {
            let _still = self.lock();
            self.settle_pending(&mut batch, done)?;
            self.write(batch)?;
        }
        self.flush_families()?;
        // It is small, and all of it: a file that is only moved to a lower level would keep the deleted bytes.
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(self.family(META)?, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    fn background_errors(&self) -> u64 {
        let of = |name| self.db.property_int_value_cf(self.family(name).ok()?, "rocksdb.background-errors").ok().flatten();
        FAMILIES.into_iter().filter_map(of).sum()
    }
}

/// A credit update as read.
struct Said {
    offset: u64,
    timestamp_ms: i64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// The updates of touches with personal data, by face.
#[derive(Default)]
struct Faces {
    of: BTreeMap<Vec<u8>, Face>,
}

#[derive(Default)]
struct Face {
    /// The sum of the weights, by model.
    weights: BTreeMap<String, i64>,
    said: Vec<Said>,
}

impl Faces {
    fn add(&mut self, offset: u64, timestamp_ms: i64, key: &[u8], value: &[u8]) {
        let Ok(update) = format::read::<CreditUpdate>(value) else { return };
        let face = CreditUpdate {
            model: String::new(),
            model_version: String::new(),
            weight_nano: 0,
            value_minor: 0,
            delta_weight_nano: 0,
            delta_value_minor: 0,
            reporting_value_minor: 0,
            delta_reporting_value_minor: 0,
            revision: 0,
            reason: 0,
            ..update.clone()
        };
        let Face { weights, said } = self.of.entry(face.encode_to_vec()).or_default();
        *weights.entry(update.model).or_default() += update.delta_weight_nano;
        said.push(Said { offset, timestamp_ms, key: key.to_vec(), value: value.to_vec() });
    }

    /// The updates of those whose sums are zero.
    fn taken_back(self) -> Vec<Said> {
        let gone = self.of.into_values().filter(|face| face.weights.values().all(|weight| *weight == 0));
        gone.flat_map(|face| face.said).collect()
    }
}

/// A credit update with personal data in its texts replaced, in the same format; `None` if there is none.
fn renamed(value: &[u8], recognise: &dyn Recognise) -> Option<Vec<u8>> {
    let mut update = format::read::<CreditUpdate>(value).ok()?;
    let CreditUpdate { touch_id, source, medium, campaign, content, term, .. } = &mut update;
    for text in [touch_id, source, medium, campaign, content, term] {
        if recognise.mentions(text.as_bytes()) {
            *text = format!("erased-{}", Hash128::of(text.as_bytes()));
        }
    }
    let json = value.first() == Some(&b'{');
    if json { serde_json::to_vec(&update).ok() } else { Some(update.encode_to_vec()) }
}

/// Whether a dead letter names an erased identifier: in the record it holds, or in its key.
fn names_in_letter(recognise: &mut dyn Recognise, key: &[u8], value: &[u8]) -> bool {
    let Ok(letter) = format::read::<DeadLetter>(value) else { return false };
    let Some(topic) = Topic::find(&letter.topic) else { return false };
    [letter.payload.as_slice(), key].into_iter().any(|bytes| recognise.names(topic, letter.timestamp, bytes))
}
