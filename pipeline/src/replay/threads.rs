//! The threads of a replay.

use std::thread::{self, JoinHandle};

use tributary_runtime::worker::WorkerError;

use super::ReplayError;

/// A thread that gives a `T`, unless it fails.
pub(super) type Thread<T> = JoinHandle<Result<T, ReplayError>>;

/// Starts a thread.
///
/// # Errors
/// When the system refuses it.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, ReplayError> + Send + 'static,
) -> Result<Thread<T>, ReplayError> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(ReplayError::Thread)
}

/// Waits for the end of a thread.
///
/// # Errors
/// When it has failed, or panicked.
pub(super) fn join<T>(thread: Thread<T>) -> Result<T, ReplayError> {
    let worker = thread.thread().name().unwrap_or_default().to_owned();
    thread.join().map_err(|_| ReplayError::Worker(WorkerError::Panicked { worker }))?
}
