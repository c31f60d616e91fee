//! The stage: one partition of the attributor's inbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_proto::{AttributorMessage, Message, Remodel, attributor_message::Body};
use tributary_runtime::log::StageLog;
use tributary_runtime::mailbox::Mailbox;
use tributary_runtime::remodel::{Begun, Own, Step};
use tributary_runtime::stage::{Context, PartitionSlice, Record, Stage, StageError};
use tributary_runtime::state::{ActorKey, State, StateError};
use tributary_runtime::throttle::still_to_wait;
use tributary_runtime::topic::Topic;

use crate::ledger::{self, Ledger};
use crate::metrics;
use crate::plan::Plan;
use crate::put_off::{self, PutOff};
use crate::remodel::{self, Rows, WALK};
use crate::unit::{self, Dirty, Effects, Scratch, Unit, malformed};
use crate::view::ItemView;

/// The topics that the stage reads and writes.
pub const LOG: StageLog =
    StageLog { stage: "attributor", inputs: &[Topic::AttributorInbox], changelog: Some(Topic::AttributorChangelog) };

/// The attributor stage of one partition.
///
/// Keeps nothing between batches: results are in the state and the outbox.
#[derive(Debug)]
pub struct AttributorStage {
    plan: Arc<Plan>,
    own: Own,
    mail: Mailbox<Vec<u8>, Body>,
    dirty: BTreeMap<ActorKey, Dirty>,
    /// Buffers for encoding rows of touches.
    scratch: Scratch,
    /// The throttled units that may resume, each with the work still to wait for.
    wakes: Vec<(Vec<u8>, u64)>,
    /// Steps of the walk after changed settings that may be due.
    remodels: Vec<Remodel>,
    /// Whether the partition was empty when its first record arrived; `None` before that, and once it is stored.
    new: Option<bool>,
    /// Whether the state already says that touches may have rows.
    rows_noted: bool,
    /// See [`Stage::remodelled`].
    remodelled: Option<u32>,
    /// The records of the batch, not counting requests to resume or to take a step.
    handled: u64,
    /// See [`Stage::more_waits`].
    more_waits: bool,
    put_off: PutOff,
}

impl AttributorStage {
    /// The attributor of the partition `slice`.
    pub fn new(plan: Arc<Plan>, slice: PartitionSlice) -> Self {
        Self {
            own: Own { digest: plan.digest, generation: 0 },
            plan,
            mail: Mailbox::new(slice),
            dirty: BTreeMap::new(),
            scratch: Scratch::default(),
            wakes: Vec::new(),
            remodels: Vec::new(),
            new: None,
            rows_noted: false,
            remodelled: None,
            handled: 0,
            more_waits: false,
            put_off: PutOff::default(),
        }
    }

    /// With the generation of its settings; 0 if generations are not used.
    #[must_use]
    pub fn of_generation(mut self, generation: u64) -> Self {
        self.own.generation = generation;
        self
    }

    fn dispatch(&mut self, key: &[u8], body: Body, context: &mut Context<'_>) -> Result<(), StageError> {
        match body {
            Body::CreditRows(credit_rows) => self.ledger(key, context).credit_rows(credit_rows),
            Body::Arrive(arrive) => self.with_unit(key, context, |unit| unit.arrive(arrive)),
            Body::Move(message) => self.with_unit(key, context, |unit| unit.leave(&message)),
            Body::HandOver(message) => self.with_unit(key, context, |unit| unit.hand_over(message)),
            Body::ResumeUnit(_) if self.put_off.take(key) => Ok(()),
            Body::ResumeUnit(wake) => {
                self.wakes.push((key.to_vec(), wake.wait));
                Ok(())
            }
            Body::Remodel(remodel) => {
                self.remodels.push(remodel);
                Ok(())
            }
            Body::Item(item) => {
                let encoded = AttributorMessage { body: Some(Body::Item(item)) }.encode_to_vec();
                let item = ItemView::parse(&encoded).ok().flatten().ok_or_else(malformed)?;
                self.with_unit(key, context, |unit| unit.item(&item))
            }
        }
    }

    fn with_unit<T, E>(
        &mut self,
        key: &[u8],
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Unit<'_, '_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Context { state, outbox } = context;
        let state: &mut dyn State = *state;
        let mut effects = Effects { mail: &mut self.mail, outbox, scratch: &mut self.scratch };
        work(&mut Unit {
            actor: unit::keys::actor(key),
            key,
            plan: &self.plan,
            state,
            effects: &mut effects,
            dirty: &mut self.dirty,
        })
    }

    fn ledger<'a>(&self, key: &'a [u8], context: &'a mut Context<'_>) -> Ledger<'a> {
        Ledger { actor: ledger::actor(key), key, state: &mut *context.state, outbox: &mut *context.outbox }
    }

    /// How many records of the batch only resume what was begun before.
    fn resumes(&self) -> usize {
        self.wakes.len() + self.remodels.len() + self.put_off.resumes()
    }

    /// Handles the messages between actors of this partition.
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

impl AttributorStage {
    /// Computes some more units by changed settings, if the step is due.
    fn remodel(&mut self, message: &Remodel, handled: u64, context: &mut Context<'_>) -> Result<(), StateError> {
        let share = self.mail.slice();
        let Some(Step { first, mut known, actors }) = WALK.step(context.state, message, self.own)? else { return Ok(()) };
        let wait = still_to_wait(message.wait, handled, 1);
        if wait > 0 {
            remodel::send(context, share, Remodel { wait, ..*message });
            return Ok(());
        }
        let (on, rules) = (self.plan.outputs.touchpoints, self.plan.channel_rules());
        let there = if on { Rows::found(context.state, rules)? } else { Rows::known(context.state)? };
        if !on && there != Rows::None {
            // From now on, some rows are taken back.
            Rows::Some.note(context.state)?;
        }
        if first {
            context.outbox.observe(&metrics::REMODELS, "begun", 1);
        }
        let (mut cost, mut made) = (0, 0);
        for actor in &actors {
            if let Some(key) = unit::name_of(context.state, actor, on || there != Rows::None)? {
                cost += self.with_unit(&key, context, |unit| unit.remodel(there))?;
                self.deliver(context)?;
            }
            known.after = actor.0.to_vec();
            made += 1;
            if cost > self.plan.rest_after {
                break;
            }
        }
        known.units += made;
        context.outbox.observe(&metrics::REMODELLED_UNITS, "", made);
        if actors.is_empty() {
            context.outbox.observe(&metrics::REMODELS, "finished", 1);
            if on {
                Rows::note_all(context.state, rules)?;
            } else {
                Rows::None.note(context.state)?;
            }
        }
        let next = WALK.made(context.state, known, cost, actors.is_empty());
        self.go_on(next, context);
        Ok(())
    }

    /// Requests the next step, and stores the progress.
    fn go_on(&mut self, begun: Begun, context: &mut Context<'_>) {
        self.remodelled = begun.thousandths;
        if let Some(message) = begun.send {
            remodel::send(context, self.mail.slice(), message);
        }
    }

    /// Computes what was put off while records waited.
    fn compute_put_off(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        let mut put_off = std::mem::take(&mut self.put_off);
        let done = put_off.compute(context, self.mail.slice(), |unit, context| {
            self.with_unit(unit, context, |unit| unit.take_up())?;
            self.deliver(context)
        });
        self.put_off = put_off;
        done
    }

    /// Checks whether the partition is empty, before anything is changed in it.
    fn look(&mut self, state: &mut dyn State) -> Result<(), StateError> {
        if self.new.is_none() {
            self.new = Some(WALK.is_new(state)?);
        }
        Ok(())
    }
}

impl Stage for AttributorStage {
    fn begin(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        let begun = WALK.begin(context.state, self.own)?;
        self.go_on(begun, context);
        Ok(())
    }

    fn remodelled(&self) -> Option<u32> {
        self.remodelled
    }

    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        self.look(context.state)?;
        let resumes = self.resumes();
        match ItemView::parse(record.value).map_err(|_| malformed())? {
            Some(item) => self.with_unit(record.key, context, |unit| unit.item(&item))?,
            None => {
                let message = AttributorMessage::decode(record.value).map_err(|_| malformed())?;
                self.dispatch(record.key, message.body.ok_or_else(malformed)?, context)?;
            }
        }
        self.handled += u64::from(self.resumes() == resumes);
        Ok(self.deliver(context)?)
    }

    fn more_waits(&mut self, more: bool) {
        self.more_waits = more;
    }

    fn end_batch(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        let more_waits = self.more_waits;
        for mut dirty in std::mem::take(&mut self.dirty).into_values() {
            context.outbox.caused_at(dirty.received_ms);
            let key = std::mem::take(&mut dirty.key);
            let waits = more_waits || put_off::is_full(context.outbox);
            if self.with_unit(&key, context, |unit| unit.recompute(dirty, waits))? {
                self.put_off.add(&key, more_waits, context, self.mail.slice())?;
            }
            self.deliver(context)?;
        }
        let (wakes, handled) = (std::mem::take(&mut self.wakes), std::mem::take(&mut self.handled));
        for (key, wait) in &wakes {
            let wait = still_to_wait(*wait, handled, wakes.len() as u64);
            self.with_unit(key, context, |unit| unit.wake(wait))?;
            self.deliver(context)?;
        }
        if self.put_off.is_due(handled, more_waits, context, self.mail.slice()) {
            self.compute_put_off(context)?;
        }
        for message in std::mem::take(&mut self.remodels) {
            self.remodel(&message, handled, context)?;
        }
        if handled > 0 && self.plan.outputs.touchpoints && !self.rows_noted {
            if Rows::known(context.state)? == Rows::None {
                if self.new == Some(true) {
                    Rows::note_all(context.state, self.plan.channel_rules())?;
                } else {
                    Rows::Some.note(context.state)?;
                }
            }
            self.rows_noted = true;
        }
        if handled > 0 && self.new == Some(true) {
            WALK.note(context.state, self.own);
            self.new = Some(false);
        }
        Ok(())
    }

    fn discard_batch(&mut self) {
        self.mail.clear();
        self.dirty.clear();
        self.put_off.discard();
        self.wakes.clear();
        self.remodels.clear();
        self.new = None;
        self.rows_noted = false;
        self.handled = 0;
    }
}
