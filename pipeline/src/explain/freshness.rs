//! How fresh an answer is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::time::minute;

/// How fresh an answer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// Whether nothing in the topics is newer than the states that were read.
    pub current: bool,
    /// When the oldest of the states that are behind was as it was read; of an answer that is current, when that was seen.
    pub as_of_ms: i64,
    /// Records in the topics that are newer; `null` where that is not known.
    pub newer_records: Option<u64>,
    /// Whether it is exactly so many; else at most.
    pub exact: bool,
    /// The states that were read, and how far ingest is.
    pub stages: Vec<StageFreshness>,
}

/// How fresh the state of a partition is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StageFreshness {
    /// The stage.
    pub stage: String,
    /// The partition; `null` for all.
    pub partition: Option<u32>,
    /// `process` (a running one was asked), `disk` (of this machine), `log` (the embedded one), or `group` (of ingest, which has no
    /// state, how far its group has come).
    pub source: &'static str,
    /// The process that was asked.
    pub instance: Option<String>,
    /// When it was so; `null` for a state that is empty, and for ingest.
    pub as_of_ms: Option<i64>,
    /// Records that the stage has still to read; `null` where that is not known.
    pub newer_records: Option<u64>,
    /// Whether it is exactly so many; else at most.
    pub exact: bool,
    /// Why no process was asked, or why it is not known what is newer.
    pub why: Option<String>,
}

impl Freshness {
    /// What there is to be said to people; `None` where the answer is of all that there is.
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
