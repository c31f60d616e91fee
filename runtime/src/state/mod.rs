//! The state of a partition as the pure cores see it: the values of actors, under two-level keys.
//!
//! An *actor* is an identifier, a milestone, a unit or a ledger. Its [`ActorKey`] is a tag and a hash. Its values are stored under sub-keys
//! in byte order, so that a range of them can be scanned. No core scans across actors, except for a walk over the keys of all actors of a
//! kind, some at a time ([`State::actors`]).

mod actor;
mod folder;
mod load;
mod overlay;
#[cfg(feature = "native")]
mod rocks;
mod slots;
mod snapshot;

use prost::Message;
use tributary_proto::{Hash128, encode};

use crate::generation::RefusedGeneration;

pub use folder::{UnusableFolder, prepare_folder, store_folder};
pub use load::Load;
pub use overlay::{Base, EmptyBase, Overlay, Write};
#[cfg(feature = "native")]
pub(crate) use rocks::STALLS;
#[cfg(feature = "native")]
pub use rocks::{RocksStore, StoreBudget, StoreError, StoreView};
pub use snapshot::{Committed, OpenBase, Snapshot};

/// Length of an [`ActorKey`] in bytes.
pub const ACTOR_KEY_LEN: usize = 17;

/// Tag and hash of an actor: the first 17 bytes of its keys on disk. Part of the stored format: do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorKey(pub [u8; ACTOR_KEY_LEN]);

impl ActorKey {
    /// The key of the actor `hash` of the kind `tag`; a tag is unique within a stage.
    pub fn new(tag: u8, hash: Hash128) -> Self {
        let mut key = [tag; ACTOR_KEY_LEN];
        for (to, from) in key.iter_mut().skip(1).zip(hash.to_bytes()) {
            *to = from;
        }
        Self(key)
    }

    /// The actor of a key of the store: its first bytes.
    pub fn of(key: &[u8]) -> Option<Self> {
        key.first_chunk().map(|first| Self(*first))
    }

    /// The hash of the actor.
    pub fn hash(&self) -> Option<Hash128> {
        Hash128::from_bytes(self.0.get(1..)?)
    }

    /// The kind of actor.
    pub fn tag(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The position in a store after which the keys of further actors of a kind follow.
    pub fn behind(tag: u8, after: Option<&Self>) -> Vec<u8> {
        after.map_or_else(|| vec![tag], |after| prefix_end(&after.0))
    }
}

/// A read of the state failed, or found data that cannot have been written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store below failed.
    #[error("reading the state failed: {0}")]
    Read(String),
    /// A value does not match its key.
    #[error(
        "state of an actor of kind {tag:?} under sub-key {sub:02x?} is corrupt: {why}; rebuild the state from the changelog"
    )]
    Corrupt {
        /// The actor's tag.
        tag: char,
        /// The sub-key.
        sub: Vec<u8>,
        /// The error of the decoder.
        why: String,
    },
    /// It was computed by settings newer than those of this process.
    #[error(transparent)]
    Newer(#[from] RefusedGeneration),
}

/// The state of one partition, with the changes of the current batch.
///
/// ```
/// use tributary_proto::Hash128;
/// use tributary_runtime::state::{ActorKey, EmptyBase, Overlay, State, StateError};
///
/// let mut state = Overlay::new(EmptyBase);
/// let unit = ActorKey::new(b'u', Hash128::of(b"001B"));
/// state.put(&unit, b"touch/1", b"a visit");
/// state.put(&unit, b"touch/2", b"a call");
/// state.delete(&unit, b"touch/1");
///
/// let mut found = Vec::new();
/// state.scan(&unit, b"touch/", b"", &mut |sub_key, _| {
///     found.push(sub_key.to_vec());
///     true
/// })?;
/// assert_eq!(found, [b"touch/2"]);
/// # Ok::<(), StateError>(())
/// ```
pub trait State {
    /// The value under `sub` of `actor`.
    ///
    /// # Errors
    /// When the store below cannot be read.
    fn get(&mut self, actor: &ActorKey, sub: &[u8]) -> Result<Option<&[u8]>, StateError>;

    /// Sets the value under `sub` of `actor`. Sub-keys are short: at most 65,535 bytes.
    fn put(&mut self, actor: &ActorKey, sub: &[u8], value: &[u8]);

    /// As [`Self::put`], with sub-key and value in one buffer, so that nothing is copied.
    fn put_joined(&mut self, actor: &ActorKey, sub_len: usize, sub_and_value: Vec<u8>);

    /// Removes the value under `sub` of `actor`.
    fn delete(&mut self, actor: &ActorKey, sub: &[u8]);

    /// Declares that `actor` has no values except those written in this batch, so that nothing needs to be read. A core calls it for an
    /// actor without a record of its own: that record is written first and deleted last.
    fn begins(&mut self, _actor: &ActorKey) {}

    /// Calls `visit` with every sub-key and value of `actor` from `from` (inclusive) to `to` (exclusive; empty: to the end), in
    /// byte order, until it returns false.
    ///
    /// # Errors
    /// When the store below cannot be read.
    fn scan(
        &mut self,
        actor: &ActorKey,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError>;

    /// The next actors of a kind after `after`, at most `max`, in the order of their keys. May include one without values; includes every
    /// one that has had values since the last commit.
    ///
    /// # Errors
    /// When the store below cannot be read.
    fn actors(&mut self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError>;
}

/// Reads the message under `sub` of `actor`.
///
/// # Errors
/// When the store cannot be read or the value is not such a message.
pub fn get_message<M: Message + Default>(state: &mut dyn State, actor: &ActorKey, sub: &[u8]) -> Result<Option<M>, StateError> {
    match state.get(actor, sub)? {
        Some(bytes) => decode(actor, sub, bytes).map(Some),
        None => Ok(None),
    }
}

/// Writes a message under `sub` of `actor`.
pub fn put_message<M: Message>(state: &mut dyn State, actor: &ActorKey, sub: &[u8], message: &M) {
    let mut joined = Vec::with_capacity(sub.len() + message.encoded_len());
    joined.extend_from_slice(sub);
    encode::append(message, &mut joined);
    state.put_joined(actor, sub.len(), joined);
}

/// All messages of `actor` whose sub-keys begin with `prefix`, with the sub-keys, in byte order.
///
/// # Errors
/// When the store cannot be read or a value is not such a message.
pub fn scan_messages<M: Message + Default>(
    state: &mut dyn State,
    actor: &ActorKey,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, M)>, StateError> {
    let mut found = Vec::new();
    visit(state, actor, prefix, |sub, value| {
        found.push((sub.to_vec(), decode(actor, sub, value)?));
        Ok(())
    })?;
    Ok(found)
}

/// Visits all values of `actor` whose sub-keys begin with `prefix`, in byte order, until `look` fails.
///
/// # Errors
/// When the store cannot be read; errors of `look`.
pub fn visit(
    state: &mut dyn State,
    actor: &ActorKey,
    prefix: &[u8],
    mut look: impl FnMut(&[u8], &[u8]) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut looked = Ok(());
    state.scan(actor, prefix, &prefix_end(prefix), &mut |sub, value| {
        looked = look(sub, value);
        looked.is_ok()
    })?;
    looked
}

/// Decodes a stored message.
///
/// # Errors
/// When the bytes are not such a message.
pub fn decode<M: Message + Default>(actor: &ActorKey, sub: &[u8], bytes: &[u8]) -> Result<M, StateError> {
    M::decode(bytes).map_err(|error| StateError::Corrupt {
        tag: char::from(actor.0[0]),
        sub: sub.to_vec(),
        why: error.to_string(),
    })
}

/// The smallest key above all keys with this prefix; empty if there is none.
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}
