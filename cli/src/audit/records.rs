//! What became of every raw record.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use tributary_attributor::read::{Kept as KeptTouch, find_touch};
use tributary_identity::read::{Kept, kept};
use tributary_ingest::Decoded;
use tributary_proto::{Event, Hash128, Message, Spend};
use tributary_runtime::state::{Committed, Snapshot, StateError};
use tributary_runtime::topic::Topic;

use crate::dead_letters::{raw_topic, visit};
use crate::explain;
use crate::pipeline::{Pipeline, StageName};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::source::{self, Found};

/// What is read of the state between two times that its memory is given back, records.
const SHRINK_EVERY: u64 = 100_000;
/// The most places that are listed.
const PLACES_MAX: usize = 100;

/// The account of one partition of a raw topic. All but `records` count what records hold: events, and what was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Records that are there.
    pub records: u64,
    /// What they hold: the sum of all that follow.
    pub produced: u64,
    /// Events that are in the state, and records of spend that are in their topic.
    pub applied: u64,
    /// Events that had come before, to the byte.
    pub duplicate: u64,
    /// What was refused, and is in the dead letters.
    pub dead: u64,
    /// Events that an erasure has made void.
    pub erased: u64,
    /// Touches that are not in the state, because they are too old to matter (`attribution.horizon_days`).
    pub dropped: u64,
    /// What has not been read yet.
    pub waiting: u64,
    /// Events that are not in the state, and refusals that are not in the dead letters.
    pub missing: u64,
    /// Dead letters that are there twice, or should not be there.
    pub surplus: u64,
}

impl Account {
    /// Whether nothing is missing, and nothing is there that should not be.
    pub fn is_balanced(&self) -> bool {
        let sum = self.outcomes().iter().map(|(_, count)| count).sum::<u64>();
        self.missing == 0 && self.surplus == 0 && self.produced == sum
    }

    /// What became of what was produced.
    pub fn outcomes(&self) -> [(&'static str, u64); 8] {
        let Self { applied, duplicate, dead, erased, dropped, waiting, missing, surplus, .. } = *self;
        [
            ("applied", applied),
            ("duplicate", duplicate),
            ("dead", dead),
            ("erased", erased),
            ("dropped", dropped),
            ("waiting", waiting),
            ("missing", missing),
            ("surplus", surplus),
        ]
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Its topic.
    pub topic: &'static str,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// The accounts of all partitions of raw topics.
#[derive(Debug, Default)]
pub struct Records {
    /// By topic and partition.
    pub accounts: BTreeMap<(Topic, u32), Account>,
    /// Records of which something is missing or surplus; the first of them.
    pub wrong: Vec<Place>,
}

/// By raw topic, partition and offset: the positions of what was refused in the record.
type Refused = BTreeMap<(Topic, u32, u64), Vec<u32>>;

struct Auditor<'a> {
    pipeline: &'a Pipeline,
    snapshot: Committed,
    /// Of the ingest stage.
    committed: BTreeMap<(Topic, u32), u64>,
    refused: Refused,
    /// Hashes of the keys of the spend topic.
    spends: HashSet<Hash128>,
    seen: HashSet<Hash128>,
    found: Records,
    decoded: Decoded,
}

/// Reads all raw records, and looks for what became of each.
///
/// # Errors
/// When a topic or the state cannot be read.
pub fn records(settings: &Settings, pipeline: &Pipeline) -> anyhow::Result<Records> {
    let mut auditor = Auditor {
        pipeline,
        snapshot: explain::open(settings)?,
        committed: source::committed(settings, StageName::Ingest.log())?,
        refused: refused(settings)?,
        spends: spends(settings)?,
        seen: HashSet::new(),
        found: Records::default(),
        decoded: Decoded::default(),
    };
    let mut progress = Progress::new("records", None);
    for topic in Topic::RAW {
        source::each(settings, topic, &mut |found| {
            progress.add(1);
            if progress.done().is_multiple_of(SHRINK_EVERY) {
                auditor.snapshot.shrink();
            }
            Ok(auditor.record(topic, &found)?)
        })?;
    }
    Ok(auditor.found)
}

/// What ingest has refused, by the dead letters.
fn refused(settings: &Settings) -> anyhow::Result<Refused> {
    let mut refused = Refused::new();
    visit(settings, &mut |_, letter| {
        let place = u32::try_from(letter.partition).ok().zip(u64::try_from(letter.offset).ok());
        if let (Some(topic), Some((partition, offset))) = (raw_topic(&letter), place) {
            refused.entry((topic, partition, offset)).or_default().push(letter.index);
        }
        Ok(())
    })?;
    Ok(refused)
}

/// What is in the spend topic.
fn spends(settings: &Settings) -> anyhow::Result<HashSet<Hash128>> {
    let mut spends = HashSet::new();
    source::each(settings, Topic::Spend, &mut |found| {
        spends.insert(Hash128::of(&found.key));
        Ok(())
    })?;
    Ok(spends)
}

impl Auditor<'_> {
    fn record(&mut self, topic: Topic, found: &Found) -> Result<(), StateError> {
        let Found { partition, offset, timestamp_ms, value, .. } = found;
        let mut account = self.found.accounts.remove(&(topic, *partition)).unwrap_or_default();
        account.records += 1;
        let wrong_before = account.missing + account.surplus;
        if self.committed.get(&(topic, *partition)).is_none_or(|next| offset >= next) {
            account.produced += 1;
            account.waiting += 1;
        } else {
            let letters = self.refused.remove(&(topic, *partition, *offset)).unwrap_or_default();
            let mut decoded = std::mem::take(&mut self.decoded);
            self.decode(topic, value.as_deref().unwrap_or_default(), *timestamp_ms, &mut decoded);
            self.refusals(&decoded, letters, &mut account);
            for event in &decoded.events {
                self.event(event, &mut account)?;
            }
            for spend in &decoded.spends {
                self.spend(spend, &mut account);
            }
            self.decoded = decoded;
        }
        if account.missing + account.surplus > wrong_before && self.found.wrong.len() < PLACES_MAX {
            self.found.wrong.push(Place { topic: topic.name(), partition: *partition, offset: *offset });
        }
        self.found.accounts.insert((topic, *partition), account);
        Ok(())
    }

    fn decode(&self, topic: Topic, value: &[u8], timestamp_ms: i64, decoded: &mut Decoded) {
        decoded.clear();
        if let Err(rejection) = tributary_ingest::decode_record(self.pipeline.decoder(), topic, value, timestamp_ms, decoded) {
            decoded.rejections.push(rejection);
        }
    }

    fn refusals(&self, decoded: &Decoded, mut letters: Vec<u32>, account: &mut Account) {
        for rejection in &decoded.rejections {
            account.produced += 1;
            match letters.iter().position(|index| *index == rejection.index) {
                Some(at) => {
                    letters.swap_remove(at);
                    account.dead += 1;
                }
                None => account.missing += 1,
            }
        }
        account.surplus += letters.len() as u64;
    }

    /// A later record with the same id overwrites a record of spend: that it was there can be told, not which one.
    fn spend(&mut self, spend: &Spend, account: &mut Account) {
        account.produced += 1;
        let count = if !self.seen.insert(Hash128::of(&spend.encode_to_vec())) {
            &mut account.duplicate
        } else if self.spends.contains(&Hash128::of(spend.spend_id.as_bytes())) {
            &mut account.applied
        } else {
            &mut account.missing
        };
        *count += 1;
    }

    fn event(&mut self, event: &Event, account: &mut Account) -> Result<(), StateError> {
        account.produced += 1;
        if !self.seen.insert(Hash128::of(&event.encode_to_vec())) {
            account.duplicate += 1;
            return Ok(());
        }
        let count = match kept(&mut self.snapshot, event)? {
            Kept::Here => &mut account.applied,
            Kept::Erased => &mut account.erased,
            Kept::Missing => &mut account.missing,
            Kept::Touch { unit, by } => {
                let state = self.snapshot.owner_of(StageName::Attributor.log().stage, unit.as_bytes())?;
                match find_touch(state, (&unit, &by), (event.time_ms, &event.event_id), self.pipeline.plan())? {
                    KeptTouch::Here => &mut account.applied,
                    KeptTouch::Dropped => &mut account.dropped,
                    KeptTouch::Missing => &mut account.missing,
                }
            }
        };
        *count += 1;
        Ok(())
    }
}
