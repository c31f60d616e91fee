//! Which topics there should be, and how what was found differs from that. Pure: [`kafka_admin`](crate::kafka_admin) asks the brokers
//! and creates.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::settings::TopicsSettings;
use crate::topic::Topic;

/// The largest record between the stages, in bytes: Kafka's own default; stages send larger things in chunks.
pub(crate) const INTERNAL_RECORD_BYTES_MAX: u64 = 1_048_588;
/// Compacted topics are cleaned when this part of them is out of date, so that a restore reads little more than the state.
const DIRTY_RATIO_MIN: &str = "0.2";
/// Compacted topics roll their segments at least this often (a day), for only closed segments are cleaned.
const COMPACTED_SEGMENT_MS: u64 = DAY_MS;
/// Compacted topics roll segments of this size, in bytes: that of Kafka Streams' changelogs.
const COMPACTED_SEGMENT_BYTES: u64 = 50 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopicSpec {
    /// Its role.
    #[serde(serialize_with = "role")]
    pub topic: Topic,
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: u32,
    /// Copies of every record.
    pub replication_factor: u32,
    /// Its settings, by Kafka's names.
    pub config: BTreeMap<&'static str, String>,
}

fn role<S: serde::Serializer>(topic: &Topic, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(topic.name())
}

/// A topic as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundTopic {
    /// Its partitions.
    pub partitions: u32,
    /// Copies of the records of its first partition.
    pub replication_factor: u32,
    /// Its settings, by Kafka's names; those that could not be read are absent.
    pub config: BTreeMap<String, String>,
}

/// What is to be done about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it should be.
    Fine,
    /// It is missing, and can be created.
    Missing,
    /// It differs in what only costs room or is its owner's to decide.
    Differs,
    /// It differs in what would lose or misplace state: the pipeline must not run on it.
    Wrong,
}

/// One way in which a topic differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs: `partitions`, or a setting's name.
    pub what: String,
    /// As it should be.
    pub wanted: String,
    /// As it is.
    pub found: String,
    /// Whether the pipeline must not run so.
    pub wrong: bool,
}

/// A topic, and what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTopic {
    /// As it should be.
    #[serde(flatten)]
    pub spec: TopicSpec,
    /// What is to be done.
    pub verdict: Verdict,
    /// How it differs.
    pub differences: Vec<Difference>,
}

/// The topics that these settings want, in the order of the data path.
pub fn wanted(settings: &TopicsSettings) -> Vec<TopicSpec> {
    let spec = |topic| TopicSpec {
        topic,
        name: settings.name(topic),
        partitions: settings.partitions,
        replication_factor: settings.replication_factor,
        config: config_of(settings, topic),
    };
    Topic::ALL.into_iter().map(spec).collect()
}

fn config_of(settings: &TopicsSettings, topic: Topic) -> BTreeMap<&'static str, String> {
    let days = |days: u32| if days == 0 { "-1".to_owned() } else { (u64::from(days) * DAY_MS).to_string() };
    let raw_bytes_max = u64::from(settings.record_bytes_max);
    let (retention, record_bytes_max) = match topic {
        Topic::Sdk | Topic::Utm | Topic::Webhook | Topic::Offline => (settings.raw_retention_days, raw_bytes_max),
        Topic::IdentityInbox | Topic::AttributorInbox => (settings.inbox_retention_days, INTERNAL_RECORD_BYTES_MAX),
        Topic::Credits => (settings.credits_retention_days, INTERNAL_RECORD_BYTES_MAX),
        Topic::DeadLetters => (settings.dead_letters_retention_days, settings.dead_letter_bytes_max()),
        Topic::Profiles | Topic::Accounts | Topic::Spend | Topic::IdentityChangelog | Topic::AttributorChangelog => {
            (0, INTERNAL_RECORD_BYTES_MAX)
        }
    };
    let mut config = BTreeMap::from([
        ("retention.ms", days(retention)),
        ("max.message.bytes", record_bytes_max.max(INTERNAL_RECORD_BYTES_MAX).to_string()),
        // What is read is the time of the event's receipt, which the records carry themselves.
        ("message.timestamp.type", "CreateTime".to_owned()),
    ]);
    if topic.compacted() {
        config.remove("retention.ms");
        config.extend([
            ("cleanup.policy", "compact".to_owned()),
            ("delete.retention.ms", days(settings.tombstone_retention_days)),
            ("min.cleanable.dirty.ratio", DIRTY_RATIO_MIN.to_owned()),
            ("segment.bytes", COMPACTED_SEGMENT_BYTES.to_string()),
            ("segment.ms", COMPACTED_SEGMENT_MS.to_string()),
        ]);
    } else {
        config.insert("cleanup.policy", "delete".to_owned());
    }
    config
}

/// Compares what is wanted with what was found, by topic name.
pub fn plan(wanted: Vec<TopicSpec>, found: &BTreeMap<String, FoundTopic>) -> Vec<PlannedTopic> {
    let partitions: BTreeMap<Topic, u32> = wanted
        .iter()
        .map(|spec| (spec.topic, found.get(&spec.name).map_or(spec.partitions, |found| found.partitions)))
        .collect();
    let most_raw = wanted.iter().filter(|spec| Topic::RAW.contains(&spec.topic) && found.contains_key(&spec.name));
    let most_raw = most_raw.filter_map(|spec| partitions.get(&spec.topic)).max().copied();
    let planned = wanted.into_iter().map(|mut spec| {
        let tied = match spec.topic {
            // A changelog partition is the state of the inbox partition with its number, however many the inbox was given.
            Topic::IdentityChangelog => partitions.get(&Topic::IdentityInbox).copied(),
            Topic::AttributorChangelog => partitions.get(&Topic::AttributorInbox).copied(),
            // A worker of ingest owns the same partition of all raw topics. Partitions can be added, never taken away.
            topic if Topic::RAW.contains(&topic) => most_raw,
            _ => None,
        };
        spec.partitions = tied.unwrap_or(spec.partitions);
        let Some(is) = found.get(&spec.name) else {
            return PlannedTopic { spec, verdict: Verdict::Missing, differences: Vec::new() };
        };
        let differences = differences(&spec, is, tied.is_some());
        let verdict = match &differences[..] {
            [] => Verdict::Fine,
            some if some.iter().any(|difference| difference.wrong) => Verdict::Wrong,
            _ => Verdict::Differs,
        };
        PlannedTopic { spec, verdict, differences }
    });
    planned.collect()
}

fn differences(spec: &TopicSpec, found: &FoundTopic, tied: bool) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, wanted: String, is: String, wrong: bool| {
        if wanted != is {
            differences.push(Difference { what: what.to_owned(), wanted, found: is, wrong });
        }
    };
    compare("partitions", spec.partitions.to_string(), found.partitions.to_string(), tied);
    compare("replication_factor", spec.replication_factor.to_string(), found.replication_factor.to_string(), false);
    for (key, wanted) in &spec.config {
        let Some(is) = found.config.get(*key) else { continue };
        let wrong = match *key {
            // Deleting from a compacted topic loses state; compacting the credits loses deltas, compacting an inbox loses events.
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

    fn as_wanted(settings: &TopicsSettings) -> BTreeMap<String, FoundTopic> {
        let found = |spec: TopicSpec| {
            let config = spec.config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            let found = FoundTopic { partitions: spec.partitions, replication_factor: spec.replication_factor, config };
            (spec.name, found)
        };
        wanted(settings).into_iter().map(found).collect()
    }

    fn planned(settings: &TopicsSettings, found: &BTreeMap<String, FoundTopic>) -> BTreeMap<Topic, PlannedTopic> {
        plan(wanted(settings), found).into_iter().map(|topic| (topic.spec.topic, topic)).collect()
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

    #[test]
    fn a_changelog_follows_the_partitions_of_its_inbox() {
        let settings = TopicsSettings::default();
        let mut found = as_wanted(&settings);
        found.get_mut("tributary.identity-inbox").unwrap().partitions = 12;
        found.remove("tributary.attributor-changelog");
        let plan = planned(&settings, &found);
        assert_eq!(plan[&Topic::IdentityInbox].verdict, Verdict::Differs);
        assert_eq!(plan[&Topic::IdentityChangelog].verdict, Verdict::Wrong);
        assert_eq!(plan[&Topic::IdentityChangelog].spec.partitions, 12);
        assert_eq!(plan[&Topic::AttributorChangelog].verdict, Verdict::Missing);
        assert_eq!(plan[&Topic::AttributorChangelog].spec.partitions, 4);
    }

    #[test]
    fn raw_topics_have_the_same_number_of_partitions() {
        let settings = TopicsSettings::default();
        let mut found = as_wanted(&settings);
        found.get_mut("tributary.sdk").unwrap().partitions = 12;
        found.remove("tributary.offline");
        let plan = planned(&settings, &found);
        let raw = Topic::RAW.map(|topic| (plan[&topic].verdict, plan[&topic].spec.partitions));
        assert_eq!(raw, [(Verdict::Fine, 12), (Verdict::Wrong, 12), (Verdict::Wrong, 12), (Verdict::Missing, 12)]);
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
