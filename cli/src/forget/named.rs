//! Finds raw records that name a person in an event before an erasure.

use std::collections::HashMap;

use tributary_identity::identifier_set::touches_void_until;
use tributary_ingest::Decoded;
use tributary_pipeline::stages::Pipeline;
use tributary_proto::event::Body;
use tributary_proto::{Event, Hash128};
use tributary_runtime::embedded::{Recognise, Sought};
use tributary_runtime::topic::Topic;

use super::text::Needles;

/// Decodes records as ingest does, and searches their texts.
pub struct Named {
    pipeline: Pipeline,
    decoded: Decoded,
    /// By hash of an identifier, the time up to which its events are void.
    until: HashMap<Hash128, i64>,
    /// The erasures, by position of the needles.
    sought: Vec<Sought>,
    needles: Option<Needles>,
}

impl Named {
    /// Searches for nothing yet.
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline, decoded: Decoded::default(), until: HashMap::new(), sought: Vec::new(), needles: None }
    }

    /// Whether an event is void because it names an erased identifier.
    fn is_void(&self, event: &Event) -> bool {
        event.identifiers.iter().filter_map(|identifier| self.until.get(&identifier.hash())).any(|until_ms| {
            let until_ms = match &event.body {
                Some(Body::Milestone(_)) => touches_void_until(*until_ms),
                _ => *until_ms,
            };
            event.time_ms <= until_ms
        })
    }
}

impl Recognise for Named {
    fn look_for(&mut self, sought: &[Sought]) {
        self.until = sought.iter().map(|sought| (sought.erasure.of.hash(), sought.erasure.until_ms)).collect();
        // If there are too many to search texts for, records are still found by their events.
        self.needles = Needles::new(sought.iter().map(|sought| &sought.erasure.of)).ok();
        self.sought = sought.to_vec();
    }

    /// A record of events later than the erasure stays, even if its text names the identifier: a person who comes back is known again. A
    /// record of several events counts as old as its oldest. If it has no event, its time is unknown: it is dropped if it was received
    /// before the erasure.
    fn names(&mut self, topic: Topic, timestamp_ms: i64, value: &[u8]) -> bool {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        if Topic::RAW.contains(&topic) {
            // A refused record is searched as a text.
            let _ = tributary_ingest::decode_record(self.pipeline.decoder(), topic, value, timestamp_ms, &mut decoded);
        }
        let mut named = decoded.events.iter().any(|event| self.is_void(event));
        let happened_ms = decoded.events.iter().map(|event| event.time_ms).min();
        self.decoded = decoded;
        if let Some(needles) = self.needles.as_ref().filter(|_| !named) {
            needles.find(value, &mut |at| {
                named |= self.sought.get(at).is_some_and(|Sought { erasure, noted_ms }| match happened_ms {
                    Some(happened_ms) => happened_ms <= erasure.until_ms,
                    None => timestamp_ms <= *noted_ms,
                });
            });
        }
        named
    }

    fn mentions(&self, text: &[u8]) -> bool {
        let mut found = false;
        if let Some(needles) = &self.needles {
            needles.find(text, &mut |_| found = true);
        }
        found
    }
}
