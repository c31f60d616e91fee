//! Seeded histories: raw records as difficult as senders can make them, and settings so tight that every limit is reached.
//!
//! Each seed favours some features over others, so that rare combinations occur: one history is all unlinks and shared phones, another all
//! amended milestones of one account.

mod dimensions;
mod events;
mod features;
mod more;
mod render;
mod rules;

pub use features::Features;
use tributary_ingest::{Decoded, Decoder, Settings as IngestSettings};
use tributary_proto::event::Body;
use tributary_proto::identity_message::Body as MessageBody;
use tributary_proto::occurrence::{object_key, record_key};
use tributary_proto::{Event, IdentityMessage, Message, Source};
use tributary_runtime::topic::Topic;

use crate::draw::Draw;
use crate::oracle::Rules;

/// A record of a raw topic, or of the inbox of identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    /// Its topic.
    pub topic: Topic,
    /// When it was received, milliseconds since 1970-01-01 UTC.
    pub received_ms: i64,
    /// Its content.
    pub said: Said,
}

/// The content of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Text, as its sender wrote it.
    Text(String),
    /// An event, as ingest would have decoded it.
    Event(Box<Event>),
}

impl Raw {
    /// The source of the topic.
    pub fn source(&self) -> Source {
        match self.topic {
            Topic::Sdk => Source::Sdk,
            Topic::Utm => Source::Utm,
            Topic::Webhook => Source::Webhook,
            _ => Source::Offline,
        }
    }

    /// The record's key: the receiver of the event; empty in raw topics.
    pub fn key(&self) -> Vec<u8> {
        let Said::Event(event) = &self.said else { return Vec::new() };
        match &event.body {
            Some(Body::Milestone(version)) => version.milestone_id.clone().into_bytes(),
            Some(Body::Retract(back)) if !back.record.is_empty() => record_key(&back.record).into(),
            Some(Body::Retract(back)) if !back.milestone_id.is_empty() => back.milestone_id.clone().into_bytes(),
            Some(Body::Retract(back)) if !back.object_id.is_empty() => object_key(&back.object_id).into(),
            Some(Body::ObjectContacts(object)) => object_key(&object.object_id).into(),
            _ => event.identifiers.first().or(event.account_identifiers.first()).map(|first| first.key()).unwrap_or_default(),
        }
    }

    /// The record's value.
    pub fn value(&self) -> Vec<u8> {
        match &self.said {
            Said::Text(text) => text.clone().into_bytes(),
            Said::Event(event) => IdentityMessage { body: Some(MessageBody::Event(Event::clone(event))) }.encode_to_vec(),
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Event(event) => write!(f, "{event:?}"),
        }
    }
}

/// Everything that a seed determines, except the faults.
#[derive(Debug, Clone)]
pub struct History {
    /// Settings of ingest.
    pub ingest: IngestSettings,
    /// Settings of the other stages.
    pub rules: Rules,
    /// The records, as their senders sent them.
    pub records: Vec<Raw>,
}

/// The expected result of a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The events it holds.
    pub events: Vec<Event>,
    /// How many dead letters it makes.
    pub dead: usize,
}

impl History {
    /// The history of a seed with the default features.
    pub fn of(seed: u64) -> Self {
        Self::with(seed, Features::DEFAULT)
    }

    /// The history of a seed. The features are independent: each leaves the rest unchanged.
    pub fn with(seed: u64, features: Features) -> Self {
        let mut draw = Draw::new(seed, 0);
        let (ingest, mut rules) = rules::draw(&mut draw);
        let records = events::draw(&mut draw);
        rules::draw_more(&mut Draw::new(seed, 4), features, &mut rules);
        let mut history = Self { ingest, rules, records };
        if features != Features::NONE {
            history.add(&mut Draw::new(seed, 5), features);
        }
        if features.dimensions {
            dimensions::give(&mut Draw::new(seed, 7), &mut history);
        }
        history
    }

    /// Settings that are in force before those of the history.
    pub fn former(&self, seed: u64, features: Features) -> (IngestSettings, Rules) {
        let mut draw = Draw::new(seed, 6);
        let rules = rules::former(&mut draw, features, &self.rules);
        (rules::former_ingest(&mut draw, &self.ingest), rules)
    }

    /// Inserts events at random places between the records.
    fn add(&mut self, draw: &mut Draw, features: Features) {
        let decoded = self.decoded();
        for event in more::draw(draw, features, true, &self.rules.kinds, &decoded) {
            let said = Said::Event(Box::new(event));
            let at = draw.below(self.records.len() + 1);
            self.records.insert(at, Raw { topic: Topic::IdentityInbox, received_ms: render::RECEIVED_MS, said });
        }
    }

    /// For tests with hostile senders: events, settings, and the hostile events.
    pub fn attacked(seed: u64) -> (Vec<Event>, Rules, Vec<Event>) {
        let history = Self::with(seed, Features::NONE);
        let mut rules = history.rules.clone();
        rules::draw_more(&mut Draw::new(seed, 4), Features::ALL, &mut rules);
        let mut events = history.decoded();
        let mut draw = Draw::new(seed, 5);
        events.extend(more::draw(&mut draw, Features::ALL, false, &rules.kinds, &events));
        let mut hostile = more::draw_hostile(&mut draw, &rules.kinds, &events);
        let mut draw = Draw::new(seed, 7);
        events.iter_mut().chain(&mut hostile).for_each(|event| dimensions::give_event(&mut draw, event));
        (events, rules, hostile)
    }

    fn decoded(&self) -> Vec<Event> {
        let Ok(pipeline) = crate::pipeline::compile(&self.ingest, &self.rules, None, None) else { return Vec::new() };
        self.outcomes(pipeline.decoder()).into_iter().flat_map(|outcome| outcome.events).collect()
    }

    /// The events that ingest's decoder makes of each record. The decoder's own tests check that it is right.
    pub fn outcomes(&self, decoder: &Decoder) -> Vec<Outcome> {
        let mut decoded = Decoded::default();
        let outcome = |raw: &Raw| {
            let text = match &raw.said {
                Said::Text(text) => text,
                Said::Event(event) => return Outcome { events: vec![Event::clone(event)], dead: 0 },
            };
            decoded.clear();
            let whole = decoder.decode(raw.source(), text.as_bytes(), Some(raw.received_ms), &mut decoded);
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
            let history = History::with(seed, Features::ALL);
            let pipeline = crate::pipeline::compile(&history.ingest, &history.rules, None, None).unwrap();
            let outcomes = history.outcomes(pipeline.decoder());
            let dead: usize = outcomes.iter().map(|outcome| outcome.dead).sum();
            assert!(dead * 2 < outcomes.len().max(10), "seed {seed}: {dead} of {} are dead", outcomes.len());
        }
    }
}
