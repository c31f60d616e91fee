//! The ingest stage: raw topics in, the identity inbox out.

use std::sync::Arc;

use tributary_proto::event::Body;
use tributary_proto::identity_message::Body as MessageBody;
use tributary_proto::{Event, IdentityMessage, ObjectContacts, Retract, Source, Spend, occurrence};
use tributary_runtime::log::StageLog;
use tributary_runtime::stage::{Context, Outbox, Record, Rejection, Stage, StageError};
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;

use crate::decoded::Decoded;
use crate::decoder::Decoder;
use crate::touch::input_name;
use crate::{metrics, reason};

/// The topics that the stage reads; it has no state.
pub const LOG: StageLog = StageLog { stage: "ingest", inputs: &Topic::RAW, changelog: None };

/// The ingest stage of one partition. It has no state; the [`Decoder`] is shared by all instances.
#[derive(Debug)]
pub struct IngestStage {
    decoder: Arc<Decoder>,
    /// Reused for every record.
    decoded: Decoded,
}

impl IngestStage {
    /// A stage with this decoder.
    pub fn new(decoder: Arc<Decoder>) -> Self {
        Self { decoder, decoded: Decoded::default() }
    }

    fn send(&mut self, source: Source, received_ms: i64, outbox: &mut Outbox) {
        let revision = u64::try_from(received_ms).unwrap_or_default();
        let label = input_name(source);
        let counts = [
            (&metrics::EVENTS, (self.decoded.events.len() + self.decoded.spends.len()) as u64),
            (&metrics::IDENTIFIERS_BLOCKED, self.decoded.blocked),
            (&metrics::IDENTIFIERS_UNDECLARED, self.decoded.undeclared),
            (&metrics::MESSAGES_OF_BOTS, self.decoded.bots),
            (&metrics::MESSAGES_WITHOUT_EVENT, self.decoded.without_event),
        ];
        for (metric, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            outbox.observe(metric, label, count);
        }
        for left_out in self.decoded.ignored.iter() {
            let labels = [label, metrics::field_label(&left_out.why.field), left_out.why.reason.code()];
            outbox.observe_detail(&metrics::FIELDS_IGNORED, labels, left_out.count);
        }
        for unknown in &self.decoded.stages_without_rule {
            outbox.observe(&metrics::STAGES_WITHOUT_RULE, unknown.setting, 1);
        }
        if !self.decoded.was_used() {
            outbox.nothing_used();
        }
        for event in self.decoded.events.drain(..) {
            let key = key(&event);
            outbox.send(Topic::IdentityInbox, key, &IdentityMessage { body: Some(MessageBody::Event(event)) });
        }
        for spend in self.decoded.spends.drain(..) {
            outbox.publish(&Spend { revision, ..spend });
        }
        self.decoded.rejections.drain(..).for_each(|rejection| outbox.reject(rejection));
    }
}

/// The actor that gets an event: a version's milestone; the object whose contacts it states; else the primary identifier; else the first
/// account identifier. A retraction goes where the retracted event went; the deletion of a record to the record.
fn key(event: &Event) -> Vec<u8> {
    match &event.body {
        Some(Body::Milestone(version)) => version.milestone_id.clone().into_bytes(),
        Some(Body::Retract(retract)) if !retract.record.is_empty() => occurrence::record_key(&retract.record).into_bytes(),
        Some(Body::Retract(retract)) if !retract.milestone_id.is_empty() => retract.milestone_id.clone().into_bytes(),
        Some(Body::Retract(Retract { object_id, .. }) | Body::ObjectContacts(ObjectContacts { object_id }))
            if !object_id.is_empty() =>
        {
            occurrence::object_key(object_id).into_bytes()
        }
        _ => event.identifiers.first().or(event.account_identifiers.first()).map(|first| first.key()).unwrap_or_default(),
    }
}

/// Decodes a record of a raw topic as the stage does, and adds its events to `decoded`; returns its source.
///
/// # Errors
/// When the record as a whole is refused.
pub fn decode_record(
    decoder: &Decoder,
    topic: Topic,
    value: &[u8],
    timestamp_ms: i64,
    decoded: &mut Decoded,
) -> Result<Source, Rejection> {
    let source = match topic {
        Topic::Sdk => Source::Sdk,
        Topic::Utm => Source::Utm,
        Topic::Webhook => Source::Webhook,
        Topic::Offline => Source::Offline,
        _ => return Err(Rejection::new(reason::KIND_UNKNOWN, "", "this topic is not a raw input of ingest")),
    };
    // A record without a timestamp has -1 (Kafka) or 0: the receive time is unknown.
    let received_ms = (timestamp_ms > 0).then_some(timestamp_ms);
    decoder.decode(source, value, received_ms, decoded)?;
    Ok(source)
}

impl Stage for IngestStage {
    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        self.decoded.clear();
        let read = decode_record(&self.decoder, record.topic, record.value, record.timestamp_ms, &mut self.decoded);
        if self.decoded.public {
            context.outbox.sent_by_anybody();
        }
        let source = read?;
        self.send(source, record.timestamp_ms, context.outbox);
        Ok(())
    }

    fn end_batch(&mut self, _: &mut Context<'_>) -> Result<(), StateError> {
        Ok(())
    }

    fn discard_batch(&mut self) {
        self.decoded.clear();
    }
}
