//! How fresh an answer is.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use tributary_pipeline::explain::{Freshness, StageFreshness};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::topic::Topic;

use super::{Newer, Origin, Read, States, count_newer, now_ms, stage_of};
use crate::source;

impl States {
    /// How current the data read so far is.
    pub fn freshness(&self, settings: &Settings) -> Freshness {
        match &self.origin {
            Origin::Log(log) => of_log(log),
            Origin::Kafka { read, brokers_failed } => {
                let read = read.lock().unwrap_or_else(PoisonError::into_inner);
                let counted = if brokers_failed.is_empty() {
                    count(settings, &read).map_err(|error| format!("{error:#}"))
                } else {
                    Err(brokers_failed.clone())
                };
                of_kafka(&read, counted)
            }
        }
    }
}

/// Everything in an embedded log is as of the moment when it was opened.
fn of_log(log: &EmbeddedLog) -> Freshness {
    let now_ms = now_ms();
    let stage = |name: StageName| {
        let newer_records = log.lag(&name.log()).ok();
        let stage = name.log().stage.to_owned();
        StageFreshness { stage, source: "log", as_of_ms: Some(now_ms), newer_records, exact: true, ..StageFreshness::default() }
    };
    together(StageName::ALL.map(stage).into())
}

/// By input topic and partition, the number of newer records.
type Counted = BTreeMap<(Topic, u32), Newer>;

fn count(settings: &Settings, read: &[Read]) -> anyhow::Result<Counted> {
    let mut from: BTreeMap<Topic, BTreeMap<u32, Option<u64>>> = BTreeMap::new();
    for read in read {
        let inputs = stage_of(read.of.0).map_or(&[][..], |stage| stage.log().inputs);
        for topic in inputs {
            from.entry(*topic).or_default().insert(read.of.1, read.inputs.next.get(topic).copied());
        }
    }
    let committed = source::committed(settings, StageName::Ingest.log())?;
    for (topic, partition) in source::partitions(settings, &Topic::RAW)? {
        from.entry(topic).or_default().insert(partition, committed.get(&(topic, partition)).copied());
    }
    let mut counted = Counted::new();
    let asker = source::outsider(settings, "read_committed", "earliest")?;
    for (topic, from) in from {
        let of_topic = count_newer(&asker, &settings.topics.name(topic), &from)?;
        counted.extend(of_topic.into_iter().map(|(partition, newer)| ((topic, partition), newer)));
    }
    Ok(counted)
}

fn of_kafka(read: &[Read], counted: Result<Counted, String>) -> Freshness {
    let newer = |belongs: &dyn Fn(&(Topic, u32)) -> bool| -> Option<Newer> {
        let counted = counted.as_ref().ok()?.iter().filter(|(of, _)| belongs(of));
        Some(counted.fold(Newer::NONE, |sum, (_, newer)| sum.and(*newer)))
    };
    let mut stages = Vec::new();
    let raw = newer(&|(topic, _)| Topic::RAW.contains(topic));
    stages.push(StageFreshness {
        stage: StageName::Ingest.log().stage.to_owned(),
        source: "group",
        newer_records: raw.map(|newer| newer.records),
        exact: raw.is_none_or(|newer| newer.exact),
        why: counted.as_ref().err().cloned(),
        ..StageFreshness::default()
    });
    for read in read {
        let inputs = stage_of(read.of.0).map_or(&[][..], |stage| stage.log().inputs);
        let of = newer(&|(topic, partition)| *partition == read.of.1 && inputs.contains(topic));
        stages.push(StageFreshness {
            stage: read.of.0.to_owned(),
            partition: Some(read.of.1),
            source: if read.instance.is_some() { "process" } else { "disk" },
            instance: read.instance.clone(),
            as_of_ms: read.as_of_ms,
            newer_records: of.map(|newer| newer.records),
            exact: of.is_none_or(|newer| newer.exact),
            why: Some(read.why.clone()).filter(|why| !why.is_empty()),
        });
    }
    together(stages)
}

fn together(stages: Vec<StageFreshness>) -> Freshness {
    let sum = |sum: Option<u64>, stage: &StageFreshness| Some(sum? + stage.newer_records?);
    let newer_records = stages.iter().fold(Some(0), sum);
    let behind = stages.iter().filter(|stage| stage.newer_records != Some(0));
    Freshness {
        current: newer_records == Some(0),
        as_of_ms: behind.filter_map(|stage| stage.as_of_ms).min().unwrap_or_else(now_ms),
        newer_records,
        exact: stages.iter().all(|stage| stage.exact),
        stages,
    }
}

#[cfg(test)]
mod tests {
    use tributary_runtime::exactly_once::Inputs;

    use super::*;

    fn read(of: (&'static str, u32), instance: Option<&str>, next: u64) -> Read {
        let why = if instance.is_some() { "" } else { "no running process holds it" };
        let inputs = Inputs::of([(Topic::IdentityInbox, next)].into());
        Read { of, instance: instance.map(str::to_owned), why: why.into(), inputs, as_of_ms: Some(1_700_000_000_000) }
    }

    fn exactly(records: u64) -> Newer {
        Newer { records, exact: true }
    }

    #[test]
    fn a_current_answer_has_no_warning() {
        let counted = Counted::from([((Topic::Sdk, 0), Newer::NONE), ((Topic::IdentityInbox, 1), Newer::NONE)]);
        let fresh = of_kafka(&[read(("identity", 1), None, 5)], Ok(counted));
        assert!(fresh.current && fresh.newer_records == Some(0));
        assert_eq!(fresh.line(), None);
    }

    #[test]
    fn what_is_newer_is_counted_where_it_was_read() {
        let counted = Counted::from([
            ((Topic::Sdk, 0), exactly(1)),
            ((Topic::IdentityInbox, 0), exactly(7)),
            ((Topic::IdentityInbox, 1), exactly(20)),
        ]);
        let from_disk = of_kafka(&[read(("identity", 1), None, 5)], Ok(counted.clone()));
        let line = "As of 2023-11-14 22:13 UTC: 21 records in the topics are newer (still to be read by identity 20, ingest 1); read from \
                    the disk of this machine; no running process holds it.";
        assert_eq!(from_disk.line().as_deref(), Some(line));
        let from_process = of_kafka(&[read(("identity", 0), Some("one"), 5)], Ok(counted));
        assert_eq!((from_process.newer_records, from_process.stages[1].source), (Some(8), "process"));
        assert!(from_process.line().unwrap().ends_with("(still to be read by identity 7, ingest 1)."));
    }

    #[test]
    fn an_answer_whose_lag_is_unknown_is_not_called_current() {
        let up_to = Counted::from([((Topic::IdentityInbox, 1), Newer { records: 90_000, exact: false })]);
        let line = of_kafka(&[read(("identity", 1), None, 5)], Ok(up_to)).line().unwrap();
        assert!(line.contains("up to 90000 records"), "{line}");
        let unknown = of_kafka(&[read(("identity", 1), None, 5)], Err("no broker answers".into()));
        assert!(!unknown.current && unknown.newer_records.is_none());
        let line = unknown.line().unwrap();
        assert!(line.contains("is not known") && line.contains("no broker answers"), "{line}");
    }
}
