//! The touches of a unit, as stored and as journeys see them.

use tributary_runtime::state::{self, StateError};

use super::keys::{self, IdentifierHash};
use super::{Unit, corrupt};
use crate::classifier::{face, renewed};
use crate::view::Malformed;

/// A callback for a touch: its sub-key, and the encoded `StoredTouch`.
type Read<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Malformed> + 'a;

impl Unit<'_, '_> {
    /// Visits the touches that an identifier has here between two times, both included.
    pub(crate) fn scan_touches(
        &mut self,
        hash: &IdentifierHash,
        from_ms: i64,
        to_ms: i64,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let from = keys::touches_from(hash, from_ms);
        let to = match to_ms.checked_add(1) {
            Some(after) => keys::touches_from(hash, after).to_vec(),
            None => state::prefix_end(&keys::of_identifier(keys::TOUCH, hash)),
        };
        self.state.scan(&self.actor, &from, &to, visit)
    }

    /// The same for read-only callers; ends with the first touch that cannot be read.
    pub(crate) fn read_touches(
        &mut self,
        hash: &IdentifierHash,
        from_ms: i64,
        to_ms: i64,
        read: &mut Read<'_>,
    ) -> Result<(), StateError> {
        let mut unreadable = None;
        self.scan_touches(hash, from_ms, to_ms, &mut |sub, raw| {
            let is_read = read(sub, raw).is_ok();
            if !is_read {
                unreadable = Some(sub.to_vec());
            }
            is_read
        })?;
        unreadable.map_or(Ok(()), |sub| Err(corrupt(&self.actor, &sub)))
    }

    /// The same, as journeys use them: see [`face`].
    pub(crate) fn scan_faces(
        &mut self,
        hash: &IdentifierHash,
        from_ms: i64,
        to_ms: i64,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StateError> {
        let classifier = self.plan.classifier.as_deref();
        self.read_touches(hash, from_ms, to_ms, &mut |_, raw| face(raw, classifier).map(|face| visit(&face)))
    }

    /// Stores the classification of the touches here by the plan's rules, so that it need not be done at every computation; returns how
    /// many changed.
    pub(super) fn renew_touches(&mut self, hash: &IdentifierHash) -> Result<u64, StateError> {
        let Some(classifier) = self.plan.classifier.as_deref() else { return Ok(0) };
        let mut changed = Vec::new();
        self.read_touches(hash, i64::MIN, i64::MAX, &mut |sub, raw| {
            changed.extend(renewed(raw, classifier)?.map(|raw| (sub.to_vec(), raw)));
            Ok(())
        })?;
        for (sub, raw) in &changed {
            self.state.delete(&self.actor, sub);
            if let Some(time_ms) = keys::time_ms(sub) {
                self.state.put(&self.actor, &keys::touch(hash, time_ms, raw), raw);
            }
        }
        Ok(changed.len() as u64)
    }
}
