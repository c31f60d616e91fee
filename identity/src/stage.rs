//! The identity stage: decodes the records of its inbox and gives them to the actors of its partition.

use std::sync::Arc;

use prost::Message;
use tributary_proto::identity_message::Body;
use tributary_proto::{Identifier, IdentityMessage};
use tributary_runtime::log::StageLog;
use tributary_runtime::reason;
use tributary_runtime::stage::{Context, PartitionSlice, Record, Rejection, Stage, StageError};
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;

use crate::core::Core;
use crate::settings::Rules;

/// The topics that the stage reads and writes.
pub const LOG: StageLog =
    StageLog { stage: "identity", inputs: &[Topic::IdentityInbox], changelog: Some(Topic::IdentityChangelog) };

/// The identity stage of one partition.
pub struct IdentityStage {
    core: Core,
}

impl IdentityStage {
    /// The stage of a partition.
    pub fn new(rules: Arc<Rules>, slice: PartitionSlice) -> Self {
        Self { core: Core::new(rules, slice) }
    }

    /// With the generation of its settings; 0 if generations are not used.
    #[must_use]
    pub fn of_generation(mut self, generation: u64) -> Self {
        self.core.own.generation = generation;
        self
    }
}

impl Stage for IdentityStage {
    fn begin(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        self.core.begin(context)
    }

    fn remodelled(&self) -> Option<u32> {
        self.core.remodelled
    }

    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        let malformed = |why: String| Rejection::new(reason::PROTOBUF_MALFORMED, "", why);
        let message = IdentityMessage::decode(record.value).map_err(|error| malformed(error.to_string()))?;
        let body =
            message.body.ok_or_else(|| malformed("a message without a body; is a newer version writing here?".into()))?;
        let to = match &body {
            // The event itself has its identifiers: its key only determines the partition.
            Body::Event(_) | Body::Remodel(_) => Identifier::default(),
            Body::Said(_) => Identifier::default(),
            Body::TakenBack(said) if !said.key.is_empty() => Identifier::default(),
            Body::Erased(erased) if !erased.milestone_id.is_empty() => Identifier::default(),
            _ => Identifier::from_key(record.key).map_err(|error| malformed(error.to_string()))?,
        };
        self.core.receive(context, to, body)?;
        Ok(())
    }

    fn end_batch(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        self.core.settle(context)
    }

    fn discard_batch(&mut self) {
        self.core.forget();
    }
}
