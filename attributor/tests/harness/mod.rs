//! Several partitions of the attributor, fed as identity feeds them, in any order that the log allows: what one partition sends to
//! another arrives in order, and nothing else is promised.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod identity;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tributary_attributor::plan::Plan;
use tributary_attributor::read::{self, Brought};
use tributary_attributor::settings::Settings;
use tributary_attributor::stage::AttributorStage;
use tributary_proto::attributor_message::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::*;
use tributary_runtime::stage::{Context, Outbox, PartitionSlice, Record, Stage};
use tributary_runtime::state::{ActorKey, Base, Overlay, StateError};
use tributary_runtime::topic::Topic;

pub use identity::Identity;

/// A row of the credit table with all its columns but revision and reason.
pub type Row = CreditUpdate;
/// (milestone, model, touch).
pub type RowKey = (String, String, String);

/// A store that holds nothing, and yet must receive every change.
struct NewStore;

impl Base for NewStore {
    fn get(&self, _: &ActorKey, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn scan(&self, _: &ActorKey, _: &[u8], _: &[u8], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        Ok(())
    }

    fn actors(&self, _: u8, _: Option<&ActorKey>, _: usize) -> Result<Vec<ActorKey>, StateError> {
        Ok(Vec::new())
    }
}

pub struct Partition {
    stage: AttributorStage,
    state: Overlay<NewStore>,
    outbox: Outbox,
}

/// Who sends: an identity partition or an attributor partition.
pub type Lane = (bool, u32, u32);
/// Key and value.
type Keyed = (Vec<u8>, Vec<u8>);

pub struct World {
    pub settings: Settings,
    pub plan: Arc<Plan>,
    partitions: Vec<Partition>,
    lanes: BTreeMap<Lane, VecDeque<Keyed>>,
    pub identity: Identity,
    pub updates: Vec<CreditUpdate>,
    /// The rows of touches, without what ends them.
    pub rows: Vec<TouchpointRow>,
    pub counts: BTreeMap<(&'static str, &'static str), u64>,
    random: u64,
    /// What the changelog holds, compacted.
    stored: BTreeMap<(u32, Vec<u8>), Option<Vec<u8>>>,
}

impl World {
    pub fn new(settings: Settings, partitions: u32, seed: u64) -> Self {
        Self::resting(settings, partitions, seed, None)
    }

    /// With units that are throttled after a cost above this.
    pub fn resting(settings: Settings, partitions: u32, seed: u64, rest_after: Option<u64>) -> Self {
        let mut plan = Plan::compile(&settings, &Kinds::default()).unwrap();
        plan.rest_after = rest_after.unwrap_or(plan.rest_after);
        let plan = Arc::new(plan);
        let partition = |partition| Partition {
            stage: AttributorStage::new(Arc::clone(&plan), PartitionSlice { partition, partitions }),
            state: Overlay::new(NewStore),
            outbox: Outbox::default(),
        };
        Self {
            partitions: (0..partitions).map(partition).collect(),
            settings,
            plan: Arc::clone(&plan),
            lanes: BTreeMap::new(),
            identity: Identity::default(),
            updates: Vec::new(),
            rows: Vec::new(),
            counts: BTreeMap::new(),
            random: seed,
            stored: BTreeMap::new(),
        }
    }

    /// A restart with other settings, over the same state.
    pub fn replan(&mut self, settings: Settings) {
        self.replan_as(settings, 0).unwrap();
    }

    /// The same, with settings of a generation.
    pub fn replan_as(&mut self, settings: Settings, generation: u64) -> Result<(), StateError> {
        let mut plan = Plan::compile(&settings, &Kinds::default()).unwrap();
        plan.rest_after = self.plan.rest_after;
        self.plan = Arc::new(plan);
        self.settings = settings;
        let partitions = self.count();
        for at in 0..partitions {
            let plan = Arc::clone(&self.plan);
            let stage = AttributorStage::new(plan, PartitionSlice { partition: at, partitions }).of_generation(generation);
            self.partitions[at as usize].stage = stage;
            self.begin(at)?;
        }
        Ok(())
    }

    /// How far a partition is with changed settings.
    pub fn remodelled(&self, at: u32) -> Option<u32> {
        self.partitions[at as usize].stage.remodelled()
    }

    /// Somebody takes a partition over, who begins.
    pub fn take_over(&mut self, at: u32) {
        self.begin(at).unwrap();
    }

    fn begin(&mut self, at: u32) -> Result<(), StateError> {
        let Partition { stage, state, outbox } = &mut self.partitions[at as usize];
        let begun = stage.begin(&mut Context { state, outbox });
        assert!(!state.is_dirty(), "the state must not be changed then");
        self.collect(at);
        begun
    }

    /// Another order of what comes.
    pub fn reseed(&mut self, seed: u64) {
        self.random = seed;
    }

    /// splitmix64.
    pub fn below(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    fn count(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// Puts the messages that identity has sent since the last call into the queues.
    pub fn take_identity(&mut self) {
        let count = self.count();
        for (sender, unit, body) in std::mem::take(&mut self.identity.said) {
            let from = partition::of(sender.as_bytes(), count);
            let to = partition::of(unit.as_bytes(), count);
            let value = AttributorMessage { body: Some(body) }.encode_to_vec();
            self.lanes.entry((true, from, to)).or_default().push_back((unit.into_bytes(), value));
        }
    }

    /// The lanes on which something waits.
    pub fn waiting(&self) -> Vec<Lane> {
        self.lanes.iter().filter(|(_, queue)| !queue.is_empty()).map(|(lane, _)| *lane).collect()
    }

    /// What an identifier has brought to a unit.
    pub fn brought(&mut self, unit: &str, name: &str) -> Brought {
        let at = partition::of(unit.as_bytes(), self.count()) as usize;
        let hash: [u8; 16] = hash(name).try_into().unwrap();
        read::brought(&mut self.partitions[at].state, unit, &hash).unwrap()
    }

    /// Delivers one record from a random lane; false when there is none.
    pub fn step(&mut self) -> bool {
        let waiting = self.waiting();
        if waiting.is_empty() {
            return false;
        }
        let lane = waiting[self.below(waiting.len())];
        self.deliver(lane);
        true
    }

    /// Delivers one record to a partition: of identity, or of the attributor.
    pub fn step_of(&mut self, partition: u32, of_identity: bool) {
        let waits = |lane: &&Lane| (lane.0, lane.2) == (of_identity, partition) && !self.lanes[*lane].is_empty();
        let lane = *self.lanes.keys().find(waits).unwrap();
        self.deliver(lane);
    }

    /// Delivers the next record of a lane.
    pub fn deliver(&mut self, lane: Lane) {
        let (key, value) = self.lanes.get_mut(&lane).unwrap().pop_front().unwrap();
        assert!(value.len() <= 256 * 1024, "a message of {} bytes", value.len());
        let partition = &mut self.partitions[lane.2 as usize];
        let record =
            Record { topic: Topic::AttributorInbox, partition: lane.2, offset: 0, timestamp_ms: 0, key: &key, value: &value };
        let mut context = Context { state: &mut partition.state, outbox: &mut partition.outbox };
        partition.stage.handle(&record, &mut context).unwrap();
        self.collect(lane.2);
    }

    pub fn end_batch(&mut self, at: u32) {
        let partition = &mut self.partitions[at as usize];
        let mut context = Context { state: &mut partition.state, outbox: &mut partition.outbox };
        partition.stage.end_batch(&mut context).unwrap();
        for write in partition.state.writes() {
            self.stored.insert((at, write.key), write.value);
        }
        partition.state.settle(usize::MAX);
        self.collect(at);
    }

    fn collect(&mut self, from: u32) {
        let outbox = std::mem::take(&mut self.partitions[from as usize].outbox);
        assert!(outbox.rejections.is_empty());
        for (metric, label, value) in outbox.observations.counts() {
            *self.counts.entry((metric.name, label)).or_default() += value;
        }
        for output in outbox.outputs {
            match output.topic {
                Topic::Credits => {
                    let update = CreditUpdate::decode(output.value.unwrap().as_slice()).unwrap();
                    assert_eq!(update.milestone_id.as_bytes(), output.key);
                    self.updates.push(update);
                }
                Topic::AttributorInbox => {
                    let to = partition::of(&output.key, self.count());
                    let value = output.value.unwrap();
                    let body = AttributorMessage::decode(value.as_slice()).unwrap().body;
                    assert!(
                        to != from || matches!(body, Some(Body::ResumeUnit(_) | Body::Remodel(_))),
                        "mail to the own partition needs no log"
                    );
                    self.lanes.entry((false, from, to)).or_default().push_back((output.key, value));
                }
                Topic::Touchpoints => self.rows.extend(output.value.map(|row| TouchpointRow::decode(row.as_slice()).unwrap())),
                // Its other messages are for other stages.
                _ => {}
            }
        }
    }

    /// Delivers everything, batches ending at random.
    pub fn drain(&mut self) {
        self.take_identity();
        loop {
            while self.step() {
                if self.below(4) == 0 {
                    let at = self.below(self.partitions.len());
                    self.end_batch(at as u32);
                }
            }
            for at in 0..self.count() {
                self.end_batch(at);
            }
            if self.lanes.values().all(VecDeque::is_empty) {
                break;
            }
        }
    }

    /// Whether any value of the state holds these bytes.
    pub fn holds(&mut self, bytes: &[u8]) -> bool {
        let stored = self.stored.values().flatten();
        stored.into_iter().any(|value| value.windows(bytes.len()).any(|window| window == bytes))
    }

    /// The latest rows; panics where an update does not follow from the one before.
    pub fn table(&self) -> BTreeMap<RowKey, Row> {
        let mut table: BTreeMap<RowKey, Row> = BTreeMap::new();
        let mut revisions: BTreeMap<(String, String), u64> = BTreeMap::new();
        for update in &self.updates {
            let key = (update.milestone_id.clone(), update.model.clone(), update.touch_id.clone());
            let (weight, value) = table.get(&key).map_or((0, 0), |row| (row.weight_nano, row.value_minor));
            assert_eq!(update.weight_nano - weight, update.delta_weight_nano, "{key:?}");
            assert_eq!(update.value_minor - value, update.delta_value_minor, "{key:?}");
            let revision = revisions.entry((key.0.clone(), key.1.clone())).or_default();
            assert!(update.revision == *revision || update.revision == *revision + 1, "{key:?}");
            *revision = update.revision;
            if update.weight_nano == 0 {
                assert!(table.remove(&key).is_some(), "a retraction of nothing: {key:?}");
            } else {
                let row = Row { delta_weight_nano: 0, delta_value_minor: 0, revision: 0, reason: 0, ..update.clone() };
                assert!(table.get(&key) != Some(&row), "an update that says nothing new: {key:?}");
                table.insert(key, row);
            }
        }
        assert_eq!(faces(&self.updates, true), faces(table.values(), false), "deltas and latest rows differ by what rows show");
        let imbalance = self.counts.get(&("tributary_ledger_imbalance_total", ""));
        assert!(imbalance.is_none_or(|count| *count == 0), "the ledgers are out of balance");
        table
    }

    /// Delivers everything and returns the table.
    pub fn settled(&mut self) -> BTreeMap<RowKey, Row> {
        self.drain();
        self.table()
    }
}

/// Weights and values by everything that a row shows, of deltas or of rows; sums of nothing are left out. Where these are equal, sums by
/// any column are.
fn faces<'a>(rows: impl IntoIterator<Item = &'a Row>, deltas: bool) -> BTreeMap<String, (i64, i64)> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in rows {
        let (weight, value) =
            if deltas { (row.delta_weight_nano, row.delta_value_minor) } else { (row.weight_nano, row.value_minor) };
        let mut face = Row { model_version: String::new(), revision: 0, reason: 0, ..row.clone() };
        (face.weight_nano, face.value_minor, face.delta_weight_nano, face.delta_value_minor) = (0, 0, 0, 0);
        let sum = sums.entry(format!("{face:?}")).or_default();
        *sum = (sum.0 + weight, sum.1 + value);
    }
    sums.retain(|_, sum| *sum != (0, 0));
    sums
}

pub fn identifier(name: &str) -> Identifier {
    Identifier::new("user_id", "", name)
}

pub fn hash(name: &str) -> Vec<u8> {
    identifier(name).hash().to_bytes().to_vec()
}

pub fn touch(event_id: &str, time_ms: i64, channel: &str) -> StoredTouch {
    let touch = Touch { channel: channel.into(), source: "s".into(), identified: true, ..Touch::default() };
    StoredTouch { event_id: event_id.into(), time_ms, touch: Some(touch), ..StoredTouch::default() }
}

pub fn milestone(kind: &str, object_id: &str, time_ms: i64, value_minor: i64) -> Milestone {
    Milestone {
        milestone_id: format!("{kind}:{object_id}"),
        kind: kind.into(),
        object_id: object_id.into(),
        time_ms,
        value_minor,
        currency: "EUR".into(),
        withdrawn: false,
        public: false,
        ..Milestone::default()
    }
}
