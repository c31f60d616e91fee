//! Takes the outputs of a replay on a separate thread: folding and writing them costs half as much as computing them.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tributary_proto::{Account, CreditUpdate, DeadLetter, Message, Profile};
use tributary_runtime::log::MemoryLog;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::Row;
use tributary_runtime::worker::WorkerError;

use super::{ReplayError, Results};

/// Called with every credit update, in order.
pub(super) type Hear = Box<dyn FnMut(&CreditUpdate) + Send>;

/// Outputs that wait to be taken in, at most: bounds the memory.
const WAITING_MAX: usize = 2;

/// Records of the output topics, in order within each.
type Outputs = Vec<(Topic, Vec<Output>)>;

/// See the module.
pub(super) struct Intake {
    sender: SyncSender<Outputs>,
    thread: JoinHandle<Result<Results, ReplayError>>,
}

impl Intake {
    /// Starts the thread.
    pub fn start(hear: Hear) -> Result<Self, ReplayError> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("outputs".into()).spawn(move || take_in(&receiver, hear));
        Ok(Self { sender, thread: thread.map_err(ReplayError::Thread)? })
    }

    /// Takes the outputs out of the log. If the thread has failed, [`Self::finish`] returns the error.
    pub fn collect(&self, log: &MemoryLog) {
        let outputs = Topic::public().map(|topic| (topic, log.drain(topic))).collect();
        // An error is the thread's end, and its reason is asked for below.
        let _ = self.sender.send(outputs);
    }

    /// Waits for the rest, and gives the results.
    pub fn finish(self) -> Result<Results, ReplayError> {
        drop(self.sender);
        let panicked = |_| ReplayError::Worker(WorkerError::Panicked { worker: "outputs".into() });
        self.thread.join().map_err(panicked)?
    }
}

fn take_in(receiver: &Receiver<Outputs>, mut hear: Hear) -> Result<Results, ReplayError> {
    let mut results = Results::default();
    let mut update = CreditUpdate::default();
    for (topic, outputs) in receiver.iter().flatten() {
        match topic {
            Topic::Credits => {
                for bytes in values(&outputs) {
                    // Decoded into the same message each time: its texts keep their memory.
                    update.clear();
                    update.merge(bytes).map_err(|error| undecodable(topic, &error))?;
                    hear(&update);
                    results.credits.add(&update);
                }
            }
            Topic::Profiles => compact::<Profile>(outputs, &mut results.profiles)?,
            Topic::Accounts => compact::<Account>(outputs, &mut results.accounts)?,
            Topic::DeadLetters => {
                for bytes in values(&outputs) {
                    results.dead_letters.push(decode::<DeadLetter>(bytes)?);
                }
            }
            other => results.others.entry(other).or_default().add(other, outputs),
        }
    }
    results.profiles.retain(|_, profile| profile.merged_into.is_empty() && !profile.erased);
    results.accounts.retain(|_, account| account.merged_into.is_empty() && !account.erased);
    Ok(results)
}

/// As compaction does: the latest record of a key, none after a tombstone.
fn compact<R: Row>(outputs: Vec<Output>, all: &mut BTreeMap<String, R>) -> Result<(), ReplayError> {
    for output in outputs {
        let id = String::from_utf8_lossy(&output.key).into_owned();
        match output.value {
            Some(bytes) => drop(all.insert(id, decode::<R>(&bytes)?)),
            None => drop(all.remove(&id)),
        }
    }
    Ok(())
}

fn values(outputs: &[Output]) -> impl Iterator<Item = &[u8]> {
    outputs.iter().filter_map(|output| output.value.as_deref())
}

fn decode<R: Row>(bytes: &[u8]) -> Result<R, ReplayError> {
    R::decode(bytes).map_err(|error| undecodable(R::TOPIC, &error))
}

fn undecodable(topic: Topic, error: &dyn std::error::Error) -> ReplayError {
    ReplayError::Output { topic: topic.name(), why: error.to_string() }
}
