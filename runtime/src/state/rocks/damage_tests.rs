//! A bit that flips in a file is noticed, or does no harm: it never becomes another value.

use tributary_proto::Hash128;

use super::*;
use crate::state::{ACTOR_KEY_LEN, ActorKey, Base};

const CASES: usize = 500;
const ROUNDS: u64 = 6;
const KEYS: u64 = 300;

/// By sub-key.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![7; ACTOR_KEY_LEN];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn value(number: u64, round: u64) -> Vec<u8> {
    format!("value {number} of round {round} ").repeat(4).into_bytes()
}

/// What is in the store after a round.
fn expected(round: u64) -> State {
    let mut state = BTreeMap::new();
    for round in 1..=round {
        for number in (0..KEYS).filter(|number| (number + round) % 3 == 0) {
            if (number + round) % 6 == 0 {
                state.remove(&key(number)[ACTOR_KEY_LEN..]);
            } else {
                state.insert(key(number)[ACTOR_KEY_LEN..].to_vec(), value(number, round));
            }
        }
    }
    state
}

fn fill(path: &Path, budget: &StoreBudget) {
    let store = RocksStore::open(path, budget).unwrap();
    for round in 1..=ROUNDS {
        let changes: Vec<_> = (0..KEYS)
            .filter(|number| (number + round) % 3 == 0)
            .map(|number| (key(number), ((number + round) % 6 != 0).then(|| value(number, round))))
            .collect();
        let changes = changes.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        store.write(changes, Position { changelog_next: round, as_of_ms: round }).unwrap();
        store.flush().unwrap();
    }
}

/// Everything that can be read, with the position.
fn read(path: &Path, budget: &StoreBudget) -> Result<(u64, State), String> {
    let store = RocksStore::open(path, budget).map_err(|error| error.to_string())?;
    let position = store.position().map_err(|error| error.to_string())?;
    let mut state = BTreeMap::new();
    store
        .scan(&ActorKey([7; ACTOR_KEY_LEN]), b"", b"", &mut |sub, value| {
            state.insert(sub.to_vec(), value.to_vec());
        })
        .map_err(|error| error.to_string())?;
    for sub in state.keys() {
        let got = store.get(&ActorKey([7; ACTOR_KEY_LEN]), sub).map_err(|error| error.to_string())?;
        assert_eq!(got.as_ref(), state.get(sub), "a get is not what the scan said");
    }
    Ok((position.map_or(0, |position| position.changelog_next), state))
}

fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    std::fs::create_dir_all(to).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        files.push(to.join(entry.file_name()));
    }
    files.sort();
    files
}

#[test]
fn a_flipped_bit_is_noticed_or_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    fill(&whole, &StoreBudget::new(8 << 20));
    let (mut unharmed, mut rebuilt, mut stopped) = (0, 0, 0);
    for case in 0..CASES {
        let path = folder.path().join(format!("case-{case}"));
        let files = copy(&whole, &path);
        let holds_state = |file: &&PathBuf| {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap();
            name.ends_with(".sst") || name.starts_with("MANIFEST") || name == "CURRENT"
        };
        let candidates: Vec<_> = files.iter().filter(holds_state).collect();
        let draw = |what: &str, below: usize| {
            let hash = Hash128::of(format!("{case} {what}").as_bytes()).to_bytes();
            u64::from_be_bytes(hash[..8].try_into().unwrap()) as usize % below
        };
        let victim = candidates[draw("file", candidates.len())];
        let mut bytes = std::fs::read(victim).unwrap();
        let at = draw("byte", bytes.len());
        bytes[at] ^= 1 << draw("bit", 8);
        std::fs::write(victim, bytes).unwrap();
        let place = format!("case {case}: byte {at} of {}", victim.display());

        match read(&path, &StoreBudget::new(8 << 20)) {
            Ok((0, state)) => {
                assert_eq!(state, BTreeMap::new(), "{place}");
                rebuilt += 1;
            }
            Ok((position, state)) => {
                assert!(state == expected(position), "{place}: another state than that of position {position}");
                unharmed += 1;
            }
            Err(why) => {
                stopped += 1;
                let again = read(&path, &StoreBudget::new(8 << 20)).unwrap_or_else(|why| panic!("{place}: stuck: {why}"));
                assert_eq!(again, (0, BTreeMap::new()), "{place}: {why}");
            }
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
    println!(
        "{CASES} flipped bits: {unharmed} did no harm, {rebuilt} rebuilt at once, {stopped} stopped and rebuilt at the next start"
    );
    assert!(stopped > 50 && rebuilt > 5, "too few were noticed: {stopped} and {rebuilt}");
}
