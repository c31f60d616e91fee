//! Consumer groups: assignments and committed offsets.
//!
//! Members are static (each has an instance name) and rebalances cooperative: a partition is reassigned only after its holder has released
//! it in a poll, or was removed.

use std::collections::BTreeMap;

use tributary_runtime::topic::Topic;

use crate::draw::Draw;

/// What a member has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebalance {
    /// It was thrown out: everything it held is lost.
    Lost,
    /// Another process has taken its instance name.
    Replaced,
    /// To let go of these.
    Revoke(Vec<u32>),
    /// To begin these.
    Assign(Vec<u32>),
}

/// A transaction with an offset of the partition is open or being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled;

/// A committed offset: that of the next record, and [`Inputs::direct`](tributary_runtime::exactly_once::Inputs::direct) of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record.
    pub next: u64,
    /// What is kept with it.
    pub direct: Option<u64>,
}

/// A group.
#[derive(Debug, Default)]
pub struct Group {
    partitions: u32,
    /// Instance name and membership.
    members: BTreeMap<String, u64>,
    /// Who is to have each partition.
    target: BTreeMap<u32, String>,
    /// The membership that holds each partition.
    holder: BTreeMap<u32, u64>,
    /// Committed offsets.
    committed: BTreeMap<(Topic, u32), Committed>,
    /// How many transactions with offsets of the partition are being ended.
    pending: BTreeMap<(Topic, u32), u32>,
    memberships: u64,
}

impl Group {
    /// A group of a stage whose inputs have this many partitions.
    pub fn new(partitions: u32) -> Self {
        Self { partitions, ..Self::default() }
    }

    /// A process joins under its instance name; returns its membership. Whoever had the name is replaced.
    pub fn join(&mut self, instance: &str, draw: &mut Draw) -> u64 {
        self.memberships += 1;
        let new = self.members.insert(instance.to_owned(), self.memberships).map(|former| self.drop_holdings(former)).is_none();
        if new {
            self.rebalance(draw);
        }
        self.memberships
    }

    /// A member is thrown out: it did not poll for too long.
    pub fn throw_out(&mut self, instance: &str, draw: &mut Draw) -> bool {
        let Some(membership) = self.members.remove(instance) else { return false };
        self.drop_holdings(membership);
        self.rebalance(draw);
        true
    }

    fn drop_holdings(&mut self, membership: u64) {
        self.holder.retain(|_, holder| *holder != membership);
    }

    /// Spreads the partitions anew.
    pub fn rebalance(&mut self, draw: &mut Draw) {
        let names: Vec<String> = self.members.keys().cloned().collect();
        self.target =
            (0..self.partitions).filter(|_| !names.is_empty()).map(|partition| (partition, draw.pick(&names))).collect();
    }

    /// What this member has to do next, if anything.
    pub fn next(&self, instance: &str, membership: u64) -> Option<Rebalance> {
        match self.members.get(instance) {
            Some(current) if *current == membership => {}
            Some(_) => return Some(Rebalance::Replaced),
            None => return Some(Rebalance::Lost),
        }
        let mine = |partition: &u32| self.target.get(partition).is_some_and(|name| name == instance);
        let held = |partition: &u32| self.holder.get(partition) == Some(&membership);
        let revoke: Vec<u32> = (0..self.partitions).filter(|partition| held(partition) && !mine(partition)).collect();
        if !revoke.is_empty() {
            return Some(Rebalance::Revoke(revoke));
        }
        let assign: Vec<u32> =
            (0..self.partitions).filter(|partition| mine(partition) && !self.holder.contains_key(partition)).collect();
        (!assign.is_empty()).then_some(Rebalance::Assign(assign))
    }

    /// The member has let go of partitions.
    pub fn released(&mut self, partitions: &[u32], membership: u64) {
        self.holder.retain(|partition, holder| *holder != membership || !partitions.contains(partition));
    }

    /// The member has begun partitions.
    pub fn taken(&mut self, partitions: &[u32], membership: u64) {
        for partition in partitions {
            self.holder.insert(*partition, membership);
        }
    }

    /// Whether the member may commit offsets.
    pub fn is_member(&self, instance: &str, membership: u64) -> bool {
        self.members.get(instance) == Some(&membership)
    }

    /// Whether another process has taken this member's instance name.
    pub fn is_replaced(&self, instance: &str, membership: u64) -> bool {
        self.members.get(instance).is_some_and(|current| *current != membership)
    }

    /// The members' instance names.
    pub fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// The committed offset, if there is one.
    ///
    /// # Errors
    /// When it is not known yet.
    pub fn committed(&self, topic: Topic, partition: u32) -> Result<Option<Committed>, Unsettled> {
        let key = (topic, partition);
        if self.pending.get(&key).is_some_and(|open| *open > 0) {
            Err(Unsettled)
        } else {
            Ok(self.committed.get(&key).copied())
        }
    }

    /// A transaction holds an offset of this partition.
    pub fn hold(&mut self, topic: Topic, partition: u32) {
        *self.pending.entry((topic, partition)).or_default() += 1;
    }

    /// A transaction that held an offset has ended.
    pub fn settle(&mut self, topic: Topic, partition: u32, offset: Committed, commit: bool) {
        if let Some(open) = self.pending.get_mut(&(topic, partition)) {
            *open = open.saturating_sub(1);
        }
        if commit {
            self.committed.insert((topic, partition), offset);
        }
    }
}
