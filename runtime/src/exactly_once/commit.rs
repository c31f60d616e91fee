//! The commit rule: outputs, changes of the state and offsets in one transaction; then the store.

use std::collections::BTreeMap;

use tributary_proto::DeadLetter;

use super::{INPUTS_KEY, Inputs, Ownership, Position, Store};
use crate::log::{LogError, Routed, Transaction};

/// The steps of a commit, in the order in which [`commit`] calls them.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use tributary_proto::DeadLetter;
/// use tributary_runtime::exactly_once::{Ended, Inputs, TransactionWriter};
/// use tributary_runtime::log::{Routed, Transaction};
///
/// /// Only counts what a transaction would write.
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl TransactionWriter for Count {
///     type Producer = ();
///     type Error = String;
///
///     fn begin(&mut self, _: &()) -> Result<(), String> { Ok(()) }
///     fn output(&mut self, _: &(), _: &Routed) -> Result<(), String> { self.0 += 1; Ok(()) }
///     fn dead_letter(&mut self, _: &(), _: &DeadLetter) -> Result<(), String> { self.0 += 1; Ok(()) }
///     fn change(&mut self, _: &(), _: u32, _: &[u8], _: Option<&[u8]>) -> Result<(), String> { self.0 += 1; Ok(()) }
///     fn inputs(&mut self, _: &(), _: u32, _: &Inputs) -> Result<(), String> { self.0 += 1; Ok(()) }
///     fn offsets(&mut self, _: &(), _: &Transaction, _: &BTreeMap<u32, Inputs>) -> Result<(), String> { Ok(()) }
///     fn end(&mut self, _: &()) -> Result<Ended, String> { Ok(Ended::default()) }
/// }
///
/// let mut writer = Count::default();
/// writer.begin(&())?;
/// writer.dead_letter(&(), &DeadLetter::default())?;
/// assert!(!writer.end(&())?.connection_lost && writer.0 == 1);
/// # Ok::<(), String>(())
/// ```
pub trait TransactionWriter {
    /// What holds a transactional id and its epoch.
    type Producer;
    /// Why something failed.
    type Error;

    /// Begins a transaction.
    ///
    /// # Errors
    /// After any error nothing is known of the transaction.
    fn begin(&mut self, producer: &Self::Producer) -> Result<(), Self::Error>;

    /// Writes a record.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    fn output(&mut self, producer: &Self::Producer, routed: &Routed) -> Result<(), Self::Error>;

    /// Writes a dead letter.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    fn dead_letter(&mut self, producer: &Self::Producer, letter: &DeadLetter) -> Result<(), Self::Error>;

    /// Writes a change of a partition's state to the changelog.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    fn change(
        &mut self,
        producer: &Self::Producer,
        partition: u32,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Self::Error>;

    /// Writes the offsets that a partition's state stands for to the changelog.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    fn inputs(&mut self, producer: &Self::Producer, partition: u32, inputs: &Inputs) -> Result<(), Self::Error>;

    /// Adds the input offsets of the transaction, in the name of the group's member that we are. Each is kept with [`Inputs::direct`] of its
    /// partition, of `next`.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    fn offsets(
        &mut self,
        producer: &Self::Producer,
        transaction: &Transaction,
        next: &BTreeMap<u32, Inputs>,
    ) -> Result<(), Self::Error>;

    /// Ends the transaction.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    fn end(&mut self, producer: &Self::Producer) -> Result<Ended, Self::Error>;
}

/// What is known of a transaction that was committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// The offset after the last changelog record, by partition.
    pub changelog: BTreeMap<u32, u64>,
    /// Whether a connection was lost since the transaction began. The client resends the requests that were in flight, without
    /// notice; the first copy may still arrive, and would end the producer's next transaction, or set its offsets back.
    pub connection_lost: bool,
}

/// Why a transaction was not committed, or is not known to be.
pub enum Failed<P, E> {
    /// The log failed. The producer is given up: its outcome is unknown after any error.
    Writer(P, E),
    /// Something else did; the producer is gone.
    Log(LogError),
}

impl<P, E> From<LogError> for Failed<P, E> {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// Commits a transaction, and then writes its changes to the stores. Returns the offsets that are committed now.
///
/// The producer is back in its slot only if all went well: a transaction whose outcome is not known is never built upon.
///
/// # Errors
/// After any error nothing of the transaction may be assumed.
pub fn commit<W: TransactionWriter, S: Store>(
    wire: &mut W,
    slot: &mut Option<W::Producer>,
    ownership: &mut Ownership<S>,
    keeps_state: bool,
    transaction: &Transaction,
    now_ms: impl FnOnce() -> u64,
) -> Result<BTreeMap<u32, Inputs>, Failed<W::Producer, W::Error>> {
    let Some(producer) = slot.take() else {
        return Err(LogError::recover("committing", "the last transaction failed").into());
    };
    let next = ownership.next_inputs(transaction)?;
    let ended = match transact(wire, &producer, keeps_state, transaction, &next) {
        Ok(ended) => ended,
        Err(error) => return Err(Failed::Writer(producer, error)),
    };
    if keeps_state {
        write_stores(ownership, transaction, &next, &ended.changelog, now_ms())?;
    }
    if ended.connection_lost {
        // Committed, and yet the producer is gone: copies of its requests that come late belong to an epoch that has passed.
        return Err(
            LogError::recover("committing", "a connection was lost on the way: what was sent twice may come late").into()
        );
    }
    *slot = Some(producer);
    for (partition, inputs) in &next {
        if let Some(owned) = ownership.get_mut(*partition) {
            owned.committed = inputs.clone();
        }
    }
    Ok(next)
}

fn transact<W: TransactionWriter>(
    wire: &mut W,
    producer: &W::Producer,
    keeps_state: bool,
    transaction: &Transaction,
    next: &BTreeMap<u32, Inputs>,
) -> Result<Ended, W::Error> {
    wire.begin(producer)?;
    for routed in &transaction.outputs {
        wire.output(producer, routed)?;
    }
    for letter in &transaction.dead_letters {
        wire.dead_letter(producer, letter)?;
    }
    if keeps_state {
        for (partition, writes) in &transaction.state {
            for write in writes {
                wire.change(producer, *partition, &write.key, write.value.as_deref())?;
            }
        }
        // Behind the changes: who reads them has read all of the transaction's changes of the partition.
        for (partition, inputs) in next {
            wire.inputs(producer, *partition, inputs)?;
        }
    }
    wire.offsets(producer, transaction, next)?;
    wire.end(producer)
}

/// Writes the committed changes to the stores. Must follow the commit: state is never ahead of the log.
fn write_stores<S: Store>(
    ownership: &Ownership<S>,
    transaction: &Transaction,
    next: &BTreeMap<u32, Inputs>,
    positions: &BTreeMap<u32, u64>,
    as_of_ms: u64,
) -> Result<(), LogError> {
    const OPERATION: &str = "writing the committed state";
    for (partition, inputs) in next {
        let store = ownership.get(*partition).and_then(|owned| owned.store.as_ref());
        let (Some(store), Some(changelog_next)) = (store, positions.get(partition)) else {
            return Err(LogError::recover(OPERATION, format!("partition {partition} has no store or no changelog position")));
        };
        let encoded = inputs.encode();
        let of_partition = transaction.state.iter().filter(|(at, _)| at == partition).flat_map(|(_, writes)| writes);
        let changes = of_partition
            .map(|write| (write.key.as_slice(), write.value.as_deref()))
            .chain(std::iter::once((INPUTS_KEY, Some(encoded.as_slice()))));
        let position = Position { changelog_next: *changelog_next, as_of_ms };
        store.write(changes, position).map_err(|error| LogError::of_store(OPERATION, error))?;
    }
    Ok(())
}
