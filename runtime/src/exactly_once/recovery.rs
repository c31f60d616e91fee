//! Recovery after a transaction that failed, or whose outcome is unknown.

use std::collections::BTreeMap;

use super::Inputs;
use crate::log::LogError;

/// The steps of a recovery, in the order in which [`recover`] calls them.
///
/// ```
/// use std::collections::BTreeMap;
/// use tributary_runtime::exactly_once::{Inputs, Recovery, recover};
/// use tributary_runtime::log::LogError;
///
/// /// A session whose producer is its epoch.
/// struct Example { slot: Option<u64>, epoch: u64 }
///
/// impl Recovery for Example {
///     type Producer = u64;
///
///     fn slot(&mut self) -> &mut Option<u64> { &mut self.slot }
///     fn replace_consumer(&mut self) -> Result<(), LogError> { Ok(()) }
///     fn new_producer(&mut self) -> Result<u64, LogError> { self.epoch += 1; Ok(self.epoch) }
///     fn committed_offsets(&mut self) -> Result<Option<BTreeMap<u32, Inputs>>, LogError> { Ok(Some(BTreeMap::new())) }
///     fn begin_again(&mut self, _: BTreeMap<u32, Inputs>) -> Result<(), LogError> { Ok(()) }
/// }
///
/// let mut session = Example { slot: Some(1), epoch: 1 };
/// recover(&mut session)?;
/// assert_eq!(session.slot, Some(2), "the producer of the failed transaction is not used again");
/// # Ok::<(), LogError>(())
/// ```
pub trait Recovery {
    /// What holds a transactional id and its epoch.
    type Producer;

    /// The slot of the producer.
    fn slot(&mut self) -> &mut Option<Self::Producer>;

    /// Replaces a consumer that is of no more use.
    ///
    /// # Errors
    /// When another process has taken its name.
    fn replace_consumer(&mut self) -> Result<(), LogError>;

    /// A producer with a new epoch. Once there is one, the former transaction is settled whole.
    ///
    /// # Errors
    /// When there is none yet.
    fn new_producer(&mut self) -> Result<Self::Producer, LogError>;

    /// The committed offsets of all partitions held; `None` when there is no answer yet.
    ///
    /// # Errors
    /// When there will not be one.
    fn committed_offsets(&mut self) -> Result<Option<BTreeMap<u32, Inputs>>, LogError>;

    /// Begins all partitions held from these offsets.
    ///
    /// # Errors
    /// When the client cannot go there.
    fn begin_again(&mut self, committed: BTreeMap<u32, Inputs>) -> Result<(), LogError>;
}

/// One attempt to start anew from the committed offsets. Without success there is no producer.
///
/// # Errors
/// The error says whether another attempt makes sense.
pub fn recover<A: Recovery>(session: &mut A) -> Result<(), LogError> {
    *session.slot() = None;
    let done = attempt(session);
    if done.is_err() {
        *session.slot() = None;
    }
    done
}

fn attempt<A: Recovery>(session: &mut A) -> Result<(), LogError> {
    session.replace_consumer()?;
    // The order matters: once the new producer has its epoch, the former transaction is settled whole, and what is committed is what
    // was.
    if session.slot().is_none() {
        let producer = session.new_producer()?;
        *session.slot() = Some(producer);
    }
    match session.committed_offsets()? {
        Some(committed) => session.begin_again(committed),
        None => Err(LogError::recover("recovering", "no answer about the committed offsets yet")),
    }
}
