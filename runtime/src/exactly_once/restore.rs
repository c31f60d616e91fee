//! Bringing the state of a partition to its committed offsets, from the changelog.
//!
//! The last readable record decides nothing: the markers that end a transaction reach the changelog's partitions and the offsets one by
//! one, so the last committed transaction may still be unreadable. A state is current when its input offsets are the committed ones; until
//! then more records will come.
//!
//! A changelog keeps tombstones for a limited time ([KIP-534]). A store must read a tombstone within that time after the moment at which
//! the store was known to miss none; otherwise it must start again. That moment is the state's `as_of_ms`: the latest of the time when the
//! store was emptied, the time when it was at the end of what can be read, and the time when the last record it read was written.
//!
//! [KIP-534]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-534%3A+Retain+tombstones+and+transaction+markers+for+approximately+delete.retention.ms+milliseconds

use super::{INPUTS_KEY, Inputs, Position, Store, StoreFailure};
use crate::log::LogError;
use crate::state::Load;

const OPERATION: &str = "restoring the state";
/// What an empty store takes in at once, sorted in memory.
const BULK_BYTES: usize = 64 << 20;
/// What a store that was behind takes in at once.
const TAIL_BYTES: usize = 4 << 20;

/// A record of the changelog.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Its topic's name.
    pub topic: &'a str,
    /// Its offset.
    pub offset: u64,
    /// When it was written, milliseconds since 1970-01-01 UTC.
    pub written_ms: u64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The version that wrote it; asked for of [`INPUTS_KEY`] only.
    pub version: Option<&'a [u8]>,
}

/// How a restore stands once all was read that could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is more to come.
    Going,
    /// The state is beyond the committed offsets that are known: ask for them again.
    Ahead,
    /// The store, or what was read, is older than tombstones are kept: [`Restore::begin_again`].
    Outlasted,
    /// The state is that of the committed offsets.
    Current,
}

/// The restore of one partition.
pub struct Restore<S> {
    partition: u32,
    store: S,
    committed: Inputs,
    /// Where the store stood.
    found: Option<Position>,
    /// What was read and is not in the store yet.
    load: Load,
    /// The offset after the last record read.
    next: u64,
    /// Since when a tombstone may be missing.
    as_of_ms: u64,
    /// How long the changelog keeps tombstones.
    tombstones_ms: u64,
    /// A tombstone may be missing.
    outlasted: bool,
    /// Whether all that could be read was read at some time.
    seen_end: bool,
    records: u64,
}

impl<S: Store> Restore<S> {
    /// Begins to bring `store` to `committed`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn begin(partition: u32, store: S, committed: Inputs, now_ms: u64, tombstones_ms: u64) -> Result<Self, LogError> {
        let found = store.position().map_err(failed)?;
        Ok(Self {
            partition,
            committed,
            found,
            load: Load::with_room(if found.is_none() { BULK_BYTES } else { TAIL_BYTES }),
            next: found.map_or(0, |position| position.changelog_next),
            as_of_ms: found.map_or(now_ms, |position| position.as_of_ms),
            tombstones_ms,
            outlasted: false,
            seen_end: false,
            records: 0,
            store,
        })
    }

    /// Empties the store: the changelog is to be read from its beginning.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn begin_again(&mut self, now_ms: u64) -> Result<(), LogError> {
        let (partition, days) = (self.partition, self.tombstones_ms / 86_400_000);
        tracing::warn!(
            partition,
            days,
            "the local state, or what was restored of it, is older than the changelog keeps tombstones: restoring all of it"
        );
        self.store.clear().map_err(failed)?;
        self.load.clear();
        (self.found, self.next, self.as_of_ms) = (None, 0, now_ms);
        (self.outlasted, self.seen_end) = (false, false);
        Ok(())
    }

    /// Whether the changelog may have lost a tombstone that the store needs: what was removed since might come to life again. The store
    /// was too old when the restore began, or the restore has taken too long.
    fn outlasts(&mut self, now_ms: u64) -> bool {
        self.outlasted |= now_ms.saturating_sub(self.as_of_ms) > self.tombstones_ms;
        self.outlasted
    }

    /// The partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// From which offset the changelog is to be read; `None`: from its beginning.
    pub fn read_from(&self) -> Option<u64> {
        self.found.map(|position| position.changelog_next)
    }

    /// The offset after the last record read.
    pub fn next_offset(&self) -> u64 {
        self.next
    }

    /// Records read.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The committed offsets were read again.
    pub fn expect(&mut self, committed: Inputs) {
        self.committed = committed;
    }

    /// Takes in a record of the changelog that was received now.
    ///
    /// # Errors
    /// When the record is not ours, or the store cannot be written.
    pub fn take(&mut self, change: &Change<'_>, now_ms: u64) -> Result<(), LogError> {
        if self.outlasts(now_ms) {
            return Ok(());
        }
        let foreign = |what: &str| {
            let why = format!("the record at offset {} of {}/{} {what}", change.offset, change.topic, self.partition);
            LogError::stop(OPERATION, why)
        };
        let key = change.key.ok_or_else(|| foreign("has no key: it is not ours"))?;
        if key == INPUTS_KEY
            && (!change.version.is_some_and(Inputs::is_known) || change.value.and_then(Inputs::decode).is_none())
        {
            return Err(foreign("was written by a version this one does not know; update this process"));
        }
        self.load.push(key, change.value);
        self.next = change.offset + 1;
        self.as_of_ms = self.as_of_ms.max(change.written_ms.min(now_ms));
        self.records += 1;
        if self.load.bytes() > if self.found.is_none() { BULK_BYTES } else { TAIL_BYTES } {
            self.store_load()?;
        }
        Ok(())
    }

    /// All that can be read now was read.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn reached_end(&mut self, now_ms: u64) -> Result<(), LogError> {
        if self.outlasts(now_ms) {
            return Ok(());
        }
        self.seen_end = true;
        self.as_of_ms = now_ms;
        self.store_load()
    }

    /// How it stands. What was read and is not in the store yet does not count.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn progress(&self) -> Result<Progress, LogError> {
        if self.outlasted {
            return Ok(Progress::Outlasted);
        }
        if !self.load.is_empty() {
            return Ok(Progress::Going);
        }
        let held = self.held()?;
        // Where nothing was ever committed the changelog must be seen to hold nothing either.
        let comparable = self.seen_end || !self.committed.next.is_empty();
        Ok(match () {
            () if comparable && held.is_at(&self.committed) => Progress::Current,
            () if self.seen_end && held.is_ahead_of(&self.committed) => Progress::Ahead,
            () => Progress::Going,
        })
    }

    /// The offsets that the store stands for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn held(&self) -> Result<Inputs, LogError> {
        inputs_of(&self.store)
    }

    /// The offsets to be reached.
    pub fn committed(&self) -> &Inputs {
        &self.committed
    }

    /// Ends a restore that is [`Progress::Current`].
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn finish(mut self, now_ms: u64) -> Result<S, LogError> {
        self.as_of_ms = now_ms;
        if self.records > 0 {
            self.store.write(std::iter::empty(), self.position()).map_err(failed)?;
        }
        Ok(self.store)
    }

    fn position(&self) -> Position {
        Position { changelog_next: self.next, as_of_ms: self.as_of_ms }
    }

    fn store_load(&mut self) -> Result<(), LogError> {
        if self.load.is_empty() {
            return Ok(());
        }
        let position = self.position();
        if self.found.is_none() {
            self.store.ingest(&mut self.load, position).map_err(failed)?;
        } else {
            self.store.write(self.load.changes(), position).map_err(failed)?;
        }
        self.load.clear();
        Ok(())
    }
}

fn inputs_of<S: Store>(store: &S) -> Result<Inputs, LogError> {
    match store.value(INPUTS_KEY).map_err(failed)? {
        None => Ok(Inputs::default()),
        Some(bytes) => {
            Inputs::decode(&bytes).ok_or_else(|| LogError::stop(OPERATION, "the input offsets of the state are corrupt"))
        }
    }
}

fn failed(error: impl StoreFailure) -> LogError {
    LogError::of_store(OPERATION, error)
}
