//! Which partitions and stores the workers of this process hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::state::RocksStore;

enum State {
    /// Its state is being restored.
    Restoring,
    /// A worker processes it; its stage keeps no state.
    Stateless,
    /// A worker processes it, with this state.
    Here(RocksStore),
}

struct Holding {
    /// The number of the worker among those of its stage.
    worker: u32,
    state: State,
}

type Held = BTreeMap<(&'static str, u32), Holding>;

/// The partitions that the workers of a process hold, by stage, each with its state. Clones share it. Sessions write it and the admin
/// server reads it; workers never wait for it.
#[derive(Clone, Default)]
pub struct Holdings(Arc<Mutex<Held>>);

/// A partition held by a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPartition {
    /// The stage.
    pub stage: String,
    /// The partition.
    pub partition: u32,
    /// Whether its state is still being restored.
    pub restoring: bool,
}

impl Holdings {
    /// A worker of a stage got the partition, and restores its state.
    pub fn restoring(&self, (stage, worker): (&'static str, u32), partition: u32) {
        self.lock().insert((stage, partition), Holding { worker, state: State::Restoring });
    }

    /// The worker processes the partition; `store` is `None` for a stage without state.
    pub fn ready(&self, (stage, worker): (&'static str, u32), partition: u32, store: Option<RocksStore>) {
        let state = store.map_or(State::Stateless, State::Here);
        self.lock().insert((stage, partition), Holding { worker, state });
    }

    /// The worker no longer holds the partition; another one may hold it already.
    pub fn gone(&self, (stage, worker): (&'static str, u32), partition: u32) {
        let mut held = self.lock();
        if held.get(&(stage, partition)).is_some_and(|holding| holding.worker == worker) {
            held.remove(&(stage, partition));
        }
    }

    /// All partitions held.
    pub fn list(&self) -> Vec<HeldPartition> {
        let held = |((stage, partition), holding): (&(&'static str, u32), &Holding)| HeldPartition {
            stage: (*stage).to_owned(),
            partition: *partition,
            restoring: matches!(holding.state, State::Restoring),
        };
        self.lock().iter().map(held).collect()
    }

    /// The states of a stage's partitions that are being processed.
    pub(super) fn stores(&self, stage: &str) -> Vec<(u32, RocksStore)> {
        let store = |((of, partition), holding): (&(&'static str, u32), &Holding)| match &holding.state {
            State::Here(store) if *of == stage => Some((*partition, store.clone())),
            _ => None,
        };
        self.lock().iter().filter_map(store).collect()
    }

    /// A panic while the lock was held cannot leave inconsistent data here.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
