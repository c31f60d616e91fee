//! Seeded histories: raw records as nasty as senders can make them, and settings so tight that every limit bites.
//!
//! Each seed favours some features over others, so that rare combinations come about: one history is all unlinks and shared phones,
//! another all amended milestones of one account.

mod events;
mod render;
mod rules;

use tributary_ingest::{Decoded, Decoder, Settings as IngestSettings};
use tributary_proto::{Event, Source};
use tributary_runtime::topic::Topic;

use crate::draw::Draw;
use crate::oracle::Rules;

/// A record of a raw topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The raw topic.
    pub topic: Topic,
    /// When it was received, milliseconds since 1970-01-01 UTC.
    pub received_ms: i64,
    /// The record's value.
    pub value: String,
}

impl Raw {
    /// The source that the topic stands for.
    pub fn source(&self) -> Source {
        match self.topic {
            Topic::Sdk => Source::Sdk,
            Topic::Utm => Source::Utm,
            Topic::Webhook => Source::Webhook,
            _ => Source::Offline,
        }
    }
}

/// What one seed stands for, but for the faults.
#[derive(Debug, Clone)]
pub struct History {
    /// Settings of ingest.
    pub ingest: IngestSettings,
    /// Settings of the other stages.
    pub rules: Rules,
    /// The records, as their senders sent them.
    pub records: Vec<Raw>,
}

/// What a record must become.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The events it holds.
    pub events: Vec<Event>,
    /// How many dead letters it makes.
    pub dead: usize,
}

impl History {
    /// The history of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 0);
        let (ingest, rules) = rules::draw(&mut draw);
        let records = events::draw(&mut draw);
        Self { ingest, rules, records }
    }

    /// What ingest's decoder makes of each record. That it decodes rightly is shown by its own tests.
    pub fn outcomes(&self, decoder: &Decoder) -> Vec<Outcome> {
        let mut decoded = Decoded::default();
        let outcome = |raw: &Raw| {
            decoded.clear();
            let whole = decoder.decode(raw.source(), raw.value.as_bytes(), Some(raw.received_ms), &mut decoded);
            match whole {
                Ok(()) => Outcome { events: decoded.events.clone(), dead: decoded.rejections.len() },
                Err(_) => Outcome { events: Vec::new(), dead: 1 },
            }
        };
        self.records.iter().map(outcome).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_has_valid_settings_and_most_records_are_events() {
        for seed in 0..200 {
            let history = History::of(seed);
            let pipeline = crate::pipeline::compile(&history.ingest, &history.rules, None, None).unwrap();
            let outcomes = history.outcomes(pipeline.decoder());
            let dead: usize = outcomes.iter().map(|outcome| outcome.dead).sum();
            assert!(dead * 2 < outcomes.len().max(10), "seed {seed}: {dead} of {} are dead", outcomes.len());
        }
    }
}
