//! Account hierarchies: a record of an account may name its parent.
//!
//! The latest parent of an account counts, by event time and event. An account sends its list of ancestors, nearest first, to all that
//! asked for its id, and so to the accounts below it. Each of these puts its parent in front of the list it received. The lists become
//! complete message by message: the first ancestor after one, the second after two. A path that comes back to an account ends there, so a
//! cycle settles, too: no account in it has a parent, and the one with the smallest id is the root of all.

use tributary_proto::{Identifier, Placement};
use tributary_runtime::config::AccountLevel;
use tributary_runtime::state::StateError;

use crate::days::standing;
use crate::group::{Answers, Assertions, Group};
use crate::names::{account_named, account_of};
use crate::settings::Rules;
use crate::stamp::stamp_key;

/// Most levels of a hierarchy, the account itself included. Above that, the last account reached is the root.
pub const LEVELS_MAX: usize = 64;

/// The accounts above an account.
#[derive(Debug, Default)]
pub struct Above {
    own: String,
    parent_id: String,
    /// See [`Placement::above`].
    units: Vec<String>,
    /// The account identifier to subscribe to, and the member that subscribes.
    pub asked: Option<(Identifier, Identifier)>,
}

impl Above {
    /// The accounts above the account of these identifiers, whose unit is `own`.
    ///
    /// # Errors
    /// When `answers` fails.
    pub fn of(own: String, group: &Group<'_>, assertions: &Assertions, answers: &mut Answers<'_>) -> Result<Self, StateError> {
        let Some((parent, by)) = parent(group, assertions) else { return Ok(Self { own, ..Self::default() }) };
        let told = answers(parent.hash())?;
        let further = told.as_ref().map(|told| told.above.clone()).unwrap_or_default();
        let (unit, parent_id) = account_of(&parent, told);
        let units = way(&own, unit, further);
        Ok(Self { own, parent_id, units, asked: Some((parent, by)) })
    }

    /// The placement of the account's identifiers.
    pub fn placement(&self, account_id: &str, rules: &Rules) -> Placement {
        let root = root(&self.own, &self.units);
        let is_below = rules.account_level == AccountLevel::Root && root != self.own;
        Placement {
            unit: if is_below { root.to_owned() } else { self.own.clone() },
            account_unit: if is_below { self.own.clone() } else { String::new() },
            account_id: account_id.to_owned(),
            above: self.units.clone(),
            ..Placement::default()
        }
    }

    /// The ids of its parent and of its root; empty if it is its own root.
    pub fn ids(&self) -> (String, String) {
        let root = root(&self.own, &self.units);
        if root == self.own {
            return (String::new(), String::new());
        }
        (self.parent_id.clone(), id_of(root))
    }
}

/// A statement of a parent, or that there is none: stamp, the parent's canonical bytes, the parent, and the identifier that states it.
type Said<'a> = ((i64, &'a [u8]), Vec<u8>, Option<&'a Identifier>, &'a Identifier);

/// The parent that the latest record of any of these identifiers states, and that identifier.
fn parent(group: &Group<'_>, assertions: &Assertions) -> Option<(Identifier, Identifier)> {
    let mut latest: Option<Said<'_>> = None;
    for (hash, member) in group {
        let Some(by) = &member.identifier else { continue };
        for assertion in assertions.get(hash).into_iter().flatten() {
            let account = assertion.account.as_ref();
            let key = account.map(Identifier::key).unwrap_or_default();
            for at in assertion.day.iter().flat_map(standing) {
                let said = (stamp_key(Some(at)), key.clone(), account, by);
                if latest.as_ref().is_none_or(|known| (&known.0, &known.1) < (&said.0, &said.1)) {
                    latest = Some(said);
                }
            }
        }
    }
    let (_, _, account, by) = latest?;
    Some((account?.clone(), by.clone()))
}

/// The accounts above: the parent, then those above it, up to the first repetition.
fn way(own: &str, parent: String, further: Vec<String>) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    for unit in std::iter::once(parent).chain(further).take(LEVELS_MAX - 1) {
        let again = unit == own || units.contains(&unit);
        units.push(unit);
        if again {
            break;
        }
    }
    units
}

/// The unit of the top account: the last one on the way up. If the way ends in a circle, the account of the circle with the smallest id.
pub fn root<'a>(own: &'a str, above: &'a [String]) -> &'a str {
    let way: Vec<&str> = std::iter::once(own).chain(above.iter().map(String::as_str)).collect();
    let Some((last, before)) = way.split_last() else { return own };
    let circle = before.iter().position(|unit| unit == last).and_then(|from| before.get(from..)).unwrap_or_default();
    circle.iter().min_by_key(|unit| (id_of(unit), **unit)).copied().unwrap_or(last)
}

fn id_of(unit: &str) -> String {
    account_named(unit).map(|account| account.value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| format!("a:crm_account:{id}")).collect()
    }

    #[test]
    fn the_root_is_the_topmost_account_and_of_a_circle_the_smallest() {
        let root_of = |own: &str, above: &[&str]| id_of(root(&format!("a:crm_account:{own}"), &units(above)));
        assert_eq!(root_of("A", &[]), "A");
        assert_eq!(root_of("A", &["C", "B"]), "B");
        assert_eq!(root_of("A", &["C", "B", "A"]), "A");
        assert_eq!(root_of("X", &["C", "B", "C"]), "B");
        assert_eq!(root_of("X", &["X"]), "X");
    }

    #[test]
    fn the_search_for_a_root_ends_at_a_circle_and_at_the_depth_limit() {
        let way_of = |own: &str, parent: &str, further: &[&str]| {
            way(own, parent.into(), further.iter().map(|unit| (*unit).into()).collect())
        };
        assert_eq!(way_of("a", "b", &["c", "a", "b"]), ["b", "c", "a"]);
        assert_eq!(way_of("x", "b", &["c", "b", "c"]), ["b", "c", "b"]);
        let long: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        assert_eq!(way("own", "parent".into(), long).len(), LEVELS_MAX - 1);
    }
}
