//! Units whose milestones were put off while the partition had a backlog.
//!
//! In a backlog most milestones would be computed several times: one record joins two people, the next brings a late touch. So a unit stores
//! milestones that only such changes call for, as a throttled one does, and its key is listed under the partition's own actor. A message that the
//! partition sends itself through the log computes them: once no more records wait, or after [`RECORDS_MAX`] records. What the record of a
//! milestone itself changes does not wait, and neither does an erasure. Without a backlog, milestones are put off where the batch has
//! [`OUTPUTS_MAX`] outputs already.

use tributary_proto::{ResumeUnit, attributor_message::Body};
use tributary_runtime::mailbox::Mail;
use tributary_runtime::stage::{Context, Outbox, PartitionSlice};
use tributary_runtime::state::{State, StateError};

use crate::remodel::WALK;

/// The key under which the message is sent begins with this: no unit has such a name.
const KEY: &str = "put-off:";
/// Begins the sub-keys of the list; the unit's key follows. Part of the stored format: do not change.
const SUB: u8 = b'w';
/// How many records a partition handles, at most, before milestones are computed in spite of a backlog.
const RECORDS_MAX: u64 = 100_000;
/// Once a batch has so many outputs, of all partitions of the worker, what can wait does: they must fit into a transaction.
const OUTPUTS_MAX: usize = 4_000;
/// So many a partition adds even then from its list, so that each one advances.
const OUTPUTS_MIN: usize = 500;
/// One of so many units that were put off because a batch was full is computed even then. So full batches do not make the list longer and
/// longer: they show how much output records cause, and the next batches have fewer records.
const OWED_PART: usize = 4;
/// How many units are looked up at once.
const UNITS: usize = 256;

/// What a partition has put off.
#[derive(Debug, Default)]
pub(crate) struct PutOff {
    /// The message is on its way. A partition that was just taken over does not know: a second message does no harm.
    on_its_way: bool,
    /// How often the message was read in this batch.
    resumed: usize,
    /// Records handled since the list was empty, or the partition was taken over.
    handled: u64,
    /// Units that were listed because a batch was full, and are not computed yet.
    owed: usize,
}

/// Whether a batch has as many outputs as it should.
pub(crate) fn is_full(outbox: &Outbox) -> bool {
    outbox.outputs.len() > OUTPUTS_MAX
}

fn sub(unit: &[u8]) -> Vec<u8> {
    [&[SUB], unit].concat()
}

/// The keys of the first units of the list.
fn first(state: &mut dyn State) -> Result<Vec<Vec<u8>>, StateError> {
    let mut units = Vec::new();
    state.scan(&WALK.actor(), &[SUB], &[SUB + 1], &mut |sub, _| {
        units.push(sub.get(1..).unwrap_or_default().to_vec());
        units.len() < UNITS
    })?;
    Ok(units)
}

impl PutOff {
    /// Whether a message that resumes a unit is the partition's own. It counts as read in this batch.
    pub fn take(&mut self, key: &[u8]) -> bool {
        let own = key.starts_with(KEY.as_bytes());
        self.resumed += usize::from(own);
        own
    }

    /// How often it was read in this batch.
    pub fn resumes(&self) -> usize {
        self.resumed
    }

    /// Lists a unit: because more records wait, or else because the batch is full.
    pub fn add(
        &mut self,
        unit: &[u8],
        more_waits: bool,
        context: &mut Context<'_>,
        slice: PartitionSlice,
    ) -> Result<(), StateError> {
        let sub = sub(unit);
        if context.state.get(&WALK.actor(), &sub)?.is_none() {
            context.state.put(&WALK.actor(), &sub, &[]);
            self.owed += usize::from(!more_waits);
        }
        if !self.on_its_way {
            self.send(context, slice);
        }
        Ok(())
    }

    /// Whether the milestones are to be computed now, after a batch of so many records. If not, the message is sent once more.
    pub fn is_due(&mut self, handled: u64, more_waits: bool, context: &mut Context<'_>, slice: PartitionSlice) -> bool {
        self.handled += handled;
        if std::mem::take(&mut self.resumed) == 0 {
            return false;
        }
        self.on_its_way = false;
        if more_waits && handled > 0 && self.handled < RECORDS_MAX {
            self.send(context, slice);
            return false;
        }
        true
    }

    /// Computes with `compute` what the list has; sends the message for the rest if that is much.
    pub fn compute(
        &mut self,
        context: &mut Context<'_>,
        slice: PartitionSlice,
        mut compute: impl FnMut(&[u8], &mut Context<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let (from, mut least) = (context.outbox.outputs.len(), self.owed.div_ceil(OWED_PART));
        loop {
            let units = first(context.state)?;
            if units.is_empty() {
                (self.handled, self.owed) = (0, 0);
                return Ok(());
            }
            for unit in units {
                if least == 0 && is_full(context.outbox) && context.outbox.outputs.len() - from > OUTPUTS_MIN {
                    self.send(context, slice);
                    return Ok(());
                }
                compute(&unit, context)?;
                context.state.delete(&WALK.actor(), &sub(&unit));
                (least, self.owed) = (least.saturating_sub(1), self.owed.saturating_sub(1));
            }
        }
    }

    /// The batch will not be committed.
    pub fn discard(&mut self) {
        *self = Self::default();
    }

    fn send(&mut self, context: &mut Context<'_>, slice: PartitionSlice) {
        self.on_its_way = true;
        Body::ResumeUnit(ResumeUnit::default()).post(context.outbox, slice.some_key(KEY));
    }
}

#[cfg(test)]
mod tests {
    use tributary_runtime::state::{EmptyBase, Overlay};
    use tributary_runtime::topic::Topic;

    use super::*;

    const SLICE: PartitionSlice = PartitionSlice { partition: 0, partitions: 1 };

    /// A partition with a state of its own.
    struct World {
        state: Overlay<EmptyBase>,
        put_off: PutOff,
        listed: u32,
    }

    impl World {
        fn new() -> Self {
            Self { state: Overlay::new(EmptyBase), put_off: PutOff::default(), listed: 0 }
        }

        /// Lists so many units.
        fn list(&mut self, units: u32, more_waits: bool) {
            let mut outbox = Outbox::default();
            for unit in self.listed..self.listed + units {
                let mut context = Context { state: &mut self.state, outbox: &mut outbox };
                self.put_off.add(&unit.to_be_bytes(), more_waits, &mut context, SLICE).unwrap();
            }
            self.listed += units;
        }

        /// Ends a batch that has `before` outputs already, where each unit has `each`; returns how many units it has computed.
        fn end_batch(&mut self, before: usize, each: usize) -> usize {
            let (mut outbox, mut computed) = (Outbox::default(), 0);
            write(&mut outbox, before);
            let mut context = Context { state: &mut self.state, outbox: &mut outbox };
            assert!(self.put_off.take(KEY.as_bytes()) && self.put_off.is_due(1, false, &mut context, SLICE));
            let compute = |_: &[u8], context: &mut Context<'_>| {
                computed += 1;
                write(context.outbox, each);
                Ok(())
            };
            self.put_off.compute(&mut context, SLICE, compute).unwrap();
            computed
        }
    }

    fn write(outbox: &mut Outbox, outputs: usize) {
        (0..outputs).for_each(|_| outbox.unpublish(Topic::Credits, b"row"));
    }

    /// How many units each batch computes of 20 that were put off in a backlog.
    fn computed(before: usize, each: usize) -> Vec<usize> {
        let mut world = World::new();
        world.list(20, true);
        let mut batches = Vec::new();
        while world.put_off.on_its_way {
            batches.push(world.end_batch(before, each));
        }
        batches
    }

    #[test]
    fn what_a_batch_computes_of_the_list_fits_into_a_transaction() {
        assert_eq!(computed(0, 10), [20]);
        assert_eq!(computed(0, OUTPUTS_MAX / 4), [5, 5, 5, 5]);
        assert_eq!(computed(OUTPUTS_MAX + 1, OUTPUTS_MIN / 2), [3, 3, 3, 3, 3, 3, 2], "each partition advances");
    }

    #[test]
    fn full_batches_do_not_make_the_list_longer_and_longer() {
        let mut world = World::new();
        let mut waiting = 0;
        for _ in 0..100 {
            world.list(1_000, false);
            waiting = waiting + 1_000 - world.end_batch(OUTPUTS_MAX + 1, 100);
            assert!(waiting <= 1_000 * OWED_PART, "{waiting}");
        }
    }
}
