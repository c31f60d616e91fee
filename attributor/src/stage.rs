//! The stage: one partition of the attributor's inbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_proto::{AttributorMessage, Message, attributor_message::Body};
use tributary_runtime::log::StageLog;
use tributary_runtime::mailbox::Mailbox;
use tributary_runtime::stage::{Context, Record, Share, Stage, StageError};
use tributary_runtime::state::{ActorKey, State, StateError};
use tributary_runtime::topic::Topic;

use crate::ledger::{self, Ledger};
use crate::plan::Plan;
use crate::unit::{self, Dirty, Post, Unit, malformed};
use crate::wire::ItemView;

/// What the stage reads and keeps.
pub const LOG: StageLog =
    StageLog { stage: "attributor", inputs: &[Topic::AttributorInbox], changelog: Some(Topic::AttributorChangelog) };

/// The attributor, of one partition.
///
/// Between batches it holds nothing: what a batch leaves is in the state and the outbox.
#[derive(Debug)]
pub struct AttributorStage {
    plan: Arc<Plan>,
    mail: Mailbox<Vec<u8>, Body>,
    dirty: BTreeMap<ActorKey, Dirty>,
    /// The units whose rest may be over, and what each has still to wait.
    wakes: Vec<(Vec<u8>, u64)>,
    /// The records of the batch, but for those.
    handled: u64,
}

impl AttributorStage {
    /// The attributor of the partition that `share` names.
    pub fn new(plan: Arc<Plan>, share: Share) -> Self {
        Self { plan, mail: Mailbox::new(share), dirty: BTreeMap::new(), wakes: Vec::new(), handled: 0 }
    }

    fn dispatch(&mut self, key: &[u8], body: Body, context: &mut Context<'_>) -> Result<(), StageError> {
        match body {
            Body::Desired(desired) => self.ledger(key, context).desired(desired),
            Body::Arrive(arrive) => self.with_unit(key, context, |unit| unit.arrive(arrive)),
            Body::Move(message) => self.with_unit(key, context, |unit| unit.leave(&message)),
            Body::HandOver(message) => self.with_unit(key, context, |unit| unit.hand_over(message)),
            Body::Wake(wake) => {
                self.wakes.push((key.to_vec(), wake.wait));
                Ok(())
            }
            Body::Item(item) => {
                let encoded = AttributorMessage { body: Some(Body::Item(item)) }.encode_to_vec();
                let item = ItemView::parse(&encoded).ok().flatten().ok_or_else(malformed)?;
                self.with_unit(key, context, |unit| unit.item(&item))
            }
        }
    }

    fn with_unit<E>(
        &mut self,
        key: &[u8],
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Unit<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Context { state, outbox } = context;
        let state: &mut dyn State = *state;
        let mut post = Post { mail: &mut self.mail, outbox };
        work(&mut Unit { actor: unit::keys::actor(key), key, plan: &self.plan, state, post: &mut post, dirty: &mut self.dirty })
    }

    fn ledger<'a>(&self, key: &'a [u8], context: &'a mut Context<'_>) -> Ledger<'a> {
        Ledger { actor: ledger::actor(key), key, state: &mut *context.state, outbox: &mut *context.outbox }
    }

    /// Handles what the actors of this partition have sent one another.
    fn deliver(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        while let Some((key, body)) = self.mail.take() {
            match self.dispatch(&key, body, context) {
                Ok(()) => {}
                Err(StageError::State(error)) => return Err(error),
                Err(StageError::Rejected(rejection)) => context.outbox.reject(rejection),
            }
        }
        Ok(())
    }
}

impl Stage for AttributorStage {
    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        let wakes = self.wakes.len();
        match ItemView::parse(record.value).map_err(|_| malformed())? {
            Some(item) => self.with_unit(record.key, context, |unit| unit.item(&item))?,
            None => {
                let message = AttributorMessage::decode(record.value).map_err(|_| malformed())?;
                self.dispatch(record.key, message.body.ok_or_else(malformed)?, context)?;
            }
        }
        self.handled += u64::from(self.wakes.len() == wakes);
        Ok(self.deliver(context)?)
    }

    fn end_batch(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        for mut dirty in std::mem::take(&mut self.dirty).into_values() {
            context.outbox.caused_at(dirty.received_ms);
            let key = std::mem::take(&mut dirty.key);
            self.with_unit(&key, context, |unit| unit.recompute(dirty))?;
            self.deliver(context)?;
        }
        let (wakes, handled) = (std::mem::take(&mut self.wakes), std::mem::take(&mut self.handled));
        for (key, wait) in &wakes {
            let wait = unit::still_to_wait(*wait, handled, wakes.len() as u64);
            self.with_unit(key, context, |unit| unit.wake(wait))?;
            self.deliver(context)?;
        }
        Ok(())
    }

    fn discard_batch(&mut self) {
        self.mail.clear();
        self.dirty.clear();
        self.wakes.clear();
        self.handled = 0;
    }
}
