//! Takes in what a replay puts out, on a thread of its own: folding and writing the outputs costs half as much as making them.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tributary_proto::{Account, CreditUpdate, DeadLetter, Message, Profile, Spend};
use tributary_runtime::log::MemoryLog;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::WorkerError;

use super::{ReplayError, Results};

/// Called with every credit update, in order.
pub(super) type Hear = Box<dyn FnMut(&CreditUpdate) + Send>;

/// Outputs that wait to be taken in, at most: bounds the memory.
const WAITING_MAX: usize = 2;

/// Records of the output topics, in order within each.
struct Outputs {
    credits: Vec<Output>,
    profiles: Vec<Output>,
    accounts: Vec<Output>,
    spends: Vec<Output>,
    dead_letters: Vec<Output>,
}

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

    /// Takes the outputs out of the log. Where the thread has failed, [`Self::finish`] says why.
    pub fn collect(&self, log: &MemoryLog) {
        let [credits, profiles, accounts, spends, dead_letters] =
            [Topic::Credits, Topic::Profiles, Topic::Accounts, Topic::Spend, Topic::DeadLetters].map(|topic| log.drain(topic));
        // An error is the thread's end, and its reason is asked for below.
        let _ = self.sender.send(Outputs { credits, profiles, accounts, spends, dead_letters });
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
    for outputs in receiver {
        for bytes in values(&outputs.credits) {
            // Decoded into the same message each time: its texts keep their memory.
            update.clear();
            update.merge(bytes).map_err(|error| undecodable(Topic::Credits, &error))?;
            hear(&update);
            results.credits.add(&update);
        }
        compact::<Profile>(Topic::Profiles, outputs.profiles, &mut results.profiles)?;
        compact::<Account>(Topic::Accounts, outputs.accounts, &mut results.accounts)?;
        compact::<Spend>(Topic::Spend, outputs.spends, &mut results.spends)?;
        for bytes in values(&outputs.dead_letters) {
            results.dead_letters.push(decode::<DeadLetter>(Topic::DeadLetters, bytes)?);
        }
    }
    results.profiles.retain(|_, profile| profile.merged_into.is_empty() && !profile.erased);
    results.accounts.retain(|_, account| account.merged_into.is_empty() && !account.erased);
    Ok(results)
}

/// As compaction does: the latest record of a key, none after a tombstone.
fn compact<M: Message + Default>(topic: Topic, outputs: Vec<Output>, all: &mut BTreeMap<String, M>) -> Result<(), ReplayError> {
    for output in outputs {
        let id = String::from_utf8_lossy(&output.key).into_owned();
        match output.value {
            Some(bytes) => drop(all.insert(id, decode::<M>(topic, &bytes)?)),
            None => drop(all.remove(&id)),
        }
    }
    Ok(())
}

fn values(outputs: &[Output]) -> impl Iterator<Item = &[u8]> {
    outputs.iter().filter_map(|output| output.value.as_deref())
}

fn decode<M: Message + Default>(topic: Topic, bytes: &[u8]) -> Result<M, ReplayError> {
    M::decode(bytes).map_err(|error| undecodable(topic, &error))
}

fn undecodable(topic: Topic, error: &dyn std::error::Error) -> ReplayError {
    ReplayError::Output { topic: topic.name(), why: error.to_string() }
}
