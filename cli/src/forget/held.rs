//! Searches topics, and on the embedded log the states and the files, for data that still names an erased person.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::Pipeline;
use tributary_proto::DeadLetter;
use tributary_runtime::embedded::{EmbeddedLog, Recognise, Sought};
use tributary_runtime::kafka_admin::KafkaAdmin;
use tributary_runtime::stage::Erasure;
use tributary_runtime::topic::format;
use tributary_runtime::topic::{Cleanup, Retention, Topic};
use tributary_runtime::topics_plan::FoundTopic;

use super::named::Named;
use super::text::Needles;
use crate::ask;
use crate::source::{EmbeddedReader, Found, KafkaReader, Next, SourceError, TopicReader, WAIT};

/// Timeout of requests to the brokers.
const ASK: Duration = Duration::from_secs(10);
/// How often a broker checks for data to be deleted (`log.retention.check.interval.ms`).
const CHECK_MS: i64 = 300_000;
/// Most positions listed per topic.
const PLACES_MAX: usize = 20;

/// The position of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// Data in one place that names the identifiers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The topic, by role; on the embedded log also `state` and `files`.
    pub what: String,
    /// Records, values or files searched.
    pub searched: u64,
    /// How many of them name an identifier.
    pub held: u64,
    /// When the newest of these was written, milliseconds since 1970-01-01 UTC.
    pub newest_ms: Option<i64>,
    /// Until when it may be kept, by the topic's settings; `null` without a limit.
    pub until_ms: Option<i64>,
    /// The reason for that time, or what to do.
    pub because: String,
    /// The first of them.
    pub places: Vec<Place>,
}

/// What to search for.
struct Search {
    named: Named,
    needles: Needles,
}

impl Search {
    fn of(erased: &[Erasure], pipeline: &Pipeline) -> anyhow::Result<Self> {
        let mut named = Named::new(pipeline.clone());
        let sought = |of: &Erasure| Sought { erasure: of.clone(), noted_ms: i64::MAX };
        named.look_for(&erased.iter().map(sought).collect::<Vec<_>>());
        Ok(Self { named, needles: Needles::new(erased.iter().map(|erasure| &erasure.of))? })
    }

    fn names(&mut self, topic: Topic, found: &Found) -> bool {
        let value = found.value.as_deref().unwrap_or_default();
        match topic {
            _ if Topic::RAW.contains(&topic) => self.named.names(topic, found.timestamp_ms, value) || self.mentions(&found.key),
            Topic::DeadLetters => {
                let letter: Option<DeadLetter> = format::read(value).ok();
                let payload = letter.as_ref().map_or(value, |letter| &letter.payload);
                self.mentions(payload) || self.mentions(&found.key)
            }
            _ => self.mentions(value) || self.mentions(&found.key),
        }
    }

    fn mentions(&self, bytes: &[u8]) -> bool {
        let mut found = false;
        self.needles.find(bytes, &mut |_| found = true);
        found
    }

    /// Reads a topic up to its current end.
    fn topic(&mut self, topic: Topic, reader: &mut dyn TopicReader) -> Result<Held, SourceError> {
        let mut held = Held { what: topic.name().to_owned(), ..Held::default() };
        loop {
            match reader.next(WAIT)? {
                Next::Record(found) => {
                    held.searched += 1;
                    if self.names(topic, &found) {
                        held.note(&found);
                    }
                }
                Next::Idle => {}
                Next::End => return Ok(held),
            }
        }
    }
}

impl Held {
    fn note(&mut self, found: &Found) {
        self.held += 1;
        self.newest_ms = self.newest_ms.max(Some(found.timestamp_ms).filter(|at_ms| *at_ms > 0));
        if self.places.len() < PLACES_MAX {
            self.places.push(Place { partition: found.partition, offset: found.offset });
        }
    }
}

/// Searches everything that is stored. On Kafka this includes uncommitted and aborted records, because their bytes are stored, too.
///
/// # Errors
/// When something cannot be read.
pub fn search(settings: &Settings, pipeline: &Pipeline, erased: &[Erasure]) -> anyhow::Result<Vec<Held>> {
    let mut search = Search::of(erased, pipeline)?;
    if settings.kafka.is_embedded() {
        return search_log(settings, &mut search);
    }
    let names: Vec<String> = Topic::ALL.iter().map(|topic| settings.topics.name(*topic)).collect();
    let asking = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let topics = asking.block_on(KafkaAdmin::new(&settings.kafka, ASK)?.find(&names))?;
    let mut all = Vec::new();
    for topic in Topic::ALL {
        let Some(found) = topics.get(&settings.topics.name(topic)) else { continue };
        let mut reader = KafkaReader::open_all(settings, topic)?.to_where_it_ends_now()?;
        let mut held = search.topic(topic, &mut reader)?;
        (held.until_ms, held.because) = stays(topic, found, held.newest_ms);
        all.push(held);
    }
    Ok(all)
}

/// Until when a record of a topic may be kept, by the topic's settings.
fn stays(topic: Topic, found: &FoundTopic, newest_ms: Option<i64>) -> (Option<i64>, String) {
    let config = |key: &str| found.config.get(key).and_then(|value| value.parse::<i64>().ok());
    let policy = found.config.get("cleanup.policy").map_or("delete", String::as_str);
    let mut until_ms = None;
    let mut because = Vec::new();
    let mut within = |what: &str, limit: Option<i64>, more_ms: i64| match limit {
        Some(limit_ms) if (0..i64::MAX / 4).contains(&limit_ms) => {
            let end_ms = newest_ms.map(|newest_ms| newest_ms.saturating_add(limit_ms).saturating_add(more_ms));
            until_ms = until_ms.or(end_ms);
            because.push(format!("{what}={limit_ms}"));
        }
        _ => because.push(format!("{what} sets no limit")),
    };
    if policy.contains("delete") {
        // A segment is deleted when its newest record is old enough; the active one is closed first.
        let segment_ms = config("segment.ms").filter(|segment_ms| *segment_ms < i64::MAX / 4).unwrap_or(0);
        within("retention.ms", config("retention.ms"), segment_ms.saturating_add(CHECK_MS));
    }
    if policy.contains("compact") {
        within("max.compaction.lag.ms", config("max.compaction.lag.ms"), CHECK_MS);
        because.push(match config("delete.retention.ms") {
            Some(kept_ms) => format!("a tombstone is deleted delete.retention.ms={kept_ms} later"),
            None => "a tombstone is deleted delete.retention.ms later".to_owned(),
        });
    }
    if topic.compacted() && until_ms.is_none() {
        because.push(
            "older records of a key are deleted when the broker compacts; set max.compaction.lag.ms for a limit".to_owned(),
        );
    }
    (until_ms, because.join(", "))
}

fn search_log(settings: &Settings, search: &mut Search) -> anyhow::Result<Vec<Held>> {
    let log = ask::open_log(settings)?;
    // Retention of topics; a compacted topic keeps the rest for ever.
    let days = |topic: Topic| match topic.spec().cleanup {
        Cleanup::Kept(of @ (Retention::Raw | Retention::DeadLetters)) => settings.topics.retention_days(of),
        Cleanup::Kept(_) | Cleanup::Compacted => 0,
    };
    let pending = log.to_be_forgotten()?.len();
    let mut all = Vec::new();
    for topic in Topic::ALL {
        let mut held = search.topic(topic, &mut EmbeddedReader::new(log.clone(), topic, true))?;
        let days = days(topic);
        held.until_ms = held.newest_ms.filter(|_| days > 0).map(|newest_ms| newest_ms + i64::from(days) * super::DAY_MS);
        held.because = advice(pending);
        all.push(held);
    }
    all.push(states(&log, search, pending)?);
    all.push(files(&settings.state.folder_of_process(), search, pending)?);
    Ok(all)
}

fn advice(pending: usize) -> String {
    match pending {
        0 => "`tributary state forget` drops it, once it is erased".to_owned(),
        _ => "erased; the raw data is still to be deleted: by the running service within a minute, or by `tributary state forget`"
            .to_owned(),
    }
}

fn states(log: &EmbeddedLog, search: &Search, pending: usize) -> anyhow::Result<Held> {
    let mut held = Held { what: "state".to_owned(), because: advice(pending), ..Held::default() };
    log.each_value(&mut |key, value| {
        held.searched += 1;
        held.held += u64::from(search.mentions(key) || search.mentions(value));
    })?;
    Ok(held)
}

/// Searches the files themselves, which may contain deleted data. Blocks are compressed, but the first key of a block is not.
fn files(folder: &Path, search: &Search, pending: usize) -> anyhow::Result<Held> {
    let mut held = Held { what: "files".to_owned(), because: advice(pending), ..Held::default() };
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // The service may delete one meanwhile.
            let Ok(bytes) = fs::read(&path) else { continue };
            held.searched += 1;
            held.held += u64::from(search.is_in_bytes(&bytes));
        }
    }
    Ok(held)
}

impl Search {
    fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        self.needles.is_in(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(config: &[(&str, &str)]) -> FoundTopic {
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        FoundTopic { partitions: 1, replication_factor: 1, config }
    }

    #[test]
    fn how_long_a_record_stays_follows_from_the_settings_of_its_topic() {
        let raw = topic(&[("cleanup.policy", "delete"), ("retention.ms", "1000"), ("segment.ms", "500")]);
        let (until_ms, because) = stays(Topic::Sdk, &raw, Some(10_000));
        assert_eq!((until_ms, because.as_str()), (Some(10_000 + 1_000 + 500 + CHECK_MS), "retention.ms=1000"));

        let ever = topic(&[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("segment.ms", "500")]);
        assert_eq!(stays(Topic::Credits, &ever, Some(1)), (None, "retention.ms sets no limit".to_owned()));

        let compacted =
            [("cleanup.policy", "compact"), ("delete.retention.ms", "7"), ("max.compaction.lag.ms", "9223372036854775807")];
        let (until_ms, because) = stays(Topic::Profiles, &topic(&compacted), Some(1));
        assert!(until_ms.is_none() && because.contains("set max.compaction.lag.ms"), "{because}");
        let bounded = [compacted[0], compacted[1], ("max.compaction.lag.ms", "2000")];
        let (until_ms, because) = stays(Topic::Profiles, &topic(&bounded), Some(1));
        assert_eq!((until_ms, because.contains("delete.retention.ms=7")), (Some(2_001 + CHECK_MS), true));
        assert_eq!(stays(Topic::Sdk, &raw, None).0, None, "nothing is held");
    }
}
