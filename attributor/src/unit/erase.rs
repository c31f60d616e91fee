//! Touches and milestones of an identifier that were erased or retracted are dropped, and refused forever.

use tributary_proto::{Erasure, ResidentState};
use tributary_runtime::state::StateError;

use super::horizon::without_newest;
use super::keys::IdentifierHash;
use super::rows::id_of;
use super::{Span, Unit};
use crate::metrics;
use crate::view::{TouchView, voids};

impl Unit<'_, '_> {
    /// Deletes the touches of an identifier that the erasures `told` void, takes their rows back, and adds these erasures to those `known`.
    pub(super) fn void_touches(
        &mut self,
        hash: &IdentifierHash,
        known: &mut ResidentState,
        told: &[Erasure],
    ) -> Result<(), StateError> {
        let mut all = known.erasures.clone();
        for erasure in told {
            match all.iter_mut().find(|known| (known.identifier_set, known.event) == (erasure.identifier_set, erasure.event)) {
                Some(known) => known.until_ms = known.until_ms.max(erasure.until_ms),
                None => all.push(*erasure),
            }
        }
        let new: Vec<Erasure> = all.iter().filter(|erasure| !known.erasures.contains(erasure)).copied().collect();
        known.erasures = all;
        let untils = new.iter().map(|erasure| if erasure.event == 0 { erasure.until_ms } else { i64::MAX });
        let Some(until_ms) = untils.max() else { return Ok(()) };
        let (mut gone, mut ids) = (Vec::new(), Vec::new());
        let has_rows = self.may_have_rows()?;
        let (mut erased, mut retracted) = (Span::default(), Span::default());
        self.read_touches(hash, i64::MIN, until_ms, &mut |sub, raw| {
            let touch = TouchView::parse(raw)?;
            let mut by = new.iter().filter(|erasure| voids(erasure, &touch)).peekable();
            if by.peek().is_some() {
                gone.push(sub.to_vec());
                if has_rows {
                    ids.push(id_of(hash, raw)?);
                }
                let span = if by.all(|erasure| erasure.event != 0) { &mut retracted } else { &mut erased };
                span.add(touch.time_ms);
            }
            Ok(())
        })?;
        if !gone.is_empty() {
            self.dirty().erased.join(erased);
            self.dirty().retracted.join(retracted);
            let mut both = erased;
            both.join(retracted);
            known.extent = known.extent.map(|extent| without_newest(extent, both));
        }
        self.effects.outbox.observe(&metrics::TOUCHES_ERASED, "dropped", gone.len() as u64);
        for sub in gone {
            self.state.delete(&self.actor, &sub);
        }
        self.take_rows_back(&ids, &mut known.rows);
        Ok(())
    }
}
