//! Rebalances: partitions arrive with their committed offsets, wait for their state, and leave at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use super::ASK;
use super::context::Rebalance;
use super::failure::{Remedy, remedy};
use super::metrics;
use super::partitions::direct_in;
use super::restore::{Restorer, Step};
use super::session::KafkaSession;
use crate::exactly_once::{Inputs, Owned, Phase};
use crate::log::{Batch, LogError};
use crate::state::{RocksStore, StoreError, store_folder};
use crate::topic::Topic;

/// Wait before a store that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(5);
/// How long other partitions wait for one that nobody has worked on yet, should its state not open at once.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);
/// Longest time for restoring per poll.
const RESTORE_SLICE: Duration = Duration::from_millis(200);

impl KafkaSession {
    /// Carries out rebalances, and a slice of restoring.
    pub(super) fn settle(&mut self, batch: &mut Batch) -> Result<(), LogError> {
        self.settle_rebalances(batch)?;
        let begun = Instant::now();
        loop {
            let waiting = self.owned.restoring();
            self.restore_slice()?;
            if self.owned.restoring() == waiting || begun.elapsed() >= RESTORE_SLICE {
                return Ok(());
            }
        }
    }

    /// Whether partitions wait that nobody has worked on yet: they have no state to wait for. The others wait for them, so that the worker
    /// begins with all, and sends its first messages directly.
    pub(super) fn begins(&self) -> bool {
        let new = |(partition, owned): (u32, &Owned<RocksStore>)| {
            let given_now = self.since.get(&partition).is_some_and(|since| since.elapsed() < BEGINS_WITHIN);
            let opens = given_now && !self.unopened.contains_key(&partition);
            opens && owned.phase == Phase::Restoring && owned.committed.next.is_empty()
        };
        self.owned.iter().any(new)
    }

    pub(super) fn settle_rebalances(&mut self, batch: &mut Batch) -> Result<(), LogError> {
        while let Some(rebalance) = self.consumer()?.context().front() {
            let done = match &rebalance {
                Rebalance::Assign(places) => self.assign(places)?,
                Rebalance::Revoke(places) => self.revoke(places, batch)?,
            };
            if !done {
                break;
            }
            self.consumer()?.context().pop();
        }
        Ok(())
    }

    /// Takes over assigned partitions; false if the brokers have not answered about their offsets yet.
    fn assign(&mut self, places: &[(String, i32)]) -> Result<bool, LogError> {
        let partitions = self.whole_partitions(places)?;
        self.note_places(places, true);
        let Some(committed) = self.committed(&partitions)? else { return Ok(false) };
        let list = self.start_of(&committed)?;
        let consumer = self.consumer()?;
        let assigned = consumer.context().assign(consumer, &list);
        assigned.map_err(|error| LogError::recover("taking over partitions", error))?;
        self.prepare(&committed, &list)?;
        self.show_begun(committed.keys().copied());
        self.owned.begin(committed);
        self.membership.given();
        self.pause_stopped(partitions)?;
        self.count_restoring();
        Ok(true)
    }

    /// The committed offsets; `None` if there is no answer yet. Waits for transactions that are being committed.
    pub(super) fn committed(&mut self, partitions: &BTreeSet<u32>) -> Result<Option<BTreeMap<u32, Inputs>>, LogError> {
        const OPERATION: &str = "reading committed offsets";
        if partitions.is_empty() {
            return Ok(Some(BTreeMap::new()));
        }
        if self.options.reach.is_away() {
            self.assigning_since = None;
            return Ok(None);
        }
        let list = self.places(partitions.iter().copied(), |_, _| Offset::Invalid)?;
        let answer = self.consumer()?.committed_offsets(list, ASK).and_then(|list| {
            list.elements().iter().try_for_each(|element| element.error())?;
            Ok(list)
        });
        let list = match answer {
            Ok(list) => list,
            Err(error) => return self.no_answer(OPERATION, &error).map(|()| None),
        };
        self.assigning_since = None;
        let mut committed: BTreeMap<u32, Inputs> = partitions.iter().map(|partition| (*partition, Inputs::default())).collect();
        for element in list.elements() {
            let topic = self.inputs.iter().find(|(_, name)| name == element.topic()).map(|(topic, _)| *topic);
            let (Some(topic), Offset::Offset(next)) = (topic, element.offset()) else { continue };
            let (Ok(partition), Ok(next)) = (u32::try_from(element.partition()), u64::try_from(next)) else { continue };
            self.check_spread(element.metadata())?;
            if let Some(inputs) = committed.get_mut(&partition) {
                inputs.next.insert(topic, next);
                inputs.direct = direct_in(element.metadata());
            }
        }
        Ok(Some(committed))
    }

    fn no_answer(&mut self, operation: &'static str, error: &KafkaError) -> Result<(), LogError> {
        let since = *self.assigning_since.get_or_insert_with(Instant::now);
        let waited = since.elapsed().as_millis() > u128::from(self.options.recover_timeout_ms);
        match remedy(error) {
            Remedy::Stop(advice) => Err(LogError::stop(operation, format!("{error}: {advice}"))),
            _ if waited => {
                let why =
                    "if the brokers can be reached, a transaction that was never ended holds them; look for a hanging one";
                Err(LogError::stop(operation, format!("no answer in time: {error}; {why}")))
            }
            _ => {
                tracing::warn!(stage = self.log.stage, %error, "no answer about committed offsets yet");
                Ok(())
            }
        }
    }

    /// The starting offsets of partitions: the committed ones, or the beginning if nothing was ever committed.
    pub(super) fn start_of(&self, committed: &BTreeMap<u32, Inputs>) -> Result<TopicPartitionList, LogError> {
        self.places(committed.keys().copied(), |partition, topic| {
            let next = committed.get(&partition).and_then(|inputs| inputs.next.get(&topic));
            next.and_then(|next| i64::try_from(*next).ok()).map_or(Offset::Beginning, Offset::Offset)
        })
    }

    /// Prepares partitions before they start at their committed offsets: those with state are paused until it is restored.
    pub(super) fn prepare(&mut self, committed: &BTreeMap<u32, Inputs>, list: &TopicPartitionList) -> Result<(), LogError> {
        if self.log.changelog.is_some() {
            self.consumer()?.pause(list).map_err(|error| LogError::recover("taking over partitions", error))?;
        }
        let now = Instant::now();
        self.since.extend(committed.keys().map(|partition| (*partition, now)));
        Ok(())
    }

    /// Gives up revoked partitions: removes their records from the batch, and closes their state.
    fn revoke(&mut self, places: &[(String, i32)], batch: &mut Batch) -> Result<bool, LogError> {
        let mut list = TopicPartitionList::new();
        for (name, number) in places {
            list.add_partition(name, *number);
        }
        let partitions: BTreeSet<u32> = places.iter().filter_map(|(_, number)| u32::try_from(*number).ok()).collect();
        for partition in partitions {
            batch.drop_partition(partition);
            self.drop_owned(partition);
        }
        self.note_places(places, false);
        let consumer = self.consumer()?;
        let lost = consumer.assignment_lost();
        let revoked = consumer.context().unassign(consumer, &list);
        revoked.map_err(|error| LogError::recover("giving partitions back", error))?;
        self.membership.taken(lost);
        self.count_restoring();
        Ok(true)
    }

    /// Publishes which partitions have started; those with state are being restored.
    pub(super) fn show_begun(&self, partitions: impl Iterator<Item = u32>) {
        let (worker, holdings) = (self.worker(), &self.options.holdings);
        for partition in partitions {
            match self.log.changelog {
                Some(_) => holdings.restoring(worker, partition),
                None => holdings.ready(worker, partition, None),
            }
        }
    }

    /// The stage, and the number among its workers in this process.
    pub(super) fn worker(&self) -> (&'static str, u32) {
        (self.log.stage, self.options.worker)
    }

    pub(super) fn drop_owned(&mut self, partition: u32) {
        self.options.holdings.gone(self.worker(), partition);
        self.owned.release(partition);
        self.unopened.remove(&partition);
        self.forget_lag(partition);
        if let Some(restorer) = &mut self.restorer {
            restorer.cancel(partition);
        }
    }

    pub(super) fn count_restoring(&self) {
        metrics::restoring(self.log.stage, self.owned.restoring());
    }

    /// Restores a slice of the first partition that waits for its state.
    fn restore_slice(&mut self) -> Result<(), LogError> {
        let (Some(partition), Some(changelog)) = (self.to_restore(), self.log.changelog) else { return Ok(()) };
        if self.restorer.as_ref().is_none_or(|restorer| restorer.partition() != Some(partition)) {
            let Some(store) = self.open_store(partition)? else { return Ok(()) };
            self.start_restore(partition, changelog, store)?;
        }
        let Some(restorer) = &mut self.restorer else { return Ok(()) };
        match restorer.step(RESTORE_SLICE)? {
            Step::Going => Ok(()),
            Step::Ahead => {
                let one = BTreeSet::from([partition]);
                let Some(mut committed) = self.committed(&one)? else { return Ok(()) };
                let inputs = committed.remove(&partition).unwrap_or_default();
                if let Some(restorer) = &mut self.restorer {
                    restorer.expect(inputs.clone());
                }
                self.owned.expect(partition, inputs);
                Ok(())
            }
            Step::Done(store) => self.ready(partition, store),
        }
    }

    /// The partition being restored, or the next one that waits. Those whose store cannot be opened are tried again after a while.
    pub(super) fn to_restore(&self) -> Option<u32> {
        let rests = |partition: &u32| self.unopened.get(partition).is_some_and(|(at, _)| at.elapsed() < OPEN_AGAIN);
        let begun = self.restorer.as_ref().and_then(Restorer::partition);
        let waits = |partition: &u32| self.owned.get(*partition).is_some_and(|owned| owned.phase == Phase::Restoring);
        begun.filter(waits).or_else(|| self.owned.partitions().find(|partition| waits(partition) && !rests(partition)))
    }

    fn start_restore(&mut self, partition: u32, changelog: Topic, store: RocksStore) -> Result<(), LogError> {
        let committed = self.owned.get(partition).map(|owned| owned.committed.clone()).unwrap_or_default();
        let restorer = match self.restorer.take() {
            Some(restorer) => restorer,
            None => Restorer::new(&self.options, &self.log, changelog)?,
        };
        self.restorer.insert(restorer).start(partition, store, committed)
    }

    /// Opens the state. `None` while another process still holds the folder (its former owner may, for a moment), and while it cannot be
    /// opened: failing and rejoining would disturb the whole group again and again.
    fn open_store(&mut self, partition: u32) -> Result<Option<RocksStore>, LogError> {
        let path = store_folder(&self.options.state_path, self.log.stage, partition);
        let since = self.since.get(&partition).copied().unwrap_or_else(Instant::now);
        let Some(owned) = self.owned.get_mut(partition) else { return Ok(None) };
        match RocksStore::open(&path, &self.options.budget) {
            Ok(store) => {
                self.unopened.remove(&partition);
                Ok(Some(owned.store.insert(store).clone()))
            }
            Err(StoreError::Locked { .. }) if since.elapsed().as_millis() < u128::from(self.options.restore_timeout_ms) => {
                Ok(None)
            }
            Err(error) => match LogError::of_store("opening the state", error) {
                LogError::Stop { why, .. } => {
                    self.hold_unopened(partition, why);
                    Ok(None)
                }
                recover => Err(recover),
            },
        }
    }

    fn hold_unopened(&mut self, partition: u32, why: String) {
        if self.unopened.get(&partition).is_none_or(|(_, known)| *known != why) {
            let stage = self.log.stage;
            tracing::error!(stage, partition, "the partition waits, the others continue: its state cannot be opened: {why}");
        }
        self.unopened.insert(partition, (Instant::now(), why));
    }

    /// Starts a partition at its committed offsets.
    fn ready(&mut self, partition: u32, store: RocksStore) -> Result<(), LogError> {
        let shown = store.clone();
        let Some(start) = self.owned.ready(partition, store) else { return Ok(()) };
        let list = self.start_of(&BTreeMap::from([(partition, start)]))?;
        self.seek(list.clone())?;
        self.since.insert(partition, Instant::now());
        self.consumer()?.resume(&list).map_err(|error| LogError::recover("resuming a partition", error))?;
        self.pause_stopped([partition])?;
        self.options.holdings.ready(self.worker(), partition, Some(shown));
        self.count_restoring();
        Ok(())
    }

    /// Seeks partitions; fetched records are dropped.
    pub(super) fn seek(&self, list: TopicPartitionList) -> Result<(), LogError> {
        let sought = self.consumer()?.seek_partitions(list, ASK);
        let done = sought.and_then(|list| list.elements().iter().try_for_each(|element| element.error()));
        done.map_err(|error| self.seek_failed(&error))
    }
}
