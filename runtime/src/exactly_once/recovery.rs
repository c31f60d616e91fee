//! Recovery after a transaction that failed, or whose outcome is unknown.

use std::collections::BTreeMap;

use super::Inputs;
use crate::log::LogError;

/// What going back asks of a session, in the order in which [`recover`] asks it.
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
