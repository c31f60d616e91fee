//! The people in a deal, as one of its milestones sees the unit.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::Role;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cast<'a> {
    /// The role of each profile that has one in the deal.
    roles: BTreeMap<&'a str, &'a str>,
    /// The profiles whose touches count; all if `None`.
    named: Option<BTreeSet<&'a str>>,
}

impl<'a> Cast<'a> {
    /// The cast of an object, from profile and roles of every identifier of a unit in the order of their hashes: of several roles of one
    /// profile the first counts. With `named_only`, people whom the object does not name are left out, if it names anybody.
    pub fn of(object_id: &str, people: impl Iterator<Item = (&'a str, &'a [Role])>, named_only: bool) -> Self {
        let (mut roles, mut named) = (BTreeMap::new(), BTreeSet::new());
        for (profile, all) in people {
            for role in all.iter().filter(|role| role.object_id == object_id) {
                named.insert(profile);
                if !role.role.is_empty() {
                    roles.entry(profile).or_insert(role.role.as_str());
                }
            }
        }
        Self { roles, named: Some(named).filter(|named| named_only && !named.is_empty()) }
    }

    /// The cast of a deal without roles: these profiles, or everybody if there are none.
    pub fn of_profiles(profiles: impl Iterator<Item = &'a str>) -> Self {
        let named: BTreeSet<&str> = profiles.collect();
        Self { roles: BTreeMap::new(), named: Some(named).filter(|named| !named.is_empty()) }
    }

    /// The only profiles whose touches count, sorted; empty if everybody's do.
    pub fn named(&self) -> impl Iterator<Item = &'a str> {
        self.named.iter().flatten().copied()
    }

    /// The role of a profile in the deal; `None` if it has none.
    pub(super) fn role(&self, profile: &str) -> Option<&'a str> {
        self.roles.get(profile).copied()
    }

    /// Whether the touches of some profiles are left out.
    pub fn is_of_some(&self) -> bool {
        self.named.is_some()
    }

    /// Whether touches of this profile count.
    pub fn includes(&self, profile: &str) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(profile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_role_of_a_profile_counts_and_only_named_people_are_listed() {
        let role = |object_id: &str, role: &str| Role { object_id: object_id.into(), role: role.into() };
        let (first, second, other) = ([role("6", ""), role("7", "user")], [role("6", "Champion")], [role("6", "Blocker")]);
        let people = || [("p_a", &first[..]), ("p_a", &second[..]), ("p_a", &other[..]), ("p_b", &[][..])].into_iter();
        let cast = Cast::of("6", people(), true);
        assert_eq!((cast.role("p_a"), cast.role("p_b")), (Some("Champion"), None));
        assert_eq!((cast.includes("p_a"), cast.includes("p_b")), (true, false));
        assert!(cast.named().eq(["p_a"]));
        let again = Cast::of_profiles(cast.named());
        assert_eq!((again.includes("p_a"), again.includes("p_b")), (true, false));
        assert_eq!(Cast::of_profiles([].into_iter()), Cast::default());
        assert!(Cast::of("6", people(), false).includes("p_b"));
        assert_eq!(Cast::of("8", people(), true), Cast::default(), "a deal that names nobody has everybody");
    }
}
