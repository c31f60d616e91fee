//! A cluster in memory: topics, transactions and groups, as Kafka's protocol defines them.
//!
//! - A transaction is open from its first record to the markers that end it, which reach its partitions and its offsets one by one.
//! - Readers see committed records below the last stable offset. Markers and aborted records have offsets too.
//! - A producer with a transactional id has an epoch. A new producer ends the old one's open transaction, and the old one is fenced.
//! - Offsets are committed by transactions, in the name of a member of the group; those of a former member are refused.
//!
//! ```
//! use tributary_runtime::topic::Topic;
//! use tributary_simulator::cluster::{Cluster, Entry};
//!
//! let mut cluster = Cluster::new(&[(Topic::Credits, 1)]);
//! let epoch = cluster.init_producer("a").unwrap();
//! cluster.produce("a", epoch, Topic::Credits, 0, Entry::new(b"k".to_vec(), None, 0, 0)).unwrap();
//! assert_eq!(cluster.committed(Topic::Credits, 0, 0).count(), 0);
//! cluster.end("a", epoch, true).unwrap();
//! while cluster.settle_one(0) {}
//! assert_eq!(cluster.committed(Topic::Credits, 0, 0).count(), 1);
//! ```

mod groups;
mod partition;

use std::collections::BTreeMap;

use tributary_runtime::topic::Topic;

pub use groups::{Committed, Group, Rebalance, Unsettled};
pub use partition::{Entry, Partition};

/// Why the cluster refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The producer's epoch is not the current one.
    Fenced,
    /// The former transaction is still being ended.
    Busy,
    /// Who commits is not a member of the group any more.
    NotAMember,
}

/// A record of an input, as a stage was given it: stage, topic, partition, offset.
pub type Handed = (&'static str, Topic, u32, u64);

/// A record of an output, with its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The topic.
    pub topic: Topic,
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// The outputs of which is remembered which transaction has written what.
const REMEMBERED: [Topic; 5] = crate::outputs::Outputs::TOPICS;

/// Where a mark has to go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Partition(Topic, u32),
    Offset(&'static str, Topic, u32, Committed),
}

#[derive(Debug, Default)]
struct Producer {
    epoch: u64,
    transaction: Option<Open>,
}

/// A transaction that is open, or being ended.
#[derive(Debug)]
struct Open {
    number: u64,
    began_ms: u64,
    places: Vec<Place>,
    /// What was read for it: of this the cluster knows nothing, and the simulation everything.
    handed: Vec<Handed>,
    /// How it ends; `None` while it is open.
    commits: Option<bool>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cluster {
    topics: BTreeMap<Topic, Vec<Partition>>,
    producers: BTreeMap<String, Producer>,
    groups: BTreeMap<&'static str, Group>,
    transactions: u64,
    /// Milliseconds that have passed.
    pub now_ms: u64,
    /// How often each record of an input was processed by a transaction that committed.
    pub processed: BTreeMap<Handed, u32>,
    /// What every transaction that committed has written of profiles, accounts and credits, in the order in which they committed: a key's
    /// records in their order, for a key has one partition.
    pub said: Vec<Vec<Said>>,
}

impl Cluster {
    /// A cluster with these topics.
    pub fn new(topics: &[(Topic, u32)]) -> Self {
        let partitions = |count: u32| (0..count).map(|_| Partition::default()).collect();
        Self { topics: topics.iter().map(|(topic, count)| (*topic, partitions(*count))).collect(), ..Self::default() }
    }

    /// The number of partitions of a topic.
    pub fn partitions(&self, topic: Topic) -> u32 {
        self.topics.get(&topic).map_or(0, |partitions| partitions.len() as u32)
    }

    /// Makes the group of a stage.
    pub fn add_group(&mut self, stage: &'static str, partitions: u32) {
        self.groups.insert(stage, Group::new(partitions));
    }

    /// The group of a stage.
    pub fn group(&mut self, stage: &'static str) -> &mut Group {
        self.groups.entry(stage).or_default()
    }

    fn partition(&mut self, topic: Topic, partition: u32) -> Option<&mut Partition> {
        self.topics.get_mut(&topic)?.get_mut(partition as usize)
    }

    /// Committed records of a partition from an offset on.
    pub fn committed(&self, topic: Topic, partition: u32, from: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let partition = self.topics.get(&topic).and_then(|partitions| partitions.get(partition as usize));
        partition.into_iter().flat_map(move |partition| partition.committed(from))
    }

    /// Appends a record without a transaction.
    pub fn append(&mut self, topic: Topic, partition: u32, entry: Entry) {
        if let Some(partition) = self.partition(topic, partition) {
            partition.append(entry, None);
        }
    }

    /// A producer takes a transactional id: whoever had it is fenced, what was left open is aborted. Busy until that is settled.
    ///
    /// # Errors
    /// [`Refused::Busy`].
    pub fn init_producer(&mut self, id: &str) -> Result<u64, Refused> {
        let producer = self.producers.entry(id.to_owned()).or_default();
        match &mut producer.transaction {
            Some(open) => {
                if open.commits.is_none() {
                    open.commits = Some(false);
                    producer.epoch += 1;
                }
                Err(Refused::Busy)
            }
            None => {
                producer.epoch += 1;
                Ok(producer.epoch)
            }
        }
    }

    /// The transaction a producer writes to, begun if there is none.
    fn open(&mut self, id: &str, epoch: u64) -> Result<&mut Open, Refused> {
        if self.producers.get(id).is_some_and(|producer| producer.epoch != epoch) {
            return Err(Refused::Fenced);
        }
        // A client waits for its own former transaction to be settled.
        while self
            .producers
            .get(id)
            .and_then(|producer| producer.transaction.as_ref())
            .is_some_and(|open| open.commits.is_some())
        {
            self.settle_of(id);
        }
        let producer = self.producers.entry(id.to_owned()).or_default();
        let (number, began_ms) = (self.transactions + 1, self.now_ms);
        if producer.transaction.is_none() {
            self.transactions = number;
        }
        Ok(producer.transaction.get_or_insert_with(|| Open {
            number,
            began_ms,
            places: Vec::new(),
            handed: Vec::new(),
            commits: None,
        }))
    }

    /// Writes a record in the producer's transaction; returns its offset.
    ///
    /// # Errors
    /// [`Refused::Fenced`].
    pub fn produce(&mut self, id: &str, epoch: u64, topic: Topic, partition: u32, entry: Entry) -> Result<u64, Refused> {
        let open = self.open(id, epoch)?;
        let place = Place::Partition(topic, partition);
        if !open.places.contains(&place) {
            open.places.push(place);
        }
        let number = open.number;
        Ok(self.partition(topic, partition).map_or(0, |partition| partition.append(entry, Some(number))))
    }

    /// Adds offsets to the producer's transaction, in the name of a member of the stage's group. `handed` is what was read for it.
    ///
    /// # Errors
    /// [`Refused::Fenced`], [`Refused::NotAMember`].
    pub fn add_offsets(
        &mut self,
        (id, epoch): (&str, u64),
        stage: &'static str,
        (instance, membership): (&str, u64),
        offsets: &[(Topic, u32, Committed)],
        handed: &[Handed],
    ) -> Result<(), Refused> {
        if !self.group(stage).is_member(instance, membership) {
            return Err(Refused::NotAMember);
        }
        let open = self.open(id, epoch)?;
        open.handed.extend_from_slice(handed);
        open.places.extend(offsets.iter().map(|(topic, partition, next)| Place::Offset(stage, *topic, *partition, *next)));
        let group = self.group(stage);
        offsets.iter().for_each(|(topic, partition, _)| group.hold(*topic, *partition));
        Ok(())
    }

    /// A copy of offsets that a producer has sent before: in the transaction that is open now they take the place of those it has.
    /// Whether there were any.
    pub fn offsets_again(&mut self, (id, epoch): (&str, u64), stage: &str, offsets: &[(Topic, u32, Committed)]) -> bool {
        let producer = self.producers.get_mut(id).filter(|producer| producer.epoch == epoch);
        let open = producer.and_then(|producer| producer.transaction.as_mut()).filter(|open| open.commits.is_none());
        let mut taken = false;
        for place in open.into_iter().flat_map(|open| &mut open.places) {
            let Place::Offset(of, topic, partition, next) = place else { continue };
            let copy = offsets.iter().find(|(of, at, _)| of == topic && at == partition);
            if let Some((_, _, late)) = copy.filter(|_| *of == stage) {
                *next = *late;
                taken = true;
            }
        }
        taken
    }

    /// Decides how the producer's transaction ends. The marks follow, one by one: see [`Self::settle_one`].
    ///
    /// # Errors
    /// [`Refused::Fenced`].
    pub fn end(&mut self, id: &str, epoch: u64, commit: bool) -> Result<(), Refused> {
        let Some(producer) = self.producers.get_mut(id).filter(|producer| producer.epoch == epoch) else {
            return Err(Refused::Fenced);
        };
        if let Some(open) = producer.transaction.as_mut().filter(|open| open.commits.is_none()) {
            open.commits = Some(commit);
            if commit {
                for handed in &open.handed {
                    *self.processed.entry(*handed).or_default() += 1;
                }
                self.said.extend(said(&self.topics, open));
            }
        }
        Ok(())
    }

    /// Aborts transactions that have been open for longer than this, and fences their producers. Returns how many.
    pub fn expire(&mut self, after_ms: u64) -> usize {
        let mut expired = 0;
        for producer in self.producers.values_mut() {
            let stale = |open: &&mut Open| open.commits.is_none() && open.began_ms + after_ms < self.now_ms;
            if let Some(open) = producer.transaction.as_mut().filter(stale) {
                open.commits = Some(false);
                producer.epoch += 1;
                expired += 1;
            }
        }
        expired
    }

    /// How many transactions are open or being ended.
    pub fn unsettled(&self) -> usize {
        self.producers.values().filter(|producer| producer.transaction.is_some()).count()
    }

    /// How many transactions are being ended.
    pub fn ending(&self) -> usize {
        let ending = |producer: &&Producer| producer.transaction.as_ref().is_some_and(|open| open.commits.is_some());
        self.producers.values().filter(ending).count()
    }

    /// Writes one mark of one transaction that is being ended, chosen by `by`; false when there is none.
    pub fn settle_one(&mut self, by: usize) -> bool {
        let ending = |producer: &Producer| producer.transaction.as_ref().is_some_and(|open| open.commits.is_some());
        let ids: Vec<String> =
            self.producers.iter().filter(|(_, producer)| ending(producer)).map(|(id, _)| id.clone()).collect();
        let Some(id) = by.checked_rem(ids.len()).and_then(|at| ids.get(at)) else { return false };
        self.settle_by(id, by);
        true
    }

    fn settle_of(&mut self, id: &str) {
        self.settle_by(id, 0);
    }

    fn settle_by(&mut self, id: &str, by: usize) {
        let Some(producer) = self.producers.get_mut(id) else { return };
        let Some(open) = &mut producer.transaction else { return };
        let Some(commit) = open.commits else { return };
        let number = open.number;
        let place = (!open.places.is_empty()).then(|| open.places.swap_remove(by % open.places.len()));
        if open.places.is_empty() {
            producer.transaction = None;
        }
        let now_ms = self.now_ms;
        match place {
            Some(Place::Partition(topic, at)) => {
                if let Some(partition) = self.partition(topic, at) {
                    partition.end_transaction(number, commit, now_ms);
                }
            }
            Some(Place::Offset(stage, topic, partition, next)) => self.group(stage).settle(topic, partition, next, commit),
            None => {}
        }
    }

    /// Compacts a partition; returns how many records are gone.
    pub fn compact(&mut self, topic: Topic, partition: u32, retention_ms: u64) -> usize {
        let now_ms = self.now_ms;
        self.partition(topic, partition).map_or(0, |partition| partition.compact(now_ms, retention_ms))
    }
}

/// What a transaction has written of the outputs that are remembered; `None` where that is nothing.
fn said(topics: &BTreeMap<Topic, Vec<Partition>>, open: &Open) -> Option<Vec<Said>> {
    let mut said = Vec::new();
    for place in &open.places {
        let Place::Partition(topic, at) = place else { continue };
        let partition = topics.get(topic).and_then(|partitions| partitions.get(*at as usize));
        for entry in partition.filter(|_| REMEMBERED.contains(topic)).into_iter().flat_map(|of| of.written_by(open.number)) {
            said.push(Said { topic: *topic, key: entry.key.clone(), value: entry.value.clone() });
        }
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Entry {
        Entry::new(b"k".to_vec(), None, 0, 0)
    }

    #[test]
    fn a_new_producer_aborts_what_the_old_one_left_and_fences_it() {
        let mut cluster = Cluster::new(&[(Topic::Credits, 1)]);
        let old = cluster.init_producer("a").unwrap();
        cluster.produce("a", old, Topic::Credits, 0, record()).unwrap();
        assert_eq!(cluster.init_producer("a"), Err(Refused::Busy));
        assert_eq!(cluster.end("a", old, true), Err(Refused::Fenced));
        while cluster.settle_one(0) {}
        let new = cluster.init_producer("a").unwrap();
        assert_eq!(cluster.produce("a", old, Topic::Credits, 0, record()), Err(Refused::Fenced));
        cluster.produce("a", new, Topic::Credits, 0, record()).unwrap();
        cluster.end("a", new, true).unwrap();
        while cluster.settle_one(0) {}
        assert_eq!(cluster.committed(Topic::Credits, 0, 0).count(), 1);
        let said = Said { topic: Topic::Credits, key: b"k".to_vec(), value: None };
        assert_eq!(cluster.said, [vec![said]], "and nothing of what was aborted");
    }

    #[test]
    fn offsets_of_a_former_member_are_refused_and_open_ones_are_waited_for() {
        let mut cluster = Cluster::new(&[(Topic::IdentityInbox, 1)]);
        let mut draw = crate::draw::Draw::new(1, 1);
        cluster.add_group("identity", 1);
        let member = cluster.group("identity").join("one", &mut draw);
        let epoch = cluster.init_producer("a").unwrap();
        let committed = Committed { next: 5, direct: Some(2) };
        let offsets = [(Topic::IdentityInbox, 0, committed)];
        cluster.add_offsets(("a", epoch), "identity", ("one", member), &offsets, &[]).unwrap();
        assert_eq!(cluster.group("identity").committed(Topic::IdentityInbox, 0), Err(Unsettled));
        cluster.end("a", epoch, true).unwrap();
        while cluster.settle_one(0) {}
        assert_eq!(cluster.group("identity").committed(Topic::IdentityInbox, 0), Ok(Some(committed)));
        cluster.group("identity").throw_out("one", &mut draw);
        let refused = cluster.add_offsets(("a", epoch), "identity", ("one", member), &offsets, &[]);
        assert_eq!(refused, Err(Refused::NotAMember));
    }
}
