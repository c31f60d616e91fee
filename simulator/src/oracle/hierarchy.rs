//! Account hierarchies.

use std::collections::{BTreeMap, BTreeSet};

use tributary_proto::Event;
use tributary_proto::event::Body;

use super::name::Name;
use super::statements::{When, day, when};
use super::void::Void;

/// Most levels of a hierarchy, the account itself included.
pub const LEVELS: usize = 64;

/// A statement of a parent: when, the parent's canonical bytes, and the parent; `None` if it states that there is none.
pub type Said = (When, Vec<u8>, Option<Name>);

/// By account identifier, the parents that its records state: of each parent and day the first and the last, without retracted ones.
pub fn parents(events: &[&Event], void: &Void) -> BTreeMap<Name, BTreeSet<Said>> {
    let mut by_day: BTreeMap<(Name, Option<Name>, i64), Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| !event.public && event.identifiers.is_empty()) {
        let (Some(Body::Account(record)), Some(first)) = (&event.body, event.account_identifiers.first()) else { continue };
        let parent = record.parent.as_ref().map(Name::of);
        if parent.is_some() || record.parent_cleared {
            by_day.entry((Name::of(first), parent, day(event))).or_default().push(event);
        }
    }
    let mut all: BTreeMap<Name, BTreeSet<Said>> = BTreeMap::new();
    for ((account, parent, _), events) in by_day {
        let first = events.iter().min_by_key(|event| when(event));
        let last = events.iter().max_by_key(|event| when(event));
        let bytes = parent.as_ref().map(|parent| parent.bytes()).unwrap_or_default();
        for event in first.into_iter().chain(last).filter(|event| !void.is_retracted(event)) {
            let said: Said = (when(event), bytes.clone(), parent.clone());
            all.entry(account.clone()).or_default().insert(said);
        }
    }
    all
}

/// The top of the hierarchy above `own`, where `above` gives the parent. If the parents form a circle, its smallest member is the top.
pub fn root<T: Clone + Ord>(own: &T, above: impl Fn(&T) -> Option<T>) -> T {
    let mut way = vec![own.clone()];
    while let Some(next) = way.last().and_then(&above).filter(|_| way.len() < LEVELS) {
        if let Some(at) = way.iter().position(|passed| *passed == next) {
            return way.split_off(at).into_iter().min().unwrap_or(next);
        }
        way.push(next);
    }
    way.pop().unwrap_or_else(|| own.clone())
}

#[cfg(test)]
mod tests {
    use super::root;

    #[test]
    fn roots() {
        let above = |of: &u32| match of {
            1 => Some(2),
            2 => Some(3),
            3 => Some(5),
            5 => Some(4),
            4 => Some(3),
            9 => Some(9),
            7 => Some(6),
            _ => None,
        };
        assert_eq!([1, 5, 6, 7, 9].map(|of| root(&of, above)), [3, 3, 6, 6, 9]);
        assert_eq!(root(&0, |of| Some(of + 1)), 63);
    }
}
