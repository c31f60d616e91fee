//! Somebody with a socket, and no manners.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tributary_collect::Settings;
use tributary_runtime::http::{Limits, Pace};
use tributary_runtime::topic::Topic;

use crate::support::{Answer, KEY, Served, basic, call, settings};

/// Longest wait for anything: a failing test ends, a slow machine passes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A message that is taken.
pub const MESSAGE: &str = r#"{"userId": "u", "event": "E"}"#;

/// Limits with which a test does not take long.
pub fn hasty(limits: &mut Limits) {
    limits.first_byte = Duration::from_millis(300);
    limits.head = Duration::from_millis(500);
    limits.idle = Duration::from_millis(500);
    limits.body = Pace { window: Duration::from_millis(500), bytes: 500 };
    limits.look = Duration::from_millis(10);
}

pub fn hasty_collector() -> Served {
    Served::within(&settings(), hasty)
}

/// A connection.
pub struct Stranger(pub TcpStream);

impl Stranger {
    pub fn of(served: &Served) -> Self {
        Self::to(served.address)
    }

    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Comes from another address of loopback.
    pub fn from(from: &str, served: &Served) -> Self {
        let from: IpAddr = from.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((from, 0).into()).unwrap();
            socket.connect(served.address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends; false where nobody is there any more.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends again and again, until there is an answer or nobody is there.
    pub fn drip(&mut self, bytes: &[u8], pause: Duration) {
        let until = Instant::now() + PATIENCE;
        self.0.set_read_timeout(Some(pause)).unwrap();
        while self.send(bytes) && self.0.peek(&mut [0]).is_err() {
            assert!(Instant::now() < until, "nobody minds");
        }
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// What is received until the connection ends.
    pub fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        // Where it was reset, what came before counts.
        match self.0.read_to_end(&mut heard) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("the connection does not end: {heard:?}"),
            _ => String::from_utf8_lossy(&heard).into_owned(),
        }
    }

    /// The status of an answer after which the connection stays open.
    pub fn status(&mut self) -> u16 {
        let (mut heard, mut byte) = (Vec::new(), [0]);
        while !heard.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "it ended: {}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
        let head = String::from_utf8(heard).unwrap().to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
        self.0.read_exact(&mut vec![0; length]).unwrap();
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn half_close(&mut self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the server has ended it.
    pub fn is_ended(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        !matches!(self.0.read(&mut [0; 512]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// How many of them the server has not ended.
pub fn open(strangers: &mut [Stranger]) -> usize {
    strangers.iter_mut().map(Stranger::is_ended).filter(|ended| !ended).count()
}

/// The head of a message with a body of this length.
pub fn head(length: usize, more: &str) -> String {
    format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-length: {length}\r\n{more}\r\n", basic(KEY))
}

/// The head of a message whose body comes in chunks.
pub fn chunked() -> String {
    format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\r\n", basic(KEY))
}

/// A whole request.
pub fn request() -> String {
    head(MESSAGE.len(), "") + MESSAGE
}

pub fn honest(served: &Served) -> Answer {
    call(served.address, "POST", "/v1/track", &[("authorization", &basic(KEY))], MESSAGE.as_bytes())
}

/// An honest sender is answered 200, and what it sent is there.
pub fn serves(served: &Served) {
    let before = served.records(Topic::Sdk).len();
    let answer = honest(served);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(served.records(Topic::Sdk).len(), before + 1);
}

pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(5));
    }
}

pub fn one_address(percent: u32) -> Settings {
    Settings { address_percent: percent, proxies: Vec::new(), ..settings() }
}
