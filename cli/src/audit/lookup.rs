//! Batched look-ups in remote states.
//!
//! A check reads one value after the other, and each would be a request to another process. So many checks run at once: a check that needs
//! a value that was not fetched yet stops there, all needed values are fetched together, and the checks run again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tributary_runtime::admin::RemoteView;
use tributary_runtime::admin::wire::{Read, Row};
use tributary_runtime::state::{ActorKey, Base, Committed, RocksStore, Snapshot, StateError, StoreBudget};

use crate::ask::{PartitionOf, Place};

/// Values per request.
const QUESTION: usize = 4_000;
/// Memory for reading from disk, bytes.
const READ_CACHE_BYTES: usize = 32 << 20;

/// A value to be read of a stage.
type Wanted = (&'static str, Read);

#[derive(Default)]
struct Fetched {
    have: HashMap<Wanted, Vec<Row>>,
    wanted: HashSet<Wanted>,
    /// Whether a value was missing since the last check.
    missed: bool,
}

type Shared = Arc<Mutex<Fetched>>;

/// See the module.
pub struct Lookup {
    snapshot: Committed,
    shared: Shared,
    views: BTreeMap<PartitionOf, Arc<RemoteView>>,
}

impl Lookup {
    /// For states on this machine.
    pub fn near(snapshot: Committed) -> Self {
        Self { snapshot, shared: Shared::default(), views: BTreeMap::new() }
    }

    /// For states in any reachable process.
    pub fn far(partitions: u32, places: &BTreeMap<PartitionOf, Place>) -> Self {
        let shared = Shared::default();
        let view = |(of, place): (&PartitionOf, &Place)| match place {
            Place::Process { view, .. } => Some((*of, view.clone())),
            Place::Disk { .. } | Place::Nowhere { .. } => None,
        };
        let views: BTreeMap<_, _> = places.iter().filter_map(view).collect();
        let (places, fetched, budget) = (places.clone(), shared.clone(), StoreBudget::new(READ_CACHE_BYTES));
        let open = move |stage: &'static str, partition: u32| -> Result<Box<dyn Base + Send>, StateError> {
            match places.get(&(stage, partition)) {
                Some(Place::Process { .. }) => Ok(Box::new(FetchedBase { of: (stage, partition), fetched: fetched.clone() })),
                Some(Place::Disk { path, .. }) => {
                    let store = RocksStore::open_read_only(path, &budget);
                    Ok(Box::new(store.map_err(|error| StateError::Read(error.to_string()))?))
                }
                Some(Place::Nowhere { why }) => Err(StateError::Read(why.clone())),
                None => Err(StateError::Read(format!("there is no partition {partition} of {stage}"))),
            }
        };
        Self { snapshot: Committed::new(partitions, Box::new(open)), shared, views }
    }

    /// Looks up each of many values.
    ///
    /// # Errors
    /// When a state cannot be read.
    pub fn each<T, R>(
        &mut self,
        things: &[T],
        look: impl Fn(&mut dyn Snapshot, &T) -> Result<R, StateError>,
    ) -> anyhow::Result<Vec<R>> {
        let mut found: Vec<Option<R>> = things.iter().map(|_| None).collect();
        loop {
            let mut all = true;
            for (slot, thing) in found.iter_mut().zip(things).filter(|(slot, _)| slot.is_none()) {
                match look(&mut self.snapshot, thing) {
                    Ok(one) => *slot = Some(one),
                    Err(_) if std::mem::take(&mut lock(&self.shared).missed) => all = false,
                    Err(error) => return Err(error.into()),
                }
            }
            if all {
                break;
            }
            self.fetch()?;
        }
        *lock(&self.shared) = Fetched::default();
        self.snapshot.shrink();
        found.into_iter().collect::<Option<_>>().context("something was not looked up; this is a defect")
    }

    fn fetch(&self) -> anyhow::Result<()> {
        let wanted = std::mem::take(&mut lock(&self.shared).wanted);
        let mut questions: BTreeMap<PartitionOf, Vec<Wanted>> = BTreeMap::new();
        for (stage, read) in wanted {
            questions.entry((stage, read.partition)).or_default().push((stage, read));
        }
        for (of, wanted) in questions {
            let view = self.views.get(&of).with_context(|| format!("partition {} of {} is in no view", of.1, of.0))?;
            for some in wanted.chunks(QUESTION) {
                let answers = view.read(some.iter().map(|(_, read)| read.clone()).collect())?;
                lock(&self.shared).have.extend(some.iter().cloned().zip(answers));
            }
        }
        Ok(())
    }
}

/// A partition with the values fetched so far.
struct FetchedBase {
    of: PartitionOf,
    fetched: Shared,
}

impl FetchedBase {
    fn rows(&self, actor: &ActorKey, from: &[u8], to: &[u8], one: bool) -> Result<Vec<Row>, StateError> {
        let read = Read { partition: self.of.1, actor: actor.0.to_vec(), from: from.to_vec(), to: to.to_vec(), one, actors: 0 };
        let wanted = (self.of.0, read);
        let mut fetched = lock(&self.fetched);
        if let Some(rows) = fetched.have.get(&wanted) {
            return Ok(rows.clone());
        }
        fetched.wanted.insert(wanted);
        fetched.missed = true;
        Err(StateError::Read("not fetched yet".to_owned()))
    }
}

impl Base for FetchedBase {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.rows(actor, sub, &[], true)?.pop().map(|row| row.value))
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        self.rows(actor, from, to, false)?.iter().for_each(|row| visit(&row.sub, &row.value));
        Ok(())
    }
}

/// A panic while the lock was held cannot leave inconsistent data here.
fn lock(shared: &Shared) -> MutexGuard<'_, Fetched> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
