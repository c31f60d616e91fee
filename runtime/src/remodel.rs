//! Applies changed settings to everything that a partition holds.
//!
//! The state of a partition stores the digest of the settings that computed it. A worker that finds another digest sends a `Remodel`
//! message to its own inbox. Then it walks over all actors of some kinds in the order of their keys: some at a time, and between the steps
//! other records get as much time as the step has cost. Its progress is in the state, changed in the batch that computed it, so it
//! continues there after a crash. The second of two messages for one step has no effect, so a new owner of the partition may start the walk
//! again. Records that arrive meanwhile are computed with the new settings anyway.
//!
//! The stage decides what is done with an actor, and sends the messages that this module requests, through the log.

use tributary_proto::{Hash128, Remodel, RemodelState};

use crate::generation::RefusedGeneration;
use crate::state::{self, ActorKey, State, StateError};

/// Most actors of a step.
const STEP_ACTORS: usize = 256;

/// The settings of a worker: their digest, and their generation; 0 if generations are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// The digest.
    pub digest: u64,
    /// The generation.
    pub generation: u64,
}

/// The actors that a stage's walk visits, and where its progress is stored.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    /// Tag of the partition itself among the stage's actors.
    pub tag: u8,
    /// The sub-key of its [`RemodelState`].
    pub sub: [u8; 1],
    /// Tags of the actors to walk over, ascending.
    pub over: &'static [u8],
}

/// The result of checking a partition that is taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Begun {
    /// The progress, in thousandths; `None` if there is nothing to do.
    pub thousandths: Option<u32>,
    /// The message to be sent to the partition's own inbox.
    pub send: Option<Remodel>,
}

/// A step that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Whether it is the first of its pass.
    pub first: bool,
    /// The progress that is stored with it.
    pub known: RemodelState,
    /// The actors to recompute.
    pub actors: Vec<ActorKey>,
}

impl Walk {
    /// The partition's own actor.
    pub fn actor(&self) -> ActorKey {
        ActorKey::new(self.tag, Hash128(0))
    }

    fn known(&self, state: &mut dyn State) -> Result<Option<RemodelState>, StateError> {
        state::get_message(state, &self.actor(), &self.sub)
    }

    /// Whether the partition is empty, so that everything in it will be computed by these settings.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn is_new(&self, state: &mut dyn State) -> Result<bool, StateError> {
        if self.known(state)?.is_some() {
            return Ok(false);
        }
        for tag in self.over {
            if !state.actors(*tag, None, 1)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stores that everything is computed by these settings.
    pub fn note(&self, state: &mut dyn State, own: Own) {
        let known = RemodelState { digest: own.digest, generation: own.generation, ..RemodelState::default() };
        state::put_message(state, &self.actor(), &self.sub, &known);
    }

    /// Checks by which settings a partition was computed that is taken over.
    ///
    /// # Errors
    /// When they are newer, or the state cannot be read.
    pub fn begin(&self, state: &mut dyn State, own: Own) -> Result<Begun, StateError> {
        if self.is_new(state)? {
            return Ok(Begun::default());
        }
        let known = self.known(state)?.unwrap_or_default();
        if own.generation != 0 && own.generation < known.generation {
            return Err(RefusedGeneration::State { own: own.generation, found: known.generation }.into());
        }
        let same = known.digest == own.digest && known.target == 0;
        if same && known.generation >= own.generation {
            return Ok(Begun::default());
        }
        let far = if known.target == own.digest { self.thousandths(&known) } else { 0 };
        let send = Some(Remodel { digest: own.digest, step: known.step, wait: 0 });
        Ok(Begun { thousandths: (!same).then_some(far), send })
    }

    /// The step that a message requests. `None` if it was done already, or belongs to a former worker.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn step(&self, state: &mut dyn State, message: &Remodel, own: Own) -> Result<Option<Step>, StateError> {
        let mut known = self.known(state)?.unwrap_or_default();
        if message.step != known.step || message.digest != own.digest {
            return Ok(None);
        }
        known.generation = known.generation.max(own.generation);
        if known.digest == own.digest && known.target == 0 {
            // The same settings are in force again.
            state::put_message(state, &self.actor(), &self.sub, &known);
            return Ok(None);
        }
        let first = known.target != own.digest;
        if first {
            let RemodelState { step, digest, generation, .. } = known;
            known = RemodelState { target: own.digest, step, digest, generation, ..RemodelState::default() };
        }
        let actors = self.next(state, &known)?;
        Ok(Some(Step { first, known, actors }))
    }

    /// The next actors.
    fn next(&self, state: &mut dyn State, known: &RemodelState) -> Result<Vec<ActorKey>, StateError> {
        let after = ActorKey::of(&known.after);
        for tag in self.over.iter().filter(|tag| after.is_none_or(|after| after.tag() <= **tag)) {
            let behind = after.filter(|after| after.tag() == *tag);
            let found = state.actors(*tag, behind.as_ref(), STEP_ACTORS)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Stores a step that is done; the last one has no actors. Returns the progress in thousandths, and the message that requests the next
    /// step after `cost` was spent on other records.
    pub fn made(&self, state: &mut dyn State, mut known: RemodelState, cost: u64, last: bool) -> Begun {
        known.step += 1;
        let begun = if last {
            let RemodelState { target, step, generation, .. } = known;
            known = RemodelState { digest: target, step, generation, ..RemodelState::default() };
            Begun::default()
        } else {
            let send = Some(Remodel { digest: known.target, step: known.step, wait: cost });
            Begun { thousandths: Some(self.thousandths(&known)), send }
        };
        state::put_message(state, &self.actor(), &self.sub, &known);
        begun
    }

    /// The progress of a pass, estimated: actors of a kind come in the order of their hashes, which are evenly spread.
    fn thousandths(&self, known: &RemodelState) -> u32 {
        let at = known.after.get(1..5).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        let kind = self.over.iter().position(|tag| known.after.first() == Some(tag)).unwrap_or_default();
        let (kinds, kind) = (self.over.len().max(1) as u64, kind as u64);
        u32::try_from(((kind << 32) + u64::from(at)) * 1_000 / (kinds << 32)).unwrap_or(1_000)
    }
}
