//! The local store of a partition: a copy of the changelog's content, never ahead of the log.

use std::fmt::Display;

use crate::state::{Base, Load};

/// Key of the input offsets a state stands for. Part of the stored format: do not change.
pub const INPUTS_KEY: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0inputs";

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The offset of the changelog record to apply next.
    pub changelog_next: u64,
    /// When that was all there was, milliseconds since 1970-01-01 UTC: tombstones younger than this may still have to be applied.
    pub as_of_ms: u64,
}

/// Why a store cannot be read or written.
///
/// ```
/// use tributary_runtime::exactly_once::StoreFailure;
/// use tributary_runtime::log::LogError;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("no space left on the device")]
/// struct NoSpace;
///
/// impl StoreFailure for NoSpace {
///     fn is_full(&self) -> bool { true }
/// }
///
/// // A full disk is no reason to stop: the worker tries again until there is room.
/// assert!(matches!(LogError::of_store("writing the state", NoSpace), LogError::Recover { .. }));
/// ```
pub trait StoreFailure: Display {
    /// Whether there was no room: then it may succeed later.
    fn is_full(&self) -> bool;
}

/// The committed state of one partition. Clones share it.
///
/// ```
/// use tributary_runtime::exactly_once::{Position, Store};
///
/// /// Writes one value with the position after it, and reads both again.
/// fn write_and_read<S: Store>(store: &S) -> Result<(), S::Error> {
///     let position = Position { changelog_next: 1, as_of_ms: 0 };
///     store.write([(&b"key"[..], Some(&b"value"[..]))].into_iter(), position)?;
///     assert_eq!(store.position()?, Some(position));
///     assert_eq!(store.value(b"key")?.as_deref(), Some(&b"value"[..]));
///     Ok(())
/// }
/// ```
pub trait Store: Base + Clone + Send + 'static {
    /// Why it cannot be read or written.
    type Error: StoreFailure;

    /// How far it has come; `None` when it is empty.
    ///
    /// # Errors
    /// When it cannot be read.
    fn position(&self) -> Result<Option<Position>, Self::Error>;

    /// The value under a whole key.
    ///
    /// # Errors
    /// When it cannot be read.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Writes changes and the position after them, all or nothing. May be lost in a crash, from some write on.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write<'a>(
        &self,
        changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        position: Position,
    ) -> Result<(), Self::Error>;

    /// Takes in what was collected of a changelog, all or nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    fn ingest(&self, load: &mut Load, position: Position) -> Result<(), Self::Error>;

    /// Removes everything.
    ///
    /// # Errors
    /// When it cannot be written.
    fn clear(&self) -> Result<(), Self::Error>;
}
