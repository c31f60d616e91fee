//! What an identifier brought and has been erased is dropped, and refused for ever.

use tributary_proto::Erasure;
use tributary_runtime::state::StateError;

use super::keys::{self, IdentifierHash};
use super::{Span, Unit, corrupt};
use crate::metrics;
use crate::wire::{TouchView, voids};

impl Unit<'_, '_> {
    /// Drops the touches of an identifier that the erasures `told` void; returns them together with those that were `known`.
    pub(super) fn void_touches(
        &mut self,
        hash: &IdentifierHash,
        known: &[Erasure],
        told: &[Erasure],
    ) -> Result<Vec<Erasure>, StateError> {
        let mut all = known.to_vec();
        for erasure in told {
            match all.iter_mut().find(|known| known.mention == erasure.mention) {
                Some(known) => known.until_ms = known.until_ms.max(erasure.until_ms),
                None => all.push(*erasure),
            }
        }
        let Some(until_ms) = all.iter().map(|erasure| erasure.until_ms).max().filter(|_| all != known) else { return Ok(all) };
        let (mut gone, mut unreadable, mut span) = (Vec::new(), false, Span::default());
        self.scan_touches(hash, i64::MIN, until_ms, &mut |sub, raw| match TouchView::parse(raw) {
            Ok(touch) => {
                if all.iter().any(|erasure| voids(erasure, touch.mention, touch.time_ms)) {
                    gone.push(sub.to_vec());
                    span.add(touch.time_ms);
                }
                true
            }
            Err(_) => {
                unreadable = true;
                false
            }
        })?;
        if unreadable {
            return Err(corrupt(&self.actor, &keys::of_identifier(keys::TOUCH, hash)));
        }
        if !gone.is_empty() {
            self.dirty().erased.join(span);
        }
        self.post.outbox.observe(&metrics::TOUCHES_ERASED, "dropped", gone.len() as u64);
        for sub in gone {
            self.state.delete(&self.actor, &sub);
        }
        Ok(all)
    }

    /// Whether a touch that an identifier brought is void, by what is known here of its erasures.
    pub(super) fn is_void(erasures: &[Erasure], touch: &TouchView<'_>) -> bool {
        erasures.iter().any(|erasure| voids(erasure, touch.mention, touch.time_ms))
    }
}
