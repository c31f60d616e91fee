//! Property test of the overlay against a map: after reads, writes, settling, discarding and evicting both hold the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_proto::Hash128;

use super::*;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn full(actor: &ActorKey, sub: &[u8]) -> Vec<u8> {
    [actor.0.as_slice(), sub].concat()
}

/// A store that is a map.
#[derive(Default)]
struct Stored(Map);

impl Base for Stored {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(&full(actor, sub)).cloned())
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        for (key, value) in self.0.range(full(actor, from)..) {
            let Some(sub) = key.strip_prefix(actor.0.as_slice()) else { break };
            if !to.is_empty() && sub >= to {
                break;
            }
            visit(sub, value);
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8, Vec<u8>, Vec<u8>),
    Delete(u8, Vec<u8>),
    Get(u8, Vec<u8>),
    Scan(u8, Vec<u8>, Vec<u8>),
    Settle(usize),
    Discard,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let actor = 0u8..3;
    // Two bytes with few values: enough different keys for the tree, and often the same one.
    let sub = || prop::collection::vec(0u8..12, 0..3);
    let value = prop::collection::vec(any::<u8>(), 0..4);
    let step = prop_oneof![
        8 => (actor.clone(), sub(), value).prop_map(|(actor, sub, value)| Step::Put(actor, sub, value)),
        2 => (actor.clone(), sub()).prop_map(|(actor, sub)| Step::Delete(actor, sub)),
        3 => (actor.clone(), sub()).prop_map(|(actor, sub)| Step::Get(actor, sub)),
        3 => (actor, sub(), sub()).prop_map(|(actor, from, to)| Step::Scan(actor, from, to)),
        1 => prop_oneof![Just(0), Just(500), Just(usize::MAX)].prop_map(Step::Settle),
        1 => Just(Step::Discard),
    ];
    prop::collection::vec(step, 0..400)
}

fn actor(number: u8) -> ActorKey {
    ActorKey::new(b'x', Hash128::of(&[number]))
}

/// Applies the steps to an overlay and to a map, and compares them; `commit` writes changes to the base.
fn check<B: Base>(base: B, commit: impl Fn(&mut B, Vec<Write>), steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut overlay = Overlay::new(base);
    let (mut now, mut committed) = (Map::new(), Map::new());
    for step in steps {
        match step {
            Step::Put(of, sub, value) => {
                overlay.put(&actor(of), &sub, &value);
                now.insert(full(&actor(of), &sub), value);
            }
            Step::Delete(of, sub) => {
                overlay.delete(&actor(of), &sub);
                now.remove(&full(&actor(of), &sub));
            }
            Step::Get(of, sub) => {
                let expected = now.get(&full(&actor(of), &sub)).map(Vec::as_slice);
                prop_assert_eq!(overlay.get(&actor(of), &sub).unwrap(), expected);
            }
            Step::Scan(of, from, to) => {
                let mut found = Vec::new();
                let mut visit = |sub: &[u8], value: &[u8]| {
                    found.push((full(&actor(of), sub), value.to_vec()));
                    true
                };
                overlay.scan(&actor(of), &from, &to, &mut visit).unwrap();
                let end = if to.is_empty() { full(&actor(of), &[u8::MAX]) } else { full(&actor(of), &to) };
                let start = full(&actor(of), &from);
                let expected = now.iter().filter(|(key, _)| **key >= start && **key < end);
                let expected: Vec<_> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(found, expected);
            }
            Step::Settle(budget) => {
                let writes = overlay.writes();
                let mut applied = if overlay.base.is_empty() { now.clone() } else { committed.clone() };
                for write in writes.clone() {
                    match write.value {
                        Some(value) => applied.insert(write.key, value),
                        None => applied.remove(&write.key),
                    };
                }
                prop_assert_eq!(&applied, &now, "the writes make the committed state the current one");
                let mut keys: Vec<_> = writes.iter().map(|write| &write.key).collect();
                keys.sort();
                keys.dedup();
                prop_assert_eq!(keys.len(), writes.len(), "each key is written once");
                commit(&mut overlay.base, writes);
                overlay.settle(if overlay.base.is_empty() { usize::MAX } else { budget });
                prop_assert!(!overlay.is_dirty());
                committed.clone_from(&now);
            }
            Step::Discard if overlay.base.is_empty() => {}
            Step::Discard => {
                overlay.discard();
                now.clone_from(&committed);
            }
        }
        let held: usize = overlay.actors.values().map(Actor::cost).sum();
        prop_assert_eq!(overlay.bytes(), held, "what is held is counted as it comes and goes");
    }
    Ok(())
}

proptest! {
    #[test]
    fn over_a_store_it_is_the_store_with_the_changes(steps in steps()) {
        let commit = |base: &mut Stored, writes: Vec<Write>| {
            for write in writes {
                match write.value {
                    Some(value) => base.0.insert(write.key, value),
                    None => base.0.remove(&write.key),
                };
            }
        };
        check(Stored::default(), commit, steps)?;
    }

    #[test]
    fn over_nothing_it_is_the_state(steps in steps()) {
        check(EmptyBase, |_, _| {}, steps)?;
    }
}
