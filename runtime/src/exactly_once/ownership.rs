//! Which partitions a session holds, and which of their records it may hand out.

use std::collections::BTreeMap;

use super::Inputs;
use crate::log::{Assignment, LogError, Transaction};
use crate::state::EmptyBase;
use crate::topic::Topic;

/// A partition of every input that the group gave us.
pub struct Owned<S> {
    /// The committed offsets.
    pub committed: Inputs,
    /// The smallest offset that may come next, by input; guards against reading anything twice.
    expected: Vec<(Topic, u64)>,
    /// Whether its records are handed out.
    pub phase: Phase,
    /// Its state, once it is open.
    pub store: Option<S>,
}

impl<S> Owned<S> {
    /// The offset after the last record of an input that was handed out, or the committed one; `None` where there is neither.
    pub fn next(&self, topic: Topic) -> Option<u64> {
        self.expected.iter().find(|(of, _)| *of == topic).map(|(_, next)| *next)
    }
}

/// What an owned partition is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its consumption is paused until its state is as far as the committed offsets.
    Restoring,
    /// Nothing.
    Ready,
}

/// What is to be done with a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It belongs into the batch.
    Take,
    /// It was fetched before its partition was paused or revoked: it comes again, here or elsewhere.
    Pass,
    /// It was taken already: the log went back from this offset.
    Back(u64),
}

/// See the module.
pub struct Ownership<S> {
    keeps_state: bool,
    owned: BTreeMap<u32, Owned<S>>,
    changes: Vec<Assignment>,
    /// Partitions of single inputs that were stopped, with the committed offset at which they stand. Also those that went away since:
    /// one that comes back as it went still stands.
    stopped: BTreeMap<(Topic, u32), Option<u64>>,
}

impl<S> Ownership<S> {
    /// Nothing is owned. `keeps_state`: partitions have to have their state before they are worked on.
    pub fn new(keeps_state: bool) -> Self {
        Self { keeps_state, owned: BTreeMap::new(), changes: Vec::new(), stopped: BTreeMap::new() }
    }

    /// Begins partitions from their committed offsets: those with state wait until they have it.
    pub fn begin(&mut self, committed: BTreeMap<u32, Inputs>) {
        for (partition, inputs) in committed {
            self.forget_moved(partition, &inputs);
            let phase = if self.keeps_state { Phase::Restoring } else { Phase::Ready };
            // The store stays open when a partition is begun again: the worker may still hold it.
            let store = self.owned.remove(&partition).and_then(|owned| owned.store);
            if !self.keeps_state {
                self.changes.push(Assignment::Assigned { partition, base: Box::new(EmptyBase), inputs: inputs.clone() });
            }
            let expected = expected(&inputs);
            self.owned.insert(partition, Owned { committed: inputs, expected, phase, store });
        }
    }

    /// After a transaction that failed: everything owned is void in memory and begun from its committed offsets.
    pub fn begin_again(&mut self, committed: BTreeMap<u32, Inputs>) {
        self.changes.retain(|change| matches!(change, Assignment::Revoked { .. }));
        self.changes.extend(committed.keys().map(|partition| Assignment::Revoked { partition: *partition }));
        self.begin(committed);
    }

    /// The partition is no longer ours.
    pub fn release(&mut self, partition: u32) {
        if self.owned.remove(&partition).is_some() {
            self.changes.push(Assignment::Revoked { partition });
        }
    }

    /// What is to be done with a record that was read.
    pub fn admit(&mut self, topic: Topic, partition: u32, offset: u64) -> Admission {
        if self.stopped.contains_key(&(topic, partition)) {
            return Admission::Pass;
        }
        let Some(owned) = self.owned.get_mut(&partition).filter(|owned| owned.phase == Phase::Ready) else {
            return Admission::Pass;
        };
        match owned.expected.iter_mut().find(|(of, _)| *of == topic) {
            Some((_, next)) if offset < *next => return Admission::Back(*next),
            Some((_, next)) => *next = offset + 1,
            None => owned.expected.push((topic, offset + 1)),
        }
        Admission::Take
    }

    /// The first partition that waits for its state.
    pub fn waiting(&self) -> Option<u32> {
        self.owned.iter().find(|(_, owned)| owned.phase == Phase::Restoring).map(|(partition, _)| *partition)
    }

    /// How many partitions wait for their state.
    pub fn restoring(&self) -> usize {
        self.owned.values().filter(|owned| owned.phase == Phase::Restoring).count()
    }

    /// The committed offsets of a partition that waits for its state were read again.
    pub fn expect(&mut self, partition: u32, inputs: Inputs) {
        self.forget_moved(partition, &inputs);
        if let Some(owned) = self.owned.get_mut(&partition) {
            owned.expected = expected(&inputs);
            owned.committed = inputs;
        }
    }

    /// No record of a partition of one input is taken until [`Self::resume`]: what was read of it and not committed must be gone back from.
    /// It continues by itself once another owner has committed more of it.
    pub fn stop(&mut self, topic: Topic, partition: u32) {
        let at = self.owned.get(&partition).and_then(|owned| owned.committed.next.get(&topic)).copied();
        self.stopped.insert((topic, partition), at);
    }

    /// Takes records of a partition of one input again. Returns from where, if it may be read now: the committed offset, or the beginning.
    pub fn resume(&mut self, topic: Topic, partition: u32) -> Option<Option<u64>> {
        self.stopped.remove(&(topic, partition))?;
        let owned = self.owned.get(&partition).filter(|owned| owned.phase == Phase::Ready)?;
        Some(owned.committed.next.get(&topic).copied())
    }

    /// Whether a partition of one input is ours and was stopped.
    pub fn is_stopped(&self, topic: Topic, partition: u32) -> bool {
        self.stopped.contains_key(&(topic, partition)) && self.owned.contains_key(&partition)
    }

    /// Whatever has moved on since it was stopped does not stand any more.
    fn forget_moved(&mut self, partition: u32, committed: &Inputs) {
        self.stopped.retain(|(topic, at), stood| *at != partition || committed.next.get(topic) == stood.as_ref());
    }

    /// What changed hands and was not reported yet.
    pub fn take_changes(&mut self) -> Vec<Assignment> {
        std::mem::take(&mut self.changes)
    }

    /// Whether something changed hands and was not reported yet.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The partitions held.
    pub fn partitions(&self) -> impl Iterator<Item = u32> {
        self.owned.keys().copied()
    }

    /// The partitions held, with what is known of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Owned<S>)> {
        self.owned.iter().map(|(partition, owned)| (*partition, owned))
    }

    /// What is known of a partition that is held.
    pub fn get(&self, partition: u32) -> Option<&Owned<S>> {
        self.owned.get(&partition)
    }

    /// What is known of a partition that is held.
    pub fn get_mut(&mut self, partition: u32) -> Option<&mut Owned<S>> {
        self.owned.get_mut(&partition)
    }

    /// Gives everything up, without a word; returns what it was.
    pub fn clear(&mut self) -> BTreeMap<u32, Owned<S>> {
        std::mem::take(&mut self.owned)
    }

    /// The input offsets of the touched partitions after this transaction.
    ///
    /// # Errors
    /// When one of them is no longer ours.
    pub fn next_inputs(&self, transaction: &Transaction) -> Result<BTreeMap<u32, Inputs>, LogError> {
        let offsets = transaction.offsets.iter().map(|(_, partition, _)| *partition);
        let mut next = BTreeMap::new();
        for partition in offsets.chain(transaction.state.iter().map(|(partition, _)| *partition)) {
            let Some(owned) = self.owned.get(&partition) else {
                return Err(LogError::recover("committing", format!("partition {partition} is no longer ours")));
            };
            next.entry(partition).or_insert_with(|| {
                let of_partition = transaction.offsets.iter().filter(|(_, at, _)| *at == partition);
                let read = of_partition.map(|(topic, _, offset)| (*topic, *offset));
                owned.committed.after(read, transaction.settled.contains(&partition))
            });
        }
        Ok(next)
    }
}

impl<S: super::Store> Ownership<S> {
    /// Hands a partition out, with its state; returns from where it is to be read.
    pub fn ready(&mut self, partition: u32, store: S) -> Option<Inputs> {
        let owned = self.owned.get_mut(&partition)?;
        owned.phase = Phase::Ready;
        self.changes.push(Assignment::Assigned { partition, base: Box::new(store), inputs: owned.committed.clone() });
        Some(owned.committed.clone())
    }
}

fn expected(inputs: &Inputs) -> Vec<(Topic, u64)> {
    inputs.next.iter().map(|(topic, next)| (*topic, *next)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(next: u64) -> Inputs {
        Inputs::of([(Topic::IdentityInbox, next)].into())
    }

    #[test]
    fn nothing_is_taken_before_its_state_is_there_and_nothing_twice() {
        let mut held = Ownership::<()>::new(true);
        held.begin([(3, inputs(5))].into());
        assert_eq!((held.waiting(), held.restoring()), (Some(3), 1));
        assert_eq!(held.admit(Topic::IdentityInbox, 3, 5), Admission::Pass);
        assert_eq!(held.admit(Topic::IdentityInbox, 4, 5), Admission::Pass);

        let mut held = Ownership::<()>::new(false);
        held.begin([(3, inputs(5))].into());
        assert_eq!(held.admit(Topic::IdentityInbox, 3, 4), Admission::Back(5));
        assert_eq!(held.admit(Topic::IdentityInbox, 3, 7), Admission::Take);
        assert_eq!(held.admit(Topic::IdentityInbox, 3, 7), Admission::Back(8));
        assert_eq!(held.admit(Topic::Sdk, 3, 0), Admission::Take, "nothing was committed of this input");
    }

    #[test]
    fn a_stopped_input_stands_until_it_is_resumed_or_has_moved_on() {
        let two = |sdk, utm| Inputs::of([(Topic::Sdk, sdk), (Topic::Utm, utm)].into());
        let mut held = Ownership::<()>::new(false);
        held.begin([(1, two(5, 5)), (2, two(5, 5))].into());
        held.stop(Topic::Sdk, 1);
        assert_eq!(held.admit(Topic::Sdk, 1, 5), Admission::Pass);
        assert_eq!(held.admit(Topic::Utm, 1, 5), Admission::Take, "other inputs of the partition go on");
        assert_eq!(held.admit(Topic::Sdk, 2, 5), Admission::Take, "other partitions go on");
        held.begin_again([(1, two(5, 6)), (2, two(6, 5))].into());
        assert!(held.is_stopped(Topic::Sdk, 1), "going back changes nothing");
        held.release(1);
        assert!(!held.is_stopped(Topic::Sdk, 1), "it is somebody else's");
        held.begin([(1, two(5, 9))].into());
        assert!(held.is_stopped(Topic::Sdk, 1), "it has come back as it went");
        assert_eq!(held.resume(Topic::Sdk, 1), Some(Some(5)));
        assert_eq!(held.admit(Topic::Sdk, 1, 5), Admission::Take);

        held.stop(Topic::Sdk, 2);
        held.release(2);
        held.begin([(2, two(7, 5))].into());
        assert!(!held.is_stopped(Topic::Sdk, 2), "somebody has worked on it");
    }

    #[test]
    fn what_is_begun_again_is_revoked_first() {
        let mut held = Ownership::<()>::new(false);
        held.begin([(1, inputs(5))].into());
        held.begin_again([(1, inputs(9))].into());
        let changes: Vec<bool> =
            held.take_changes().iter().map(|change| matches!(change, Assignment::Revoked { partition: 1 })).collect();
        assert_eq!(changes, [true, false]);
        assert_eq!(held.admit(Topic::IdentityInbox, 1, 5), Admission::Back(9));
    }

    #[test]
    fn a_transaction_of_a_partition_that_is_gone_is_refused() {
        let mut held = Ownership::<()>::new(false);
        held.begin([(1, inputs(5))].into());
        let transaction = Transaction { offsets: vec![(Topic::IdentityInbox, 1, 8)], ..Transaction::default() };
        assert_eq!(held.next_inputs(&transaction).unwrap(), [(1, inputs(8))].into());
        held.release(1);
        assert!(matches!(held.next_inputs(&transaction), Err(LogError::Recover { .. })));
    }
}
