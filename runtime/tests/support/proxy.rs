//! A proxy between clients and a broker, which holds a request back, cuts the connection, and lets the request go when it does harm.
//!
//! It understands as much of the protocol as that takes: frames, the key of a request, its correlation id and who sent it. The client
//! cannot tell what it does from a network that loses a connection and delivers late what was under way on it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Keys of Kafka's requests.
pub mod api {
    pub const PRODUCE: i16 = 0;
    pub const ADD_PARTITIONS: i16 = 24;
    pub const ADD_OFFSETS: i16 = 25;
    pub const END_TXN: i16 = 26;
    pub const TXN_OFFSET_COMMIT: i16 = 28;
}

/// Longest wait for the broker's answer to a request that was held.
const ANSWER: Duration = Duration::from_secs(10);

/// Which requests are held, and when they are let go.
#[derive(Debug, Clone)]
pub struct Attack {
    /// The `client.id` of the victim.
    pub client: String,
    /// The request that is held; its connection is cut.
    pub hold: i16,
    /// How many of these pass before the next one is held.
    pub pass: u32,
    /// It is let go in the victim's next transaction, before the first request that follows answers to this one ...
    pub after: i16,
    /// ... so many of them.
    pub answers: u32,
}

/// What came of an attack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Toll {
    /// Requests that were held.
    pub held: u32,
    /// Of them, let go within a later transaction.
    pub released: u32,
    /// Of those that end a transaction, taken by the broker for the end of the later one.
    pub taken: u32,
}

struct Held {
    broker: TcpStream,
    frame: Vec<u8>,
    answer: std::sync::mpsc::Receiver<Vec<u8>>,
    /// Whether a later transaction has begun.
    opened: bool,
    answers: u32,
}

#[derive(Default)]
struct State {
    target: Option<String>,
    attack: Option<Attack>,
    passed: u32,
    held: Option<Held>,
    toll: Toll,
    frozen: bool,
    connections: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    thawed: Condvar,
}

/// See the module. It ends with the process.
pub struct Proxy {
    /// Its port on loopback.
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Takes a port. Until [`Self::forward_to`] is called connections are closed at once.
    pub fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = lock(&accepting).target.clone();
                // A broker that is down refuses: so does the proxy.
                let Some(broker) = target.and_then(|target| TcpStream::connect(target).ok()) else { continue };
                forward(&accepting, client, broker);
            }
        });
        Self { port, shared }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn forward_to(&self, broker: String) {
        lock(&self.shared).target = Some(broker);
    }

    /// Begins an attack, or ends it.
    pub fn attack(&self, attack: Option<Attack>) {
        let mut state = lock(&self.shared);
        (state.attack, state.passed, state.held, state.toll) = (attack, 0, None, Toll::default());
    }

    /// What has come of the attack so far.
    pub fn toll(&self) -> Toll {
        lock(&self.shared).toll
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for connection in lock(&self.shared).connections.drain(..) {
            let _closed_already = connection.shutdown(Shutdown::Both);
        }
    }

    /// Nothing gets through any more, and no connection breaks.
    pub fn freeze(&self) {
        lock(&self.shared).frozen = true;
    }

    pub fn thaw(&self) {
        lock(&self.shared).frozen = false;
        self.shared.thawed.notify_all();
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.state.lock().unwrap()
}

/// A request that waits for its answer.
struct Asked {
    key: i16,
    victim: bool,
    /// Where the answer goes instead of to the client.
    instead: Option<Sender<Vec<u8>>>,
}

type Pending = Arc<Mutex<HashMap<i32, Asked>>>;

fn forward(shared: &Arc<Shared>, client: TcpStream, broker: TcpStream) {
    for socket in [&client, &broker] {
        socket.set_nodelay(true).unwrap();
    }
    lock(shared).connections.push(client.try_clone().unwrap());
    let pending = Pending::default();
    let (requests, answers) = (shared.clone(), shared.clone());
    let (from_client, to_broker) = (client.try_clone().unwrap(), broker.try_clone().unwrap());
    let asked = pending.clone();
    std::thread::spawn(move || {
        if !forward_requests(&requests, from_client, &to_broker, &asked) {
            let _closed_already = to_broker.shutdown(Shutdown::Both);
        }
    });
    std::thread::spawn(move || {
        forward_answers(&answers, broker, &client, &pending);
        let _closed_already = client.shutdown(Shutdown::Both);
    });
}

/// Until the client leaves. True where the connection to the broker is still needed: a request of it is held.
fn forward_requests(shared: &Shared, mut client: TcpStream, mut broker: &TcpStream, pending: &Pending) -> bool {
    while let Some(frame) = read_frame(&mut client) {
        let (key, correlation, sender) = header(&frame);
        let mut state = shared.thawed.wait_while(lock(shared), |state| state.frozen).unwrap();
        let victim = state.attack.as_ref().is_some_and(|attack| attack.client == sender);
        if victim {
            state.let_go(key);
            if state.is_next(key) {
                let (answered, answer) = channel();
                pending.lock().unwrap().insert(correlation, Asked { key, victim, instead: Some(answered) });
                let broker = broker.try_clone().unwrap();
                state.held = Some(Held { broker, frame, answer, opened: false, answers: 0 });
                state.toll.held += 1;
                let _closed_already = client.shutdown(Shutdown::Both);
                return true;
            }
        }
        pending.lock().unwrap().insert(correlation, Asked { key, victim, instead: None });
        drop(state);
        if broker.write_all(&frame).is_err() {
            return false;
        }
    }
    false
}

fn forward_answers(shared: &Shared, mut broker: TcpStream, mut client: &TcpStream, pending: &Pending) {
    while let Some(frame) = read_frame(&mut broker) {
        let correlation = i32::from_be_bytes(frame[4..8].try_into().unwrap());
        let asked = pending.lock().unwrap().remove(&correlation);
        // Whoever waits for it holds the lock.
        if let Some(instead) = asked.as_ref().and_then(|asked| asked.instead.as_ref()) {
            let _nobody_waits = instead.send(frame);
            continue;
        }
        drop(shared.thawed.wait_while(lock(shared), |state| state.frozen).unwrap());
        // The client may be gone; what is held needs the answers that follow.
        let _gone = client.write_all(&frame);
        if let Some(asked) = asked.filter(|asked| asked.victim) {
            lock(shared).answered(asked.key);
        }
    }
}

impl State {
    /// Whether this request is the next to be held.
    fn is_next(&mut self, key: i16) -> bool {
        let Some(attack) = self.attack.as_ref().filter(|attack| attack.hold == key && self.held.is_none()) else {
            return false;
        };
        if self.passed < attack.pass {
            self.passed += 1;
            return false;
        }
        self.passed = 0;
        true
    }

    fn answered(&mut self, key: i16) {
        let (Some(held), Some(attack)) = (&mut self.held, &self.attack) else { return };
        if held.opened && attack.after == key {
            held.answers += 1;
        }
    }

    /// Before a request of the victim is forwarded: lets go what is held if its time has come.
    fn let_go(&mut self, key: i16) {
        let (Some(held), Some(attack)) = (&mut self.held, &self.attack) else { return };
        held.opened |= key == api::ADD_PARTITIONS;
        if !held.opened || held.answers < attack.answers {
            return;
        }
        let Some(mut held) = self.held.take() else { return };
        if held.broker.write_all(&held.frame).is_err() {
            return;
        }
        let Ok(answer) = held.answer.recv_timeout(ANSWER) else { return };
        let _closed_already = held.broker.shutdown(Shutdown::Both);
        self.toll.released += 1;
        // Length, correlation id, throttle time, error code.
        let accepted = answer.get(12..14) == Some(&[0, 0]);
        self.toll.taken += u32::from(attack.hold == api::END_TXN && accepted);
    }
}

/// A frame with its length; `None` at the end of the connection.
fn read_frame(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let size = u32::from_be_bytes(length) as usize;
    let mut frame = vec![0; 4 + size];
    frame[..4].copy_from_slice(&length);
    from.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

/// A request's key, correlation id and client id.
fn header(frame: &[u8]) -> (i16, i32, String) {
    let short = |at: usize| i16::from_be_bytes(frame[at..at + 2].try_into().unwrap());
    let correlation = i32::from_be_bytes(frame[8..12].try_into().unwrap());
    let length = usize::try_from(short(12)).unwrap_or(0);
    (short(4), correlation, String::from_utf8_lossy(&frame[14..14 + length]).into_owned())
}
