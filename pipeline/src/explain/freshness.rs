//! How fresh an answer is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::time::minute;

/// How current an answer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Whether the topics had no records that the states read did not include.
    pub current: bool,
    /// The time of the answer: if it is current, when that was checked; if not, the time of the oldest state that is behind.
    pub as_of_ms: i64,
    /// The number of records in the topics that the states do not include; `null` if unknown.
    pub newer_records: Option<u64>,
    /// Whether that number is exact; if not, it is an upper limit.
    pub exact: bool,
    /// The states that were read, and the progress of ingest.
    pub stages: Vec<StageFreshness>,
}

/// How current the state of a partition is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StageFreshness {
    /// The stage.
    pub stage: String,
    /// The partition; `null` for all.
    pub partition: Option<u32>,
    /// Where it was read: `process` (a running one answered), `disk` (of this machine), `log` (the embedded one), or `group` (ingest has no
    /// state: its progress is that of its consumer group).
    pub source: &'static str,
    /// The process that answered.
    pub instance: Option<String>,
    /// The time of the state; `null` for an empty state, and for ingest.
    pub as_of_ms: Option<i64>,
    /// The number of records that the stage has not processed yet; `null` if unknown.
    pub newer_records: Option<u64>,
    /// Whether that number is exact; if not, it is an upper limit.
    pub exact: bool,
    /// Why no process was asked, or why the number is unknown.
    pub why: Option<String>,
}

impl Freshness {
    /// A line for people; `None` if the answer includes everything.
    pub fn line(&self) -> Option<String> {
        if self.current {
            return None;
        }
        let mut said = format!("As of {}", minute(self.as_of_ms));
        match self.newer_records {
            None => said += "; whether anything is newer is not known",
            Some(newer) => {
                let up_to = if self.exact { "" } else { "up to " };
                let (records, are) = if newer == 1 { ("record", "is") } else { ("records", "are") };
                let parts: Vec<String> = self.by_stage().iter().map(|(stage, count)| format!("{stage} {count}")).collect();
                said +=
                    &format!(": {up_to}{newer} {records} in the topics {are} newer (still to be read by {})", parts.join(", "));
            }
        }
        let behind = self.stages.iter().filter(|stage| stage.newer_records != Some(0));
        let whys: BTreeSet<&str> = behind.filter_map(|stage| stage.why.as_deref()).collect();
        if self.stages.iter().any(|stage| stage.source == "disk") {
            said += "; read from the disk of this machine";
        }
        whys.iter().for_each(|why| said += &format!("; {why}"));
        Some(said + ".")
    }

    fn by_stage(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for stage in &self.stages {
            if let Some(newer @ 1..) = stage.newer_records {
                *counts.entry(stage.stage.as_str()).or_default() += newer;
            }
        }
        counts
    }
}
