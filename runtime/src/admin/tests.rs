//! A listener and a client: what they return, and what they must not reveal or do.

use super::*;
use crate::admin::{Holdings, Listener};
use crate::config::Secret;
use crate::config::admin::AdminSettings;
use crate::exactly_once::{INPUTS_KEY, Position};
use crate::state::{RocksStore, StoreBudget};

const ACTOR: ActorKey = ActorKey([7; 17]);

struct Case {
    _folder: tempfile::TempDir,
    store: RocksStore,
    holdings: Holdings,
    address: String,
    token: Secret,
}

impl Case {
    fn new(token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::open(&folder.path().join("0"), &StoreBudget::new(8 << 20)).unwrap();
        let token = Secret::new(token);
        let settings = AdminSettings { token: token.clone(), ..AdminSettings::default() };
        let listener = Listener::bind(&settings, "pipeline", "one").unwrap();
        let (holdings, address) = (listener.holdings(), listener.advertised().to_owned());
        listener.serve(axum::Router::new(), "a-service").unwrap();
        holdings.ready(("identity", 0), 3, Some(store.clone()));
        holdings.restoring(("identity", 1), 4);
        holdings.ready(("ingest", 0), 0, None);
        Self { _folder: folder, store, holdings, address, token }
    }

    fn client(&self) -> Client {
        Client::connect(&self.address, &self.token).unwrap()
    }

    fn view(&self) -> Arc<RemoteView> {
        Arc::new(RemoteView::open(self.client(), "identity").unwrap())
    }

    fn write(&self, values: &[(&[u8], &[u8])], next: u64) {
        let inputs = Inputs::of([(Topic::IdentityInbox, next)].into()).encode();
        let rows: Vec<(Vec<u8>, &[u8])> =
            values.iter().map(|(sub, value)| ([ACTOR.0.as_slice(), *sub].concat(), *value)).collect();
        let changes = rows.iter().map(|(key, value)| (key.as_slice(), Some(*value)));
        let position = Position { changelog_next: next, as_of_ms: 1 };
        self.store.write(changes.chain(std::iter::once((INPUTS_KEY, Some(inputs.as_slice())))), position).unwrap();
    }
}

fn scan(base: &RemoteBase, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    base.scan(&ACTOR, from, to, &mut |sub, value| found.push((sub.to_vec(), value.to_vec()))).unwrap();
    found
}

#[test]
fn the_partitions_held_are_listed() {
    let case = Case::new("");
    let holder = case.client().holder().unwrap();
    assert_eq!((holder.group_prefix.as_str(), holder.instance.as_str()), ("pipeline", "one"));
    let held: Vec<_> = holder.partitions.iter().map(|of| (of.stage.as_str(), of.partition, of.restoring)).collect();
    assert_eq!(held, [("identity", 3, false), ("identity", 4, true), ("ingest", 0, false)]);
    case.holdings.gone(("identity", 1), 3);
    assert_eq!(case.client().holder().unwrap(), holder, "it is another worker's");
    case.holdings.gone(("identity", 0), 3);
    assert_eq!(case.client().holder().unwrap().partitions.len(), 2);
    assert_eq!(case.view().partitions().count(), 0);
}

#[test]
fn a_view_is_of_one_moment_and_of_all_that_was_committed_by_then() {
    let case = Case::new("");
    case.write(&[(b"a", b"1"), (b"b", b"2")], 5);
    let before = RemoteBase { view: case.view(), partition: 3 };
    case.write(&[(b"a", b"9"), (b"c", b"3")], 6);
    let after = RemoteBase { view: case.view(), partition: 3 };

    let one = |base: &RemoteBase, sub: &[u8]| base.get(&ACTOR, sub).unwrap();
    assert_eq!((one(&before, b"a"), one(&before, b"c")), (Some(b"1".to_vec()), None));
    assert_eq!((one(&after, b"a"), one(&after, b"c")), (Some(b"9".to_vec()), Some(b"3".to_vec())));
    assert_eq!(scan(&before, b"", b""), [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())]);
    assert_eq!(scan(&after, b"b", b"c"), [(b"b".to_vec(), b"2".to_vec())]);
    let inputs = |base: &RemoteBase| base.view.partitions().next().unwrap();
    assert_eq!(inputs(&before), (3, Inputs::of([(Topic::IdentityInbox, 5)].into())));
    assert_eq!(inputs(&after), (3, Inputs::of([(Topic::IdentityInbox, 6)].into())));
    assert!(RemoteBase { view: case.view(), partition: 4 }.get(&ACTOR, b"a").is_err(), "it is being restored");
}

#[test]
fn what_exceeds_one_answer_comes_with_the_next() {
    let case = Case::new("");
    let large = vec![1; 300_000];
    let subs: Vec<[u8; 1]> = (0..60).map(|sub| [sub]).collect();
    case.write(&subs.iter().map(|sub| (&sub[..], large.as_slice())).collect::<Vec<_>>(), 1);
    let base = RemoteBase { view: case.view(), partition: 3 };
    let found = scan(&base, b"", b"");
    assert_eq!(found.iter().map(|(sub, _)| sub[0]).collect::<Vec<_>>(), (0..60).collect::<Vec<_>>());
    assert!(found.iter().all(|(_, value)| *value == large));

    let read =
        |sub: &[u8], one| Read { partition: 3, actor: ACTOR.0.to_vec(), from: sub.to_vec(), to: Vec::new(), one, actors: 0 };
    let reads: Vec<Read> = (0..40).map(|sub| read(&[sub], true)).chain([read(&[58], false)]).collect();
    let found = base.view.read(reads).unwrap();
    assert!(found[..40].iter().all(|rows| rows.len() == 1));
    assert_eq!(found[40].len(), 2);
}

#[test]
fn without_the_token_or_with_another_host_name_nothing_is_answered() {
    let case = Case::new("s3cret");
    case.client().holder().unwrap();
    for wrong in ["", "s3cre", "s3cret2", "other."] {
        let refused = Client::connect(&case.address, &Secret::new(wrong)).unwrap().holder().unwrap_err();
        assert!(matches!(&refused, AskError::Refused { status: 401, .. }), "{refused}");
        assert!(!refused.to_string().contains("s3cret"));
    }
    let open = Case::new("");
    let port = open.address.rsplit_once(':').unwrap().1.to_owned();
    let refused = Client::connect(&format!("localhost:{port}"), &Secret::default()).unwrap().holder().unwrap_err();
    assert!(matches!(refused, AskError::Refused { status: 421, .. }), "{refused}");
}

#[test]
fn views_expire_and_their_number_is_limited() {
    let case = Case::new("");
    let mut client = case.client();
    let gone = client.call(Method::POST, &format!("{VIEW}/77"), Vec::new()).unwrap_err();
    assert!(matches!(gone, AskError::Refused { status: 410, .. }), "{gone}");
    let views: Vec<Arc<RemoteView>> = (0..8).map(|_| case.view()).collect();
    let busy = RemoteView::open(case.client(), "identity").err().unwrap();
    assert!(matches!(busy, AskError::Refused { status: 503, .. }), "{busy}");
    drop(views);
    case.view();
    let malformed = client.call(Method::POST, &format!("{VIEW}/1"), vec![0xff]).unwrap_err();
    assert!(matches!(malformed, AskError::Refused { status: 400, .. }), "{malformed}");
    let large = client.call(Method::POST, &format!("{VIEW}/1"), vec![0; 3 << 20]).unwrap_err();
    assert!(matches!(large, AskError::Refused { status: 413, .. } | AskError::Broken { .. }), "{large}");
    let unreachable = Client::connect("127.0.0.1:1", &Secret::default()).err().unwrap();
    assert!(unreachable.to_string().contains("127.0.0.1:1 cannot be reached"), "{unreachable}");
}

#[test]
fn idle_connections_do_not_block_others() {
    use std::io::Write;
    let case = Case::new("s3cret");
    let mut strangers = Vec::new();
    for number in 0..200 {
        let mut stranger = std::net::TcpStream::connect(&case.address).unwrap();
        if number % 2 == 0 {
            // The server may have closed the connection already.
            let _ = stranger.write_all(b"GET /holdings HTTP/1.1\r\nhost:");
        }
        strangers.push(stranger);
        if number % 50 == 49 {
            case.client().holder().unwrap();
        }
    }
}

#[test]
fn actors_of_a_kind_are_listed_in_steps() {
    let case = Case::new("");
    let position = Position { changelog_next: 1, as_of_ms: 1 };
    let keys: Vec<[u8; 17]> = [(6, 9), (7, 1), (7, 2), (7, 3), (8, 0)]
        .map(|(tag, at)| [&[tag; 1][..], &[at; 16]].concat().try_into().unwrap())
        .into();
    let rows: Vec<Vec<u8>> = keys.iter().flat_map(|key| [b"a", b"b"].map(|sub| [key.as_slice(), sub].concat())).collect();
    case.store.write(rows.iter().map(|key| (key.as_slice(), Some(&b"1"[..]))), position).unwrap();
    let base = RemoteBase { view: case.view(), partition: 3 };
    let step = |after: Option<&ActorKey>, max| base.actors(7, after, max).unwrap();
    let all = [1, 2, 3].map(|at| ActorKey(keys[at]));
    assert_eq!(step(None, 2), all[..2]);
    assert_eq!(step(Some(&all[1]), 2), all[2..]);
    assert_eq!(step(Some(&all[2]), 2), []);
    assert_eq!(base.actors(9, None, 2).unwrap(), []);
}
