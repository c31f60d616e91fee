//! The embedded log: records and checkpoint are one write batch.

use tributary_pipeline::settings::Settings;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

use super::{CheckpointSink, Work};
use crate::sink::{EMBEDDED_BATCH, EMBEDDED_BATCH_BYTES, SinkError};
use crate::state;

/// Writes to the raw topics of the embedded log, with a checkpoint.
pub struct EmbeddedCheckpoints {
    log: EmbeddedLog,
    work: String,
    waiting: Vec<(Output, i64)>,
    waiting_bytes: usize,
    /// Counts writes, so that records without a key go to the partitions in turn.
    writes: u32,
}

impl EmbeddedCheckpoints {
    /// Opens the log in the settings.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(settings: &Settings, work: &Work) -> Result<Self, SinkError> {
        let log = state::open_embedded(settings).map_err(|error| SinkError::Embedded(error.to_string()))?;
        Ok(Self { log, work: work.id.clone(), waiting: Vec::with_capacity(EMBEDDED_BATCH), waiting_bytes: 0, writes: 0 })
    }
}

fn failed(error: impl std::error::Error) -> SinkError {
    SinkError::Embedded(error.to_string())
}

impl CheckpointSink for EmbeddedCheckpoints {
    fn last(&mut self) -> Result<Option<Vec<u8>>, SinkError> {
        self.log.send_checkpoint(&self.work).map_err(failed)
    }

    fn send(&mut self, topic: Topic, value: &[u8], timestamp_ms: i64) -> Result<(), SinkError> {
        self.waiting.push((Output { topic, key: Vec::new(), value: Some(value.to_vec()) }, timestamp_ms));
        self.waiting_bytes += value.len();
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.waiting.len() >= EMBEDDED_BATCH || self.waiting_bytes >= EMBEDDED_BATCH_BYTES
    }

    fn commit(&mut self, checkpoint: &[u8]) -> Result<(), SinkError> {
        let records = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.writes = self.writes.wrapping_add(1);
        self.log.append_with_checkpoint(records, self.writes, (&self.work, checkpoint)).map_err(failed)
    }
}
