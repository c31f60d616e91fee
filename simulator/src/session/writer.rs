//! One transaction on its way to the simulated cluster, with all faults that can occur.

use std::collections::BTreeMap;

use tributary_proto::{DeadLetter, partition};
use tributary_runtime::exactly_once::{Ended, INPUTS_KEY, Inputs, TransactionWriter};
use tributary_runtime::log::{LogError, Routed, Transaction};
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

use super::SimSession;
use crate::cluster::{Committed, Entry, Refused};
use crate::faults::Fault;
use crate::surroundings::{Late, SimProducer, Surroundings};

/// Why a transaction did not get through, or is not known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The process was killed.
    Crashed,
    /// The cluster refused.
    Refused(Refused),
    /// A record could not be written.
    NotDelivered,
    /// There was no answer.
    Unknown,
}

impl Trouble {
    /// What the session says of it.
    pub fn error(self, operation: &'static str) -> LogError {
        match self {
            Self::Crashed => LogError::stop(operation, "the process was killed"),
            Self::Refused(why) => LogError::recover(operation, format!("{why:?}")),
            Self::NotDelivered => LogError::recover(operation, "a record was not delivered"),
            Self::Unknown => LogError::recover(operation, "no answer in time"),
        }
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// See the module.
pub struct SimWriter<'a> {
    around: &'a Surroundings,
    session: &'a SimSession,
    /// What will be known once it is committed.
    ended: Ended,
}

impl<'a> SimWriter<'a> {
    /// The wire of a session.
    pub fn new(around: &'a Surroundings, session: &'a SimSession) -> Self {
        Self { around, session, ended: Ended::default() }
    }

    fn write(&self, producer: &SimProducer, topic: Topic, to: u32, entry: Entry) -> Result<u64, Trouble> {
        if self.around.strikes(Fault::DeliveryFailed) {
            return Err(Trouble::NotDelivered);
        }
        Ok(self.around.cluster.borrow_mut().produce(&producer.id, producer.epoch, topic, to, entry)?)
    }

    fn entry(&self, key: Vec<u8>, value: Option<Vec<u8>>, timestamp_ms: i64) -> Entry {
        Entry::new(key, value, timestamp_ms, self.around.cluster.borrow().now_ms)
    }

    fn change_at(&mut self, producer: &SimProducer, to: u32, key: &[u8], value: Option<&[u8]>) -> Result<(), Trouble> {
        let Some(changelog) = self.session.log.changelog else { return Err(Trouble::Unknown) };
        let offset = self.write(producer, changelog, to, self.entry(key.to_vec(), value.map(<[u8]>::to_vec), 0))?;
        self.ended.changelog.insert(to, offset + 1);
        Ok(())
    }

    fn stand_still(&self) {
        if self.around.strikes(Fault::ZombieInCommit) {
            self.session
                .others()
                .ok()
                .into_iter()
                .for_each(|others| others.zombie(self.session.log.stage, &self.session.instance));
        }
    }
}

impl TransactionWriter for SimWriter<'_> {
    type Producer = SimProducer;
    type Error = Trouble;

    fn begin(&mut self, _: &SimProducer) -> Result<(), Trouble> {
        self.stand_still();
        self.session.may_crash(self.around, Fault::CrashBeforeBegin)
    }

    fn output(&mut self, producer: &SimProducer, routed: &Routed) -> Result<(), Trouble> {
        let output = routed.output.clone();
        self.write(producer, output.topic, routed.partition, self.entry(output.key, output.value, routed.timestamp_ms))?;
        self.session.may_crash(self.around, Fault::CrashInTransaction)
    }

    fn dead_letter(&mut self, producer: &SimProducer, letter: &DeadLetter) -> Result<(), Trouble> {
        let output = Output::dead_letter(letter, false);
        let to = partition::of(&output.key, self.around.cluster.borrow().partitions(Topic::DeadLetters));
        self.write(producer, Topic::DeadLetters, to, self.entry(output.key, output.value, 0)).map(|_| ())
    }

    fn change(&mut self, producer: &SimProducer, partition: u32, key: &[u8], value: Option<&[u8]>) -> Result<(), Trouble> {
        self.change_at(producer, partition, key, value)
    }

    fn inputs(&mut self, producer: &SimProducer, partition: u32, inputs: &Inputs) -> Result<(), Trouble> {
        self.change_at(producer, partition, INPUTS_KEY, Some(&inputs.encode()))
    }

    fn offsets(
        &mut self,
        producer: &SimProducer,
        transaction: &Transaction,
        next: &BTreeMap<u32, Inputs>,
    ) -> Result<(), Trouble> {
        self.session.may_crash(self.around, Fault::CrashBeforeOffsets)?;
        self.stand_still();
        let (stage, member) = (self.session.log.stage, (self.session.instance.as_str(), self.session.membership));
        let sender = (producer.id.as_str(), producer.epoch);
        let offsets: Vec<(Topic, u32, Committed)> = transaction
            .offsets
            .iter()
            .map(|(topic, at, offset)| {
                let direct = next.get(at).and_then(|inputs| inputs.direct);
                (*topic, *at, Committed { next: *offset, direct })
            })
            .collect();
        let mut cluster = self.around.cluster.borrow_mut();
        cluster.add_offsets(sender, stage, member, &offsets, &self.session.handed)?;
        drop(cluster);
        if self.around.strikes(Fault::OffsetsSentTwice) {
            self.around.later(producer, Late::Offsets(stage, offsets));
            self.ended.connection_lost = true;
        }
        Ok(())
    }

    fn end(&mut self, producer: &SimProducer) -> Result<Ended, Trouble> {
        self.session.may_crash(self.around, Fault::CrashBeforeEnd)?;
        self.stand_still();
        if self.around.strikes(Fault::OutcomeUnknownLost) {
            return Err(Trouble::Unknown);
        }
        if self.around.strikes(Fault::OutcomeUnknownLate) {
            self.around.later(producer, Late::Commit);
            return Err(Trouble::Unknown);
        }
        self.around.cluster.borrow_mut().end(&producer.id, producer.epoch, true)?;
        self.around.write_marks();
        if self.around.strikes(Fault::OutcomeUnknownCommitted) {
            return Err(Trouble::Unknown);
        }
        self.session.may_crash(self.around, Fault::CrashBeforeStore)?;
        self.stand_still();
        if self.around.strikes(Fault::EndSentTwice) {
            self.around.later(producer, Late::Commit);
            self.ended.connection_lost = true;
        }
        Ok(std::mem::take(&mut self.ended))
    }
}
