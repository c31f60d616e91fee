//! What became of every raw record.
//!
//! A running service continues during the audit, so the order of reading matters: first ingest's position, then the states, then the
//! inboxes behind them, and last the other outputs of ingest. Everything that ingest had read at first is then in the states or behind
//! them.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use tributary_attributor::plan::Plan;
use tributary_attributor::read::{Kept as KeptTouch, find_touch};
use tributary_identity::read::{Kept, kept};
use tributary_ingest::Decoded;
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::{Pipeline, StageName};
use tributary_proto::{Event, Hash128, Message, Spend};
use tributary_runtime::embedded::{Cause, EmbeddedLog};
use tributary_runtime::state::{RocksStore, Snapshot, StateError, StoreBudget};
use tributary_runtime::topic::Topic;

use super::lookup::Lookup;
use super::tail::{self, Behind, Tail};
use crate::ask::{self, Places};
use crate::dead_letters::{raw_topic, visit};
use crate::progress::Progress;
use crate::source::{self, EmbeddedReader, Found, Next, TopicReader, WAIT};

/// Events that are looked up together.
const TOGETHER: usize = 5_000;
/// Memory for reading the offsets of stores, bytes.
const READ_CACHE_BYTES: usize = 1 << 20;
/// Most records that are listed.
const PLACES_MAX: usize = 100;

/// What became of the records in one partition of a raw topic. All numbers but the first three count events and refusals, of which a record
/// can have several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Records that still exist.
    pub records: u64,
    /// Records that the embedded log has dropped because they were processed and old (`topics.raw_retention_days`).
    pub expired: u64,
    /// Records that the embedded log has dropped because they named an erased identifier. Each counts as one in `erased`.
    pub forgotten: u64,
    /// The content of all records: the sum of the following numbers.
    pub produced: u64,
    /// Events in the state, and records of spend in their topic.
    pub applied: u64,
    /// Exact copies of earlier events.
    pub duplicate: u64,
    /// Refusals that are in the dead letters.
    pub dead: u64,
    /// Events that an erasure has voided, and records dropped because of one.
    pub erased: u64,
    /// Touches that are not in the state because they are too old to matter (`attribution.horizon_days`).
    pub dropped: u64,
    /// Events that are still in the inboxes, after the offsets of the states.
    pub newer: u64,
    /// Content of records that ingest has not read yet.
    pub waiting: u64,
    /// Events missing in the state, and refusals missing in the dead letters.
    pub missing: u64,
    /// Dead letters that exist twice, or should not exist.
    pub surplus: u64,
}

impl Account {
    /// Whether nothing is missing or surplus.
    pub fn is_balanced(&self) -> bool {
        self.missing == 0 && self.surplus == 0 && self.sums()
    }

    /// Whether the numbers add up to what was produced.
    pub fn sums(&self) -> bool {
        self.produced + self.surplus == self.outcomes().iter().map(|(_, count)| count).sum::<u64>()
    }

    /// The numbers that make up what was produced, by name.
    pub fn outcomes(&self) -> [(&'static str, u64); 9] {
        let Self { applied, duplicate, dead, erased, dropped, newer, waiting, missing, surplus, .. } = *self;
        [
            ("applied", applied),
            ("duplicate", duplicate),
            ("dead", dead),
            ("erased", erased),
            ("dropped", dropped),
            ("newer", newer),
            ("waiting", waiting),
            ("missing", missing),
            ("surplus", surplus),
        ]
    }
}

/// The position of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Its topic.
    pub topic: &'static str,
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
}

/// The numbers for all partitions of raw topics.
#[derive(Debug, Default)]
pub struct Records {
    /// By topic and partition.
    pub accounts: BTreeMap<(Topic, u32), Account>,
    /// The first records with something missing or surplus.
    pub wrong: Vec<Place>,
}

impl Records {
    fn note(&mut self, (topic, partition, offset): (Topic, u32, u64)) {
        let place = Place { topic: topic.name(), partition, offset };
        // Events of one record are consecutive.
        if self.wrong.len() < 2 * PLACES_MAX && self.wrong.last() != Some(&place) {
            self.wrong.push(place);
        }
    }
}

/// By raw topic, partition and offset, the positions of refused events in the record.
type Refused = BTreeMap<(Topic, u32, u64), Vec<u32>>;

/// The states, and the records after their offsets.
struct Seen {
    /// The offsets of the ingest stage.
    committed: BTreeMap<(Topic, u32), u64>,
    lookup: Lookup,
    tail: Tail,
}

impl Seen {
    fn of(settings: &Settings) -> anyhow::Result<Self> {
        if settings.kafka.is_embedded() {
            // All of it is as of one moment.
            let log = ask::open_log(settings)?;
            let committed = source::committed_of_log(&log, &StageName::Ingest.log())?;
            return Ok(Self { committed, tail: Tail::of_log(&log)?, lookup: Lookup::near(log.states()) });
        }
        let committed = source::committed(settings, StageName::Ingest.log())?;
        let Places { partitions, places, .. } = Places::find(settings);
        let behind = behind(&places)?;
        let identity = StageName::Identity.log().stage;
        let on_disk =
            places.iter().filter(|((stage, _), place)| *stage == identity && matches!(place, ask::Place::Disk { .. }));
        let disk = on_disk.map(|((_, partition), _)| *partition).collect();
        let tail = Tail::of_kafka(settings, &behind, &disk)?;
        Ok(Self { committed, tail, lookup: Lookup::far(partitions, &places) })
    }
}

/// The offsets from which records are newer than the states. States that cannot be read are an error.
fn behind(places: &BTreeMap<ask::PartitionOf, ask::Place>) -> anyhow::Result<Behind> {
    let absent: Vec<&str> = places.values().filter_map(ask::Place::absent).collect();
    if !absent.is_empty() {
        anyhow::bail!("{} of {} states cannot be read:\n  {}", absent.len(), places.len(), absent.join("\n  "));
    }
    let budget = StoreBudget::new(READ_CACHE_BYTES);
    let mut behind = Behind::new();
    for ((stage, partition), place) in places {
        let inputs = match place {
            ask::Place::Process { inputs, .. } => inputs.clone(),
            ask::Place::Disk { path, .. } => RocksStore::open_read_only(path, &budget)?.inputs()?.unwrap_or_default(),
            ask::Place::Nowhere { .. } => continue,
        };
        for topic in ask::stage_of(stage).map_or(&[][..], |stage| stage.log().inputs) {
            behind.insert((*topic, *partition), inputs.next.get(topic).copied());
        }
    }
    Ok(behind)
}

/// An event that is still to be looked up.
struct Pending {
    event: Event,
    place: (Topic, u32, u64),
}

/// What the states contain of an event.
enum Outcome {
    Applied,
    Erased,
    Dropped,
    /// Nothing. For a touch that identity has stored, the identifier that brought it.
    Absent(Option<[u8; 16]>),
}

struct Auditor<'a> {
    pipeline: &'a Pipeline,
    states: Seen,
    refused: Refused,
    /// Hashes of the keys in the spend topic.
    spends: HashSet<Hash128>,
    seen: HashSet<Hash128>,
    pending: Vec<Pending>,
    found: Records,
    decoded: Decoded,
}

/// Reads all raw records, and looks up what became of each.
///
/// # Errors
/// When a topic or a state cannot be read.
pub fn records(settings: &Settings, pipeline: &Pipeline) -> anyhow::Result<Records> {
    let mut auditor = Auditor {
        pipeline,
        states: Seen::of(settings)?,
        refused: refused(settings)?,
        spends: spends(settings)?,
        seen: HashSet::new(),
        pending: Vec::new(),
        found: Records::default(),
        decoded: Decoded::default(),
    };
    let mut progress = Progress::new("records", None);
    for topic in Topic::RAW {
        let mut hear = |auditor: &mut Auditor<'_>, found: Found| {
            progress.add(1);
            auditor.record(topic, &found);
            if auditor.pending.len() >= TOGETHER { auditor.look_up() } else { Ok(()) }
        };
        if settings.kafka.is_embedded() {
            // The numbers of dropped records must be as of the moment when the records are read.
            let log = ask::open_log(settings)?;
            let mut reader = EmbeddedReader::new(log.clone(), topic, true);
            while let Next::Record(found) = reader.next(WAIT)? {
                hear(&mut auditor, found)?;
            }
            auditor.gone(&log, topic)?;
        } else {
            source::each(settings, topic, &mut |found| hear(&mut auditor, found))?;
        }
    }
    auditor.look_up()?;
    auditor.found.wrong.sort();
    auditor.found.wrong.truncate(PLACES_MAX);
    Ok(auditor.found)
}

/// The refusals of ingest, from the dead letters; on the embedded log also from those that were dropped.
fn refused(settings: &Settings) -> anyhow::Result<Refused> {
    let mut refused = Refused::new();
    if settings.kafka.is_embedded() {
        for (topic, partition, offset, index) in ask::open_log(settings)?.dropped_letters()? {
            refused.entry((topic, partition, offset)).or_default().push(index);
        }
    }
    visit(settings, &mut |_, letter| {
        let place = u32::try_from(letter.partition).ok().zip(u64::try_from(letter.offset).ok());
        if let (Some(topic), Some((partition, offset))) = (raw_topic(&letter), place) {
            refused.entry((topic, partition, offset)).or_default().push(letter.index);
        }
        Ok(())
    })?;
    Ok(refused)
}

/// The content of the spend topic.
fn spends(settings: &Settings) -> anyhow::Result<HashSet<Hash128>> {
    let mut spends = HashSet::new();
    source::each(settings, Topic::Spend, &mut |found| {
        spends.insert(Hash128::of(&found.key));
        Ok(())
    })?;
    Ok(spends)
}

impl Auditor<'_> {
    /// Offsets in an embedded log are consecutive: a missing one was dropped or lost.
    fn gone(&mut self, log: &EmbeddedLog, topic: Topic) -> anyhow::Result<()> {
        for partition in 0..log.partitions() {
            let end = log.end(topic, partition);
            let dropped = log.dropped(topic, partition)?;
            let of = |cause| dropped.get(&cause).copied().unwrap_or(0);
            let (expired, forgotten) = (of(Cause::Retention), of(Cause::Erasure));
            if end == 0 {
                continue;
            }
            let account = self.found.accounts.entry((topic, partition)).or_default();
            (account.expired, account.forgotten) = (expired, forgotten);
            let lost = end.saturating_sub(account.records + expired + forgotten);
            account.produced += forgotten + lost;
            account.erased += forgotten;
            account.missing += lost;
        }
        Ok(())
    }

    fn record(&mut self, topic: Topic, found: &Found) {
        let Found { partition, offset, timestamp_ms, value, .. } = found;
        let place = (topic, *partition, *offset);
        let mut account = self.found.accounts.remove(&(topic, *partition)).unwrap_or_default();
        account.records += 1;
        let wrong_before = account.missing + account.surplus;
        if self.states.committed.get(&(topic, *partition)).is_none_or(|next| offset >= next) {
            account.produced += 1;
            account.waiting += 1;
        } else {
            let letters = self.refused.remove(&place).unwrap_or_default();
            let mut decoded = std::mem::take(&mut self.decoded);
            self.decode(topic, value.as_deref().unwrap_or_default(), *timestamp_ms, &mut decoded);
            self.refusals(&decoded, letters, &mut account);
            for event in decoded.events.drain(..) {
                account.produced += 1;
                if self.seen.insert(tail::hash(&event)) {
                    self.pending.push(Pending { event, place });
                } else {
                    account.duplicate += 1;
                }
            }
            for spend in &decoded.spends {
                self.spend(spend, &mut account);
            }
            self.decoded = decoded;
        }
        if account.missing + account.surplus > wrong_before {
            self.found.note(place);
        }
        self.found.accounts.insert((topic, *partition), account);
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

    /// A later record with the same id replaces a record of spend, so it can only be checked that the id exists.
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

    /// Looks up the pending events.
    fn look_up(&mut self) -> anyhow::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let plan = self.pipeline.plan();
        let outcomes = self.states.lookup.each(&pending, |snapshot, one| outcome(snapshot, &one.event, plan))?;
        for (one, outcome) in pending.iter().zip(outcomes) {
            let (topic, partition, _) = one.place;
            let account = self.found.accounts.entry((topic, partition)).or_default();
            match outcome {
                Outcome::Applied => account.applied += 1,
                Outcome::Erased => account.erased += 1,
                Outcome::Dropped => account.dropped += 1,
                Outcome::Absent(by) if self.states.tail.may_hold(&one.event, by.as_ref()) => account.newer += 1,
                Outcome::Absent(_) => {
                    account.missing += 1;
                    self.found.note(one.place);
                }
            }
        }
        Ok(())
    }
}

fn outcome(snapshot: &mut dyn Snapshot, event: &Event, plan: &Plan) -> Result<Outcome, StateError> {
    Ok(match kept(snapshot, event)? {
        Kept::Here => Outcome::Applied,
        Kept::Erased => Outcome::Erased,
        Kept::Missing => Outcome::Absent(None),
        Kept::Touch { unit, by } => {
            let state = snapshot.owner_of(StageName::Attributor.log().stage, unit.as_bytes())?;
            match find_touch(state, (&unit, &by), (event.time_ms, &event.event_id), plan)? {
                KeptTouch::Here => Outcome::Applied,
                KeptTouch::Dropped => Outcome::Dropped,
                KeptTouch::Missing => Outcome::Absent(Some(by)),
            }
        }
    })
}
