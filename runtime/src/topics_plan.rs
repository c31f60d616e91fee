//! Which topics should exist, and how the existing ones differ. Pure: [`kafka_admin`](crate::kafka_admin) asks the brokers and creates
//! topics.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::settings::TopicsSettings;
use crate::topic::{Cleanup, Role, Topic};

/// Largest record between stages, bytes: Kafka's default. Stages send larger data in chunks.
pub(crate) const INTERNAL_RECORD_BYTES_MAX: u64 = 1_048_588;
/// Compacted topics are cleaned when this share of them is outdated, so that a restore reads little more than the state.
const DIRTY_RATIO_MIN: &str = "0.2";
/// Longest time until compacted topics roll a segment (a day): only closed segments are cleaned.
const COMPACTED_SEGMENT_MS: u64 = DAY_MS;
/// Segment size of compacted topics, bytes: that of Kafka Streams' changelogs.
const COMPACTED_SEGMENT_BYTES: u64 = 50 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// A topic as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicSpec {
    /// Its role.
    #[serde(serialize_with = "role")]
    pub topic: Topic,
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: u32,
    /// Replicas of every record.
    pub replication_factor: u32,
    /// Its settings, by Kafka's names.
    pub config: BTreeMap<&'static str, String>,
}

fn role<S: serde::Serializer>(topic: &Topic, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(topic.name())
}

/// A topic as found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundTopic {
    /// Its partitions.
    pub partitions: u32,
    /// Replicas of its first partition.
    pub replication_factor: u32,
    /// Its settings, by Kafka's names; those that could not be read are absent.
    pub config: BTreeMap<String, String>,
}

/// The result of comparing a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as wanted.
    Fine,
    /// It is missing and can be created.
    Missing,
    /// It differs in something that only costs space, or is its owner's decision.
    Differs,
    /// It differs in something that would lose or misplace state: the pipeline must not run with it.
    Wrong,
}

/// A difference of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: `partitions`, or a setting's name.
    pub what: String,
    /// The wanted value.
    pub wanted: String,
    /// The value found.
    pub found: String,
    /// Whether the pipeline must not run with it.
    pub wrong: bool,
}

/// A topic and its comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTopic {
    /// The topic as wanted.
    #[serde(flatten)]
    pub spec: TopicSpec,
    /// The result.
    pub verdict: Verdict,
    /// The differences.
    pub differences: Vec<Difference>,
}

/// The topics that these settings need, in the order of the data path.
pub fn wanted(settings: &TopicsSettings) -> Vec<TopicSpec> {
    let spec = |topic| TopicSpec {
        topic,
        name: settings.name(topic),
        // The order of the records in `plans` matters, so it has one partition.
        partitions: if topic.spec().role == Role::Plans { 1 } else { settings.partitions },
        replication_factor: settings.replication_factor,
        config: config_of(settings, topic),
    };
    Topic::ALL.into_iter().map(spec).collect()
}

fn config_of(settings: &TopicsSettings, topic: Topic) -> BTreeMap<&'static str, String> {
    let days = |days: u32| if days == 0 { "-1".to_owned() } else { (u64::from(days) * DAY_MS).to_string() };
    let record_bytes_max = match topic.spec().role {
        Role::Raw => u64::from(settings.record_bytes_max),
        Role::DeadLetters => settings.dead_letter_bytes_max(),
        Role::Inbox { .. } | Role::Output | Role::Plans | Role::Changelog { .. } => INTERNAL_RECORD_BYTES_MAX,
    };
    let mut config = BTreeMap::from([
        ("max.message.bytes", record_bytes_max.max(INTERNAL_RECORD_BYTES_MAX).to_string()),
        // Timestamps are times of receipt, set by the producers.
        ("message.timestamp.type", "CreateTime".to_owned()),
    ]);
    match topic.spec().cleanup {
        Cleanup::Compacted => config.extend([
            ("cleanup.policy", "compact".to_owned()),
            ("delete.retention.ms", days(settings.tombstone_retention_days)),
            ("min.cleanable.dirty.ratio", DIRTY_RATIO_MIN.to_owned()),
            ("segment.bytes", COMPACTED_SEGMENT_BYTES.to_string()),
            ("segment.ms", COMPACTED_SEGMENT_MS.to_string()),
        ]),
        Cleanup::Kept(retention) => {
            config.extend([("cleanup.policy", "delete".to_owned()), ("retention.ms", days(settings.retention_days(retention)))])
        }
    }
    config
}

/// The number of partitions that a topic must have, if it is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// Exactly this many: keys, and the state behind them, are spread over them.
    Exactly(u32),
    /// At least this many: partition n is the state of the inbox's partition n, and further ones stay empty.
    AtLeast(u32),
}

impl Needed {
    /// Whether this number is allowed.
    pub fn is_met_by(self, partitions: u32) -> bool {
        match self {
            Self::Exactly(needed) => partitions == needed,
            Self::AtLeast(needed) => partitions >= needed,
        }
    }
}

/// The number of partitions that a topic must have: the one rule for `run`, `check` and `topics`. `found` gives the number that topics
/// have, `spread` the number over which the keys of a processed inbox are spread. `None`: any number. Raw topics may grow at any time, each
/// for itself, because ingest keeps no state; outputs may, too.
pub fn needed(topic: Topic, found: impl Fn(Topic) -> Option<u32>, spread: impl Fn(Topic) -> Option<u32>) -> Option<Needed> {
    match topic.spec().role {
        Role::Inbox { .. } => spread(topic).map(Needed::Exactly),
        Role::Changelog { of } => {
            let (inbox, _) = Topic::inboxes().find(|(_, reader)| *reader == of)?;
            spread(inbox).or_else(|| found(inbox)).map(Needed::AtLeast)
        }
        Role::Raw | Role::Output | Role::Plans | Role::DeadLetters => None,
    }
}

/// The error for a wrong number of partitions, with what to do. Kafka can add partitions but not remove them.
pub fn wrong_number(topic: Topic, name: &str, needed: Needed, partitions: u32) -> String {
    const ELSEWHERE: &str = "The state is whole, and nothing was misplaced. Kafka takes no partitions away again: go on with a pipeline of \
                             the new number beside this one, as docs/operate.md says under \"Changing the number of partitions\"";
    match needed {
        Needed::Exactly(needed) => {
            format!("topic {name} has {partitions} partitions, and the state behind it is spread over {needed}. {ELSEWHERE}")
        }
        Needed::AtLeast(needed) => {
            let more = format!("kafka-topics.sh --alter --topic {name} --partitions {needed}");
            format!(
                "topic {name} has {partitions} partitions, and the inbox of {} has {needed}: add the others with `{more}`",
                topic.name()
            )
        }
    }
}

/// Compares wanted with found topics, by name; `spread` is the number of partitions over which the keys of processed inboxes are spread.
pub fn plan(wanted: Vec<TopicSpec>, found: &BTreeMap<String, FoundTopic>, spread: &BTreeMap<Topic, u32>) -> Vec<PlannedTopic> {
    let partitions: BTreeMap<Topic, u32> = wanted
        .iter()
        .map(|spec| (spec.topic, found.get(&spec.name).map_or(spec.partitions, |found| found.partitions)))
        .collect();
    let planned = wanted.into_iter().map(|mut spec| {
        let needed = needed(spec.topic, |topic| partitions.get(&topic).copied(), |topic| spread.get(&topic).copied());
        if let Some(Needed::Exactly(needed) | Needed::AtLeast(needed)) = needed {
            spec.partitions = needed;
        }
        let Some(is) = found.get(&spec.name) else {
            return PlannedTopic { spec, verdict: Verdict::Missing, differences: Vec::new() };
        };
        let differences = differences(&spec, is, needed);
        let verdict = match &differences[..] {
            [] => Verdict::Fine,
            some if some.iter().any(|difference| difference.wrong) => Verdict::Wrong,
            _ => Verdict::Differs,
        };
        PlannedTopic { spec, verdict, differences }
    });
    planned.collect()
}

fn differences(spec: &TopicSpec, found: &FoundTopic, needed: Option<Needed>) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, wanted: String, is: String, wrong: bool| {
        if wanted != is {
            differences.push(Difference { what: what.to_owned(), wanted, found: is, wrong });
        }
    };
    let unusable = needed.is_some_and(|needed| !needed.is_met_by(found.partitions));
    compare("partitions", spec.partitions.to_string(), found.partitions.to_string(), unusable);
    compare("replication_factor", spec.replication_factor.to_string(), found.replication_factor.to_string(), false);
    for (key, wanted) in &spec.config {
        let Some(is) = found.config.get(*key) else { continue };
        let wrong = match *key {
            // Deleting from a compacted topic loses state; compacting the credits loses deltas; compacting an inbox loses events.
            "cleanup.policy" => !Topic::RAW.contains(&spec.topic),
            "max.message.bytes" => is.parse::<u64>().unwrap_or(0) < INTERNAL_RECORD_BYTES_MAX,
            _ => false,
        };
        compare(key, wanted.clone(), is.clone(), wrong);
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use Topic::{Credits, DeadLetters, IdentityChangelog, IdentityInbox, Offline, Sdk, Utm, Webhook};
    use Verdict::{Differs, Missing, Wrong};

    fn as_wanted(settings: &TopicsSettings) -> BTreeMap<String, FoundTopic> {
        let found = |spec: TopicSpec| {
            let config = spec.config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            let found = FoundTopic { partitions: spec.partitions, replication_factor: spec.replication_factor, config };
            (spec.name, found)
        };
        wanted(settings).into_iter().map(found).collect()
    }

    fn planned(settings: &TopicsSettings, found: &BTreeMap<String, FoundTopic>) -> BTreeMap<Topic, PlannedTopic> {
        plan(wanted(settings), found, &BTreeMap::new()).into_iter().map(|topic| (topic.spec.topic, topic)).collect()
    }

    #[test]
    fn every_role_has_its_cleanup_and_retention() {
        let by_role: BTreeMap<Topic, TopicSpec> =
            wanted(&TopicsSettings::default()).into_iter().map(|spec| (spec.topic, spec)).collect();
        assert_eq!(by_role.len(), Topic::ALL.len());
        let config = |topic, key| by_role[&topic].config.get(key).map(String::as_str);
        assert_eq!(config(Topic::Sdk, "retention.ms"), Some("604800000"));
        assert_eq!(config(Topic::Credits, "retention.ms"), Some("-1"));
        assert_eq!(config(Topic::Credits, "cleanup.policy"), Some("delete"));
        assert_eq!(config(Topic::IdentityChangelog, "cleanup.policy"), Some("compact"));
        assert_eq!(config(Topic::IdentityChangelog, "retention.ms"), None);
        assert_eq!(config(Topic::Profiles, "delete.retention.ms"), Some("604800000"));
        let bytes = |topic| config(topic, "max.message.bytes").unwrap().parse::<u64>().unwrap();
        assert!(bytes(Topic::DeadLetters) > bytes(Topic::Webhook));
    }

    #[test]
    fn nothing_found_is_all_missing_and_all_found_is_fine() {
        let settings = TopicsSettings::default();
        assert!(planned(&settings, &BTreeMap::new()).values().all(|topic| topic.verdict == Verdict::Missing));
        assert!(planned(&settings, &as_wanted(&settings)).values().all(|topic| topic.verdict == Verdict::Fine));
    }

    /// A case: what is found instead of 4 partitions each, over how many partitions the inboxes are spread, and what is not fine.
    struct Situation<'a> {
        what: &'a str,
        found: &'a [(Topic, u32)],
        spread: &'a [(Topic, u32)],
        not_fine: &'a [(Topic, Verdict, u32)],
    }

    const WORKED: &[(Topic, u32)] = &[(IdentityInbox, 4), (Topic::AttributorInbox, 4)];

    const SITUATIONS: &[Situation<'_>] = &[
        Situation { what: "as created", found: &[], spread: WORKED, not_fine: &[] },
        Situation { what: "one raw topic grown", found: &[(Sdk, 12)], spread: WORKED, not_fine: &[(Sdk, Differs, 4)] },
        Situation {
            what: "all raw topics grown",
            found: &[(Sdk, 8), (Utm, 8), (Webhook, 8), (Offline, 8)],
            spread: WORKED,
            not_fine: &[(Sdk, Differs, 4), (Utm, Differs, 4), (Webhook, Differs, 4), (Offline, Differs, 4)],
        },
        Situation {
            what: "an inbox grown",
            found: &[(IdentityInbox, 8)],
            spread: WORKED,
            not_fine: &[(IdentityInbox, Wrong, 4)],
        },
        Situation {
            what: "an inbox and its changelog grown",
            found: &[(IdentityInbox, 8), (IdentityChangelog, 8)],
            spread: WORKED,
            not_fine: &[(IdentityInbox, Wrong, 4), (IdentityChangelog, Differs, 4)],
        },
        Situation {
            what: "an inbox grown before anything was read",
            found: &[(IdentityInbox, 8)],
            spread: &[],
            not_fine: &[(IdentityInbox, Differs, 4), (IdentityChangelog, Wrong, 8)],
        },
        Situation {
            what: "a changelog grown",
            found: &[(IdentityChangelog, 6)],
            spread: WORKED,
            not_fine: &[(IdentityChangelog, Differs, 4)],
        },
        Situation {
            what: "a changelog too small",
            found: &[(IdentityChangelog, 2)],
            spread: WORKED,
            not_fine: &[(IdentityChangelog, Wrong, 4)],
        },
        Situation {
            what: "a changelog missing",
            found: &[(IdentityChangelog, 0)],
            spread: WORKED,
            not_fine: &[(IdentityChangelog, Missing, 4)],
        },
        Situation {
            what: "a raw topic missing",
            found: &[(Utm, 0), (Sdk, 9)],
            spread: WORKED,
            not_fine: &[(Sdk, Differs, 4), (Utm, Missing, 4)],
        },
        Situation {
            what: "outputs grown",
            found: &[(Credits, 5), (DeadLetters, 5)],
            spread: WORKED,
            not_fine: &[(Credits, Differs, 4), (DeadLetters, Differs, 4)],
        },
    ];

    #[test]
    fn grown_topics_are_accepted_where_nothing_can_be_lost() {
        let settings = TopicsSettings::default();
        for &Situation { what, found, spread, not_fine } in SITUATIONS {
            let mut topics = as_wanted(&settings);
            for (topic, partitions) in found {
                match partitions {
                    0 => drop(topics.remove(&settings.name(*topic))),
                    _ => topics.get_mut(&settings.name(*topic)).unwrap().partitions = *partitions,
                }
            }
            let planned = plan(wanted(&settings), &topics, &spread.iter().copied().collect());
            let found: Vec<_> = planned
                .iter()
                .filter(|topic| topic.verdict != Verdict::Fine)
                .map(|topic| (topic.spec.topic, topic.verdict, topic.spec.partitions))
                .collect();
            assert_eq!(found, not_fine, "{what}");
        }
    }

    #[test]
    fn other_replication_is_its_owners_to_decide() {
        let settings = TopicsSettings::default();
        let mut found = as_wanted(&settings);
        found.get_mut("tributary.identity-inbox").unwrap().replication_factor = 2;
        let plan = planned(&settings, &found);
        assert_eq!(plan[&Topic::IdentityInbox].verdict, Verdict::Differs);
        assert_eq!(plan[&Topic::IdentityInbox].differences[0].what, "replication_factor");
    }

    #[test]
    fn advice_can_be_followed() {
        let inbox = wrong_number(Topic::IdentityInbox, "t.identity-inbox", Needed::Exactly(4), 8);
        assert!(inbox.contains("8 partitions") && inbox.contains("Changing the number of partitions"), "{inbox}");
        let changelog = wrong_number(Topic::IdentityChangelog, "t.identity-changelog", Needed::AtLeast(4), 2);
        assert!(changelog.contains("--alter --topic t.identity-changelog --partitions 4"), "{changelog}");
    }

    #[test]
    fn a_policy_that_loses_records_is_wrong_except_on_raw_topics() {
        let settings = TopicsSettings::default();
        let mut found = as_wanted(&settings);
        for name in ["credits", "identity-changelog", "sdk"] {
            let config = &mut found.get_mut(&format!("tributary.{name}")).unwrap().config;
            config.insert("cleanup.policy".into(), "compact,delete".into());
        }
        found.get_mut("tributary.profiles").unwrap().config.insert("segment.ms".into(), "1".into());
        let plan = planned(&settings, &found);
        let verdicts =
            [Topic::Credits, Topic::IdentityChangelog, Topic::Sdk, Topic::Profiles].map(|topic| plan[&topic].verdict);
        assert_eq!(verdicts, [Verdict::Wrong, Verdict::Wrong, Verdict::Differs, Verdict::Differs]);
        assert_eq!(plan[&Topic::Profiles].differences[0].what, "segment.ms");
    }
}
