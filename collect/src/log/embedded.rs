//! Writes to the embedded log on a thread of its own: what comes in while it writes is one write batch, the next.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

use super::{Outcome, Room};

/// The most requests whose records are written at once.
const REQUESTS_MAX: usize = 1_000;

/// The records of a request.
struct Batch {
    records: Vec<(Output, i64)>,
    stored: oneshot::Sender<bool>,
    room: Room,
}

/// See the module. Its queue is bounded by the room that its batches have taken.
pub(super) struct Writer(Sender<Batch>);

impl Writer {
    pub(super) fn start(log: EmbeddedLog) -> io::Result<Self> {
        let (sender, receiver) = channel();
        std::thread::Builder::new().name("collector-log".into()).spawn(move || write(&log, &receiver))?;
        Ok(Self(sender))
    }

    pub(super) fn send(&self, topic: Topic, values: Vec<String>, now_ms: i64, room: Room) -> Outcome {
        let output = |value: String| (Output { topic, key: Vec::new(), value: Some(value.into_bytes()) }, now_ms);
        let (stored, outcome) = oneshot::channel();
        // Without its thread nothing is stored: the outcome's sender is dropped, and that is heard.
        let _ = self.0.send(Batch { records: values.into_iter().map(output).collect(), stored, room });
        outcome
    }
}

/// Writes until nobody sends any more.
fn write(log: &EmbeddedLog, batches: &Receiver<Batch>) {
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
        }
        for (stored, _room) in answers {
            // Whoever asked may have gone.
            let _ = stored.send(written.is_ok());
        }
    }
}
