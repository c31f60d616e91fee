//! The dead letters of a topic, and their status.
//!
//! The topic itself has all information: a letter that was sent again is followed by one with the reason `retried` that names its position,
//! and a record that was refused again is there again with the same bytes. So no other state is needed, and a record that is refused
//! repeatedly is not sent forever.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_proto::{DeadLetter, Hash128};
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format;

use crate::source::{self, Found};

/// The reason of a dead letter that marks another one as sent again.
const RETRIED: &str = "retried";

/// The position of a dead letter in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Partition.
    pub partition: u32,
    /// Offset.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.partition, self.offset)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected PARTITION:OFFSET, as `list` shows it";
        let (partition, offset) = text.split_once(':').ok_or(EXPECTED)?;
        let place = partition.parse().ok().zip(offset.parse().ok());
        place.map(|(partition, offset)| Self { partition, offset }).ok_or(EXPECTED)
    }
}

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Nothing yet.
    Open,
    /// Its record was sent again.
    Retried,
    /// Its record is internal, from a stage: only a new version of the stage can read it.
    Internal,
}

impl Fate {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Retried => "retried",
            Self::Internal => "internal",
        }
    }
}

/// The content of a refused record: equal for all its refusals.
type Content = (String, Hash128, Hash128);

/// A dead letter without its payload, because there may be very many.
#[derive(Debug)]
pub struct Letter {
    /// The dead letter with an empty payload.
    pub header: DeadLetter,
    /// The payload's length.
    pub payload_bytes: usize,
    content: Content,
}

impl Letter {
    fn new(letter: DeadLetter) -> Self {
        let content = (letter.topic.clone(), Hash128::of(&letter.key), Hash128::of(&letter.payload));
        Self { payload_bytes: letter.payload.len(), content, header: DeadLetter { payload: Vec::new(), ..letter } }
    }
}

/// Calls `hear` with every record of the topic, in order within a partition. Topics in dead letters are given by role, also on Kafka, where
/// they are stored by their configured names.
///
/// # Errors
/// When the topic cannot be read or contains something else; errors of `hear`.
pub fn visit(settings: &Settings, hear: &mut dyn FnMut(Place, DeadLetter) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let names = Topic::ALL.map(|topic| (settings.topics.name(topic), topic.name()));
    source::each(settings, Topic::DeadLetters, &mut |Found { partition, offset, value, .. }| {
        let Some(value) = value else { return Ok(()) };
        let mut letter: DeadLetter = format::read(&value)?;
        if let Some((_, role)) = names.iter().find(|(name, _)| *name == letter.topic) {
            letter.topic = (*role).to_owned();
        }
        hear(Place { partition, offset }, letter)
    })
}

/// The dead letters of the topic.
#[derive(Debug, Default)]
pub struct Letters {
    letters: BTreeMap<Place, Letter>,
    retried: BTreeSet<Place>,
    /// By content, the positions in the source topics where it was refused.
    refusals: BTreeMap<Content, BTreeSet<(i32, i64)>>,
}

impl Letters {
    /// Reads all dead letters.
    ///
    /// # Errors
    /// When the topic cannot be read or contains something else.
    pub fn read(settings: &Settings) -> anyhow::Result<Self> {
        let mut letters = Self::default();
        visit(settings, &mut |place, letter| {
            letters.add(place, letter);
            Ok(())
        })?;
        Ok(letters)
    }

    /// Adds the dead letter at this position.
    pub fn add(&mut self, place: Place, letter: DeadLetter) {
        if letter.reason == RETRIED {
            let of = u32::try_from(letter.partition).ok().zip(u64::try_from(letter.offset).ok());
            self.retried.extend(of.map(|(partition, offset)| Place { partition, offset }));
            return;
        }
        let letter = Letter::new(letter);
        let from = (letter.header.partition, letter.header.offset);
        self.refusals.entry(letter.content.clone()).or_default().insert(from);
        self.letters.insert(place, letter);
    }

    /// All, by position.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Letter)> {
        self.letters.iter().map(|(place, letter)| (*place, letter))
    }

    /// The dead letter at a position.
    pub fn get(&self, place: Place) -> Option<&Letter> {
        self.letters.get(&place)
    }

    /// What became of a dead letter.
    pub fn fate(&self, place: Place, letter: &Letter) -> Fate {
        match raw_topic(&letter.header) {
            None => Fate::Internal,
            Some(_) if self.retried.contains(&place) => Fate::Retried,
            Some(_) => Fate::Open,
        }
    }

    /// How often the same record was refused: 1 or more.
    pub fn times(&self, letter: &Letter) -> usize {
        self.refusals.get(&letter.content).map_or(1, BTreeSet::len)
    }

    /// The records to send again for these dead letters: by the first dead letter of each record, the positions of all about it. A record
    /// with several refused events has several.
    pub fn resend(&self, chosen: &[(Place, &Letter)]) -> BTreeMap<Place, Vec<Place>> {
        let mut records: BTreeMap<&Content, Vec<Place>> = BTreeMap::new();
        for (place, letter) in chosen.iter().filter(|(_, letter)| raw_topic(&letter.header).is_some()) {
            records.entry(&letter.content).or_default().push(*place);
        }
        records.into_values().filter_map(|places| Some((*places.first()?, places))).collect()
    }
}

/// The raw topic of the refused record; `None` for an internal record.
pub fn raw_topic(letter: &DeadLetter) -> Option<Topic> {
    Topic::RAW.into_iter().find(|topic| topic.name() == letter.topic)
}

/// A dead letter that marks the one at this position as sent again.
pub fn mark(place: Place, of: &DeadLetter) -> DeadLetter {
    DeadLetter {
        reason: RETRIED.to_owned(),
        stage: of.stage.clone(),
        topic: Topic::DeadLetters.name().to_owned(),
        partition: i32::try_from(place.partition).unwrap_or(i32::MAX),
        offset: i64::try_from(place.offset).unwrap_or(i64::MAX),
        key: of.key.clone(),
        ..DeadLetter::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: u64) -> Place {
        Place { partition: 1, offset }
    }

    fn letter(topic: &str, payload: &str, offset: i64) -> DeadLetter {
        DeadLetter {
            topic: topic.into(),
            payload: payload.into(),
            offset,
            reason: "json_malformed".into(),
            ..DeadLetter::default()
        }
    }

    #[test]
    fn a_record_refused_again_is_recognised_by_its_bytes() {
        let mut letters = Letters::default();
        letters.add(place(0), letter("sdk", "{", 10));
        letters.add(place(1), DeadLetter { index: 1, ..letter("sdk", "{", 10) });
        letters.add(place(2), letter("utm", "{", 10));
        let first = letters.get(place(0)).unwrap();
        assert_eq!((letters.fate(place(0), first), letters.times(first)), (Fate::Open, 1));
        let all: Vec<_> = letters.iter().collect();
        let resent = letters.resend(&all);
        assert_eq!(resent, BTreeMap::from([(place(0), vec![place(0), place(1)]), (place(2), vec![place(2)])]));

        let marked = mark(place(0), &first.header);
        letters.add(place(3), marked);
        letters.add(place(4), letter("sdk", "{", 11));
        let first = letters.get(place(0)).unwrap();
        assert_eq!((letters.fate(place(0), first), letters.times(first)), (Fate::Retried, 2));
        assert_eq!(letters.fate(place(4), letters.get(place(4)).unwrap()), Fate::Open);
        assert!(letters.get(place(3)).is_none(), "a mark is no letter");
    }

    #[test]
    fn internal_records_are_not_sent_again() {
        let mut letters = Letters::default();
        letters.add(place(0), letter("identity-inbox", "x", 1));
        let all: Vec<_> = letters.iter().collect();
        assert_eq!((letters.fate(all[0].0, all[0].1), letters.resend(&all).len()), (Fate::Internal, 0));
    }

    #[test]
    fn places_are_written_as_they_are_read() {
        assert_eq!("3:41".parse(), Ok(Place { partition: 3, offset: 41 }));
        assert_eq!(Place { partition: 3, offset: 41 }.to_string(), "3:41");
        assert!("3".parse::<Place>().is_err() && "a:1".parse::<Place>().is_err());
    }
}
