//! Takes the outputs of a replay on separate threads: folding and writing them costs half as much as computing them.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tributary_proto::{Account, CreditUpdate, DeadLetter, Message, Profile};
use tributary_runtime::log::MemoryLog;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::Row;

use super::threads::{Thread, join, spawn};
use super::{ReplayError, Results};
use crate::stages::StageName;

/// Called with every credit update, in order.
pub(super) type Listener = Box<dyn FnMut(&CreditUpdate) + Send>;

/// Outputs that wait to be taken in, at most: bounds the memory.
const WAITING_MAX: usize = 2;

/// What a stage has written: records of the output topics, in order within each.
type Outputs = (StageName, Vec<(Topic, Vec<Output>)>);

/// Sends outputs to the threads.
#[derive(Clone)]
pub(super) struct OutputSender(SyncSender<Outputs>);

impl OutputSender {
    /// Takes the outputs of a stage out of its log. If the thread has failed, [`Intake::finish`] returns the error.
    pub fn send(&self, stage: StageName, log: &MemoryLog) {
        let outputs = stage.log().outputs().filter(|topic| topic.rows().is_some()).map(|topic| (topic, log.drain(topic)));
        // An error is the thread's end, and its reason is asked for below.
        let _ = self.0.send((stage, outputs.collect()));
    }
}

/// See the module.
pub(super) struct Intake {
    sender: OutputSender,
    thread: Thread<Results>,
    listening: Listening,
}

impl Intake {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses one.
    pub fn start(listener: Option<Listener>) -> Result<Self, ReplayError> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let (mut updates, mut listening) = (None, Listening::default());
        if let Some(listener) = listener {
            let (sender, receiver) = sync_channel(WAITING_MAX);
            updates = Some(sender);
            listening = Listening(Some(spawn("updates", move || pass_on(&receiver, listener))?));
        }
        let thread = spawn("outputs", move || take_in(&receiver, updates.as_ref()))?;
        Ok(Self { sender: OutputSender(sender), thread, listening })
    }

    /// Where the outputs go.
    pub fn sender(&self) -> OutputSender {
        self.sender.clone()
    }

    /// Waits for the rest, and gives the results. Updates are still passed on: [`Listening::end`] waits for that.
    ///
    /// # Errors
    /// When an output cannot be decoded.
    pub fn finish(self) -> Result<(Results, Listening), ReplayError> {
        drop(self.sender);
        Ok((join(self.thread)?, self.listening))
    }
}

/// The thread that passes updates on to a listener, if there is one.
#[derive(Default)]
pub(super) struct Listening(Option<Thread<()>>);

impl Listening {
    /// Waits for its end.
    ///
    /// # Errors
    /// When an update cannot be decoded.
    pub fn end(self) -> Result<(), ReplayError> {
        self.0.map_or(Ok(()), join)
    }
}

fn pass_on(receiver: &Receiver<Vec<Output>>, mut listener: Listener) -> Result<(), ReplayError> {
    receiver.iter().try_for_each(|outputs| each_update(&outputs, &mut listener))
}

fn each_update(outputs: &[Output], mut take: impl FnMut(&CreditUpdate)) -> Result<(), ReplayError> {
    let mut update = CreditUpdate::default();
    for bytes in values(outputs) {
        // Decoded into the same message each time: its texts keep their memory.
        update.clear();
        update.merge(bytes).map_err(|error| undecodable(Topic::Credits, &error))?;
        take(&update);
    }
    Ok(())
}

fn take_in(receiver: &Receiver<Outputs>, updates: Option<&SyncSender<Vec<Output>>>) -> Result<Results, ReplayError> {
    let mut results = Results::default();
    let mut dead_letters: BTreeMap<StageName, Vec<DeadLetter>> = BTreeMap::new();
    let tables =
        receiver.iter().flat_map(|(stage, tables)| tables.into_iter().map(move |(topic, outputs)| (stage, topic, outputs)));
    for (stage, topic, outputs) in tables {
        match topic {
            Topic::Credits => {
                each_update(&outputs, |update| results.credits.add(update))?;
                // An error is that thread's end, and its reason is asked for above.
                let _ = updates.map(|updates| updates.send(outputs));
            }
            Topic::Profiles => compact::<Profile>(outputs, &mut results.profiles)?,
            Topic::Accounts => compact::<Account>(outputs, &mut results.accounts)?,
            Topic::DeadLetters => {
                // Several stages write them: in which order does not depend on how fast these are.
                let letters = dead_letters.entry(stage).or_default();
                for bytes in values(&outputs) {
                    letters.push(decode(bytes)?);
                }
            }
            other => results.others.entry(other).or_default().add(other, outputs),
        }
    }
    results.dead_letters = dead_letters.into_values().flatten().collect();
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
