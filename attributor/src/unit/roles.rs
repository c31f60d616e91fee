//! Roles of residents in deals.

use tributary_proto::Role;

use super::Unit;

impl Unit<'_, '_> {
    /// The roles of an identifier changed: marks the milestones of the objects concerned. With `person` the identifier's person changed,
    /// too, so all its objects are concerned.
    pub(super) fn roles_changed(&mut self, before: &[Role], now: &[Role], person: bool) {
        if !self.plan.uses_roles {
            return;
        }
        let only_in = |some: &[Role], other: &[Role]| {
            let changed = some.iter().filter(|role| person || !other.contains(role));
            changed.map(|role| role.object_id.clone()).collect::<Vec<_>>()
        };
        let objects = [only_in(before, now), only_in(now, before)].concat();
        if !objects.is_empty() {
            self.dirty().objects.extend(objects);
        }
    }
}
