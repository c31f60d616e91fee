use std::fs;

use super::*;
use crate::state::{ACTOR_KEY_LEN, ActorKey, Base, Load};

fn at(changelog_next: u64) -> Position {
    Position { changelog_next, as_of_ms: 7 }
}

fn key(tag: u8, sub: &[u8]) -> Vec<u8> {
    let mut key = vec![tag; ACTOR_KEY_LEN];
    key.extend_from_slice(sub);
    key
}

fn subs(store: &RocksStore, tag: u8, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    store.scan(&ActorKey([tag; ACTOR_KEY_LEN]), from, to, &mut |sub, value| seen.push((sub.to_vec(), value.to_vec()))).unwrap();
    seen
}

#[test]
fn what_is_written_is_read_and_scans_stay_with_their_actor() {
    let folder = tempfile::tempdir().unwrap();
    let budget = StoreBudget::new(8 << 20);
    let store = RocksStore::open(&folder.path().join("s/0"), &budget).unwrap();
    assert_eq!(store.position().unwrap(), None);
    let keys = [key(5, b""), key(5, b"a"), key(5, b"b"), key(6, b"a"), key(254, b"z")];
    store.write(keys.iter().map(|key| (key.as_slice(), Some(&b"v"[..]))), at(11)).unwrap();
    store.write([(keys[1].as_slice(), None)].into_iter(), at(12)).unwrap();

    assert_eq!(store.position().unwrap(), Some(at(12)));
    assert_eq!(store.get(&ActorKey([5; ACTOR_KEY_LEN]), b"b").unwrap(), Some(b"v".to_vec()));
    assert_eq!(store.get(&ActorKey([5; ACTOR_KEY_LEN]), b"a").unwrap(), None);
    assert_eq!(subs(&store, 5, b"", b"").len(), 2);
    assert_eq!(subs(&store, 5, b"a", b"").len(), 1);
    assert_eq!(subs(&store, 5, b"", b"b").len(), 1);
    assert_eq!(subs(&store, 5, b"b", b"b").len(), 0);
    assert_eq!(subs(&store, 254, b"", b"").len(), 1);
}

#[test]
fn sorted_files_override_one_another_and_can_be_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let budget = StoreBudget::new(8 << 20);
    let path = folder.path().join("0");
    let store = RocksStore::open(&path, &budget).unwrap();
    let (a, b, c) = (key(1, b"a"), key(1, b"b"), key(1, b"c"));
    let mut load = Load::default();
    load.push(&b, Some(b"old"));
    load.push(&a, Some(b"1"));
    load.push(&c, Some(b"1"));
    store.ingest(&mut load, at(3)).unwrap();
    load.clear();
    load.push(&b, None);
    load.push(&a, Some(b"2"));
    store.ingest(&mut load, at(5)).unwrap();
    store.write([(c.as_slice(), Some(&b"3"[..]))].into_iter(), at(6)).unwrap();
    drop(store);

    let store = RocksStore::open(&path, &budget).unwrap();
    assert_eq!(subs(&store, 1, b"", b""), [(b"a".to_vec(), b"2".to_vec()), (b"c".to_vec(), b"3".to_vec())]);
    assert_eq!(store.position().unwrap(), Some(at(6)));
}

#[test]
fn a_cleared_store_is_empty_and_can_be_loaded_again() {
    let (folder, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = RocksStore::open(folder.path(), &StoreBudget::new(8 << 20)).unwrap();
    let (a, b) = (key(1, b"a"), key(1, b"b"));
    store.write([a.as_slice(), &b].into_iter().map(|key| (key, Some(&b"1"[..]))), at(4)).unwrap();
    store.flush().unwrap();
    store.clear().unwrap();
    assert_eq!((store.position().unwrap(), subs(&store, 1, b"", b"")), (None, vec![]));
    let mut load = Load::with_room(1_000);
    load.push(&b, Some(b"2"));
    load.push(&a, None);
    store.ingest(&mut load, at(9)).unwrap();
    // The files as after a crash: loaded data is on disk, so cleared data must be gone from there.
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, crashed.path().join(path.file_name().unwrap())).unwrap();
    }
    let crashed = RocksStore::open(crashed.path(), &StoreBudget::new(8 << 20)).unwrap();
    for store in [store, crashed] {
        assert_eq!(subs(&store, 1, b"", b""), [(b"b".to_vec(), b"2".to_vec())]);
        assert_eq!(store.position().unwrap(), Some(at(9)));
    }
}

#[test]
fn only_the_latest_opening_writes() {
    let folder = tempfile::tempdir().unwrap();
    let budget = StoreBudget::new(8 << 20);
    let first = RocksStore::open(folder.path(), &budget).unwrap();
    let second = RocksStore::open(folder.path(), &budget).unwrap();
    second.write(std::iter::empty(), at(2)).unwrap();
    assert!(matches!(first.write(std::iter::empty(), at(1)), Err(StoreError::Superseded { .. })));
    assert_eq!(first.position().unwrap(), Some(at(2)));
}

#[test]
fn a_folder_in_use_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let held = RocksStore::open(folder.path(), &StoreBudget::new(8 << 20)).unwrap();
    // Another budget does not know the stores of the first one, as in another process.
    let refused = RocksStore::open(folder.path(), &StoreBudget::new(8 << 20)).err().unwrap();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains(folder.path().to_str().unwrap()));
    drop(held);
}

#[test]
fn a_corrupt_folder_is_set_aside_and_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let budget = StoreBudget::new(8 << 20);
    let path = folder.path().join("0");
    let store = RocksStore::open(&path, &budget).unwrap();
    store.write([(key(1, b"a").as_slice(), Some(&b"1"[..]))].into_iter(), at(1)).unwrap();
    drop(store);
    std::fs::write(path.join("CURRENT"), b"cut sho").unwrap();

    let store = RocksStore::open(&path, &budget).unwrap();
    assert_eq!(store.position().unwrap(), None);
    assert!(folder.path().join("0.corrupt").exists());
}

#[test]
fn a_position_of_another_version_is_refused() {
    assert_eq!(Position::decode(&at(9).encode()), Some(at(9)));
    let mut other = at(9).encode();
    other[0] = 2;
    assert_eq!(Position::decode(&other), None);
    assert_eq!(Position::decode(b"\x01short"), None);
}

/// Copies a folder of an earlier version; see `fixtures/README.md`.
fn fixture(version: &str, to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state/rocks/fixtures").join(version);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_folder_of_version_1_opens_with_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0");
    fixture("version-1", &path);
    let store = RocksStore::open(&path, &StoreBudget::new(8 << 20)).unwrap();
    assert_eq!(store.position().unwrap(), Some(at(41)));
    assert_eq!(store.value(&key(5, b"a")).unwrap(), Some(b"kept".to_vec()));
    assert_eq!(store.value(&key(5, b"b")).unwrap(), None, "it was removed");
    assert!(!folder.path().join("0.corrupt").exists());
}

#[test]
fn a_folder_of_an_unknown_version_is_set_aside_and_created_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0");
    fixture("version-0", &path);
    let budget = StoreBudget::new(8 << 20);
    assert!(matches!(RocksStore::open_read_only(&path, &budget), Err(StoreError::Format { .. })));
    let store = RocksStore::open(&path, &budget).unwrap();
    assert_eq!((store.position().unwrap(), store.value(&key(5, b"a")).unwrap()), (None, None));
    assert!(folder.path().join("0.corrupt").exists());
}

/// Writes the fixtures for a new version of the format: `cargo test -p tributary-runtime --features native fixtures -- --ignored`.
#[test]
#[ignore = "writes files of the project"]
fn write_the_fixtures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/state/rocks/fixtures");
    for version in [0, POSITION_VERSION] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0");
        let store = RocksStore::open(&path, &StoreBudget::new(8 << 20)).unwrap();
        let keys = [key(5, b"a"), key(5, b"b")];
        store.write(keys.iter().map(|key| (key.as_slice(), Some(&b"kept"[..]))), at(40)).unwrap();
        store.write([(keys[1].as_slice(), None)].into_iter(), at(41)).unwrap();
        let mut position = at(41).encode();
        position[0] = version;
        store.inner.db.put(POSITION_KEY, position).unwrap();
        store.flush().unwrap();
        drop(store);
        let to = root.join(format!("version-{version}"));
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(&path).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if !["LOG", "LOCK", "OPTIONS"].iter().any(|needless| name.starts_with(needless)) {
                std::fs::copy(entry.path(), to.join(name)).unwrap();
            }
        }
    }
}

#[test]
fn what_reached_the_disk_can_be_read_beside_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let budget = StoreBudget::new(8 << 20);
    let path = folder.path().join("0");
    assert!(RocksStore::open_read_only(&path, &budget).is_err(), "there is none");
    let store = RocksStore::open(&path, &budget).unwrap();
    let key = key(5, b"a");
    store.write([(key.as_slice(), Some(&b"1"[..]))].into_iter(), at(1)).unwrap();
    store.flush().unwrap();
    store.write([(key.as_slice(), Some(&b"2"[..]))].into_iter(), at(2)).unwrap();

    let reader = RocksStore::open_read_only(&path, &budget).unwrap();
    assert_eq!((reader.value(&key).unwrap(), reader.position().unwrap()), (Some(b"1".to_vec()), Some(at(1))));
    assert_eq!(subs(&reader, 5, b"", b"").len(), 1);
    assert!(matches!(reader.write(std::iter::empty(), at(3)), Err(StoreError::Superseded { .. })));
    store.write(std::iter::empty(), at(3)).unwrap();
}
