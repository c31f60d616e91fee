//! Sends input that can be read only once: without checkpoints.

use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

use super::CheckpointSink;
use crate::sink::{self, RawSink, SinkError};

/// Sends records without checkpoints.
pub struct Plain(Box<dyn RawSink>);

impl Plain {
    /// Opens the sink in the settings.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(settings: &Settings) -> Result<Self, SinkError> {
        sink::open(settings).map(Self)
    }
}

impl CheckpointSink for Plain {
    fn last(&mut self) -> Result<Option<Vec<u8>>, SinkError> {
        Ok(None)
    }

    fn send(&mut self, topic: Topic, value: &[u8], timestamp_ms: i64) -> Result<(), SinkError> {
        self.0.send(topic, &[], value, timestamp_ms)
    }

    fn is_due(&self) -> bool {
        false
    }

    fn commit(&mut self, _: &[u8]) -> Result<(), SinkError> {
        self.0.flush()
    }
}
