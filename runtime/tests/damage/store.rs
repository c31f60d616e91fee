//! The state of a partition on Kafka: the changelog has all of it, so that a damaged store is thrown away and restored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tributary_runtime::exactly_once::Position;
use tributary_runtime::state::{ACTOR_KEY_LEN, ActorKey, Base, RocksStore, StoreBudget};

use super::inflict::copy;
use super::{Outcome, Victim};

const ROUNDS: u64 = 6;
const EARLY: u64 = 3;
const KEYS: u64 = 300;
const ACTOR: ActorKey = ActorKey([7; ACTOR_KEY_LEN]);

/// By sub-key.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Copies of a store: after some rounds, and after all.
pub struct Stores {
    early: PathBuf,
    whole: PathBuf,
}

fn value(number: u64, round: u64) -> Vec<u8> {
    format!("value {number} of round {round} ").repeat(4).into_bytes()
}

/// What a round changes: by sub-key, the value or its removal.
fn changes(round: u64) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
    let of =
        move |number: u64| (number.to_be_bytes().to_vec(), (!(number + round).is_multiple_of(6)).then(|| value(number, round)));
    (0..KEYS).filter(move |number| (number + round).is_multiple_of(3)).map(of)
}

/// What is in the store after a round.
fn expected(round: u64) -> State {
    let mut state = State::new();
    for (sub, value) in (1..=round).flat_map(changes) {
        match value {
            Some(value) => state.insert(sub, value),
            None => state.remove(&sub),
        };
    }
    state
}

impl Stores {
    pub fn make(folder: &Path) -> Self {
        let path = folder.join("store");
        let stores = Self { early: folder.join("early"), whole: folder.join("whole") };
        let store = RocksStore::open(&path, &StoreBudget::new(8 << 20)).unwrap();
        for round in 1..=ROUNDS {
            let changes: Vec<_> = changes(round).map(|(sub, value)| ([ACTOR.0.as_slice(), &sub].concat(), value)).collect();
            let changes = changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
            store.write(changes, Position { changelog_next: round, as_of_ms: round }).unwrap();
            store.flush().unwrap();
            match round {
                EARLY => copy(&path, &stores.early),
                ROUNDS => copy(&path, &stores.whole),
                _ => {}
            }
        }
        stores
    }
}

/// Everything that can be read, with the position.
fn read(path: &Path) -> Result<(u64, State), String> {
    let store = RocksStore::open(path, &StoreBudget::new(8 << 20)).map_err(|error| error.to_string())?;
    let position = store.position().map_err(|error| error.to_string())?;
    let mut state = State::new();
    let insert = &mut |sub: &[u8], value: &[u8]| {
        state.insert(sub.to_vec(), value.to_vec());
    };
    store.scan(&ACTOR, b"", b"", insert).map_err(|error| error.to_string())?;
    for sub in state.keys() {
        let got = store.get(&ACTOR, sub).map_err(|error| error.to_string())?;
        assert_eq!(got.as_ref(), state.get(sub), "a get is not what the scan said");
    }
    Ok((position.map_or(0, |position| position.changelog_next), state))
}

impl Victim for Stores {
    fn folders(&self, _: u64) -> (&Path, &Path) {
        (&self.whole, &self.early)
    }

    fn look(&self, _: u64, folder: &Path, _: &dyn Fn()) -> Outcome {
        match read(folder) {
            Ok((position, state)) => {
                assert!(state == expected(position), "another state than that of position {position}");
                // From an earlier position on, the changelog has the rest.
                if position == ROUNDS { Outcome::Harmless } else { Outcome::Restored }
            }
            Err(why) => {
                let again = read(folder).unwrap_or_else(|why| panic!("stuck: {why}"));
                assert_eq!(again, (0, State::new()), "{why}");
                Outcome::Told("when it is read; restored at the next start".to_owned())
            }
        }
    }
}
