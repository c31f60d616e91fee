//! Writes to the embedded log on a separate thread: records that arrive during a write form the next write batch.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

use super::Outcome;
use crate::budget::Room;

/// Most requests whose records are written together.
const REQUESTS_MAX: usize = 1_000;

/// The records of a request.
struct Batch {
    records: Vec<(Output, i64)>,
    stored: oneshot::Sender<bool>,
    room: Room,
}

/// See the module. Its queue is bounded by the room of its batches.
pub(super) struct Writer {
    running: Mutex<Option<Running>>,
    failed: Arc<OnceLock<String>>,
}

/// Its thread, and the channel to it.
struct Running {
    batches: Sender<Batch>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(log: EmbeddedLog) -> io::Result<Self> {
        let (batches, receiver) = channel();
        let failed = Arc::new(OnceLock::new());
        let telling = failed.clone();
        let thread =
            std::thread::Builder::new().name("collector-log".into()).spawn(move || write(&log, &receiver, &telling))?;
        Ok(Self { running: Mutex::new(Some(Running { batches, thread })), failed })
    }

    /// Why nothing can be written any more.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.get().cloned()
    }

    pub(super) fn send(&self, topic: Topic, values: Vec<String>, now_ms: i64, room: Room) -> Outcome {
        let output = |value: String| (Output { topic, key: Vec::new(), value: Some(value.into_bytes()) }, now_ms);
        let (stored, outcome) = oneshot::channel();
        let batch = Batch { records: values.into_iter().map(output).collect(), stored, room };
        if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            // Without the thread nothing is stored: the sender of the result is dropped, which the receiver notices.
            let _ = running.batches.send(batch);
        }
        outcome
    }

    /// Writes what is queued, then stops and closes the log.
    pub(super) fn close(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Running { batches, thread }) = running {
            drop(batches);
            if thread.join().is_err() {
                tracing::error!("the thread that writes the collector's records has panicked; this is a defect");
            }
        }
    }
}

/// Writes until all senders are dropped. After an error other than a full disk, RocksDB refuses every further write.
fn write(log: &EmbeddedLog, batches: &Receiver<Batch>, failed: &OnceLock<String>) {
    let mut writes = 0u32;
    while let Ok(first) = batches.recv() {
        let (mut records, mut answers) = (Vec::new(), Vec::new());
        for Batch { records: more, stored, room } in std::iter::once(first).chain(batches.try_iter().take(REQUESTS_MAX - 1)) {
            records.extend(more);
            answers.push((stored, room));
        }
        writes = writes.wrapping_add(1);
        let written = log.append(records, writes);
        if let Err(error) = &written {
            tracing::error!(%error, "the collector's records are not stored");
            if !error.is_full() {
                let _ = failed.set(error.to_string());
            }
        }
        for (stored, _room) in answers {
            // The requester may be gone.
            let _ = stored.send(written.is_ok());
        }
    }
}
