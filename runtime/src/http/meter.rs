//! The observable phase of a connection: what it is doing, since when, and when it last made progress.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::limits::Limits;

/// The connection preface of HTTP/2 without negotiation.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first bytes are different.
const OTHER: u8 = u8::MAX;

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing was received yet.
    Fresh,
    /// A part of a head was received.
    Head,
    /// A request is being handled.
    Busy,
    /// Waiting for the rest of a body.
    Body,
    /// All requests are answered.
    Idle,
    /// It is closing: input is still read so that the answer can arrive.
    Leaving,
}

/// Why a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Silent,
    SlowHead,
    Idle,
    /// Another connection needed the place.
    Displaced,
    /// Another connection of the same address needed the place.
    OfAddress,
}

impl Cut {
    pub(super) const ALL: [Self; 5] = [Self::Silent, Self::SlowHead, Self::Idle, Self::Displaced, Self::OfAddress];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::SlowHead => "slow_head",
            Self::Idle => "idle",
            Self::Displaced => "displaced",
            Self::OfAddress => "address_full",
        }
    }
}

/// Heads up to this size do not count as large, bytes.
const LARGE_HEAD: usize = 8 << 10;

/// Bytes of the large heads being received, together: each may be far larger than usual heads.
pub(super) struct Heads {
    bytes: AtomicUsize,
    max: usize,
}

impl Heads {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicUsize::new(0), max })
    }
}

/// See the module. Times are milliseconds since the opening.
pub(super) struct Meter {
    opened: Instant,
    phase: AtomicU8,
    /// When the phase began.
    since: AtomicU64,
    /// When bytes were last received or sent.
    progress: AtomicU64,
    /// Bytes received of the current body.
    body: AtomicU64,
    /// How much of [`PREFACE`] was received, or [`OTHER`].
    preface: AtomicU8,
    /// Bytes of the current head, and how many of them count towards all large heads.
    head: AtomicUsize,
    counted: AtomicUsize,
    heads: Arc<Heads>,
    /// Notified when the connection must end.
    pub(super) cut: Notify,
    /// The socket, after HTTP is finished with it.
    left: Mutex<Option<TcpStream>>,
}

impl Meter {
    pub(super) fn new(heads: Arc<Heads>) -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(Phase::Fresh as u8),
            since: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            body: AtomicU64::new(0),
            preface: AtomicU8::new(0),
            head: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            heads,
            cut: Notify::new(),
            left: Mutex::new(None),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn phase(&self) -> Phase {
        const ALL: [Phase; 5] = [Phase::Fresh, Phase::Head, Phase::Busy, Phase::Body, Phase::Idle];
        let phase = self.phase.load(Ordering::Relaxed);
        ALL.into_iter().find(|known| *known as u8 == phase).unwrap_or(Phase::Leaving)
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.release_head();
        let now = self.now();
        self.since.store(now, Ordering::Relaxed);
        self.progress.store(now, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Bytes were received. False if they belong to a large head and there is no room for it.
    pub(super) fn read(&self, bytes: &[u8]) -> bool {
        self.compare(bytes);
        if matches!(self.phase(), Phase::Fresh | Phase::Idle) {
            self.enter(Phase::Head);
        } else {
            self.progress.store(self.now(), Ordering::Relaxed);
        }
        self.phase() != Phase::Head || self.count_head(bytes.len())
    }

    fn count_head(&self, bytes: usize) -> bool {
        let head = self.head.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let counted = self.counted.load(Ordering::Relaxed);
        let large = head.saturating_sub(LARGE_HEAD);
        let more = large.saturating_sub(counted);
        if more == 0 {
            return true;
        }
        self.counted.store(large, Ordering::Relaxed);
        self.heads.bytes.fetch_add(more, Ordering::Relaxed) + more <= self.heads.max
    }

    fn release_head(&self) {
        self.head.store(0, Ordering::Relaxed);
        let counted = self.counted.swap(0, Ordering::Relaxed);
        if counted > 0 {
            self.heads.bytes.fetch_sub(counted, Ordering::Relaxed);
        }
    }

    /// Bytes were sent.
    pub(super) fn wrote(&self) {
        self.progress.store(self.now(), Ordering::Relaxed);
    }

    /// Waiting for a body, of which this many bytes were received.
    pub(super) fn waits(&self, bytes: u64) {
        self.body.store(bytes, Ordering::Relaxed);
        if self.phase() != Phase::Body {
            self.enter(Phase::Body);
        }
    }

    /// The body is complete, or not needed any more.
    pub(super) fn has_body(&self) {
        if self.phase() == Phase::Body {
            self.enter(Phase::Busy);
        }
    }

    fn compare(&self, bytes: &[u8]) {
        let mut same = self.preface.load(Ordering::Relaxed);
        if same == OTHER {
            return;
        }
        for byte in bytes {
            match PREFACE.get(usize::from(same)) {
                Some(expected) if expected == byte => same += 1,
                Some(_) => {
                    same = OTHER;
                    break;
                }
                None => break,
            }
        }
        self.preface.store(same, Ordering::Relaxed);
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_preface(&self) -> bool {
        usize::from(self.preface.load(Ordering::Relaxed)) == PREFACE.len()
    }

    /// Why it must be cut now; `None` if it need not.
    pub(super) fn overdue(&self, limits: &Limits) -> Option<Cut> {
        let now = self.now();
        let longer = |since: &AtomicU64, limit: Duration| {
            u128::from(now.saturating_sub(since.load(Ordering::Relaxed))) > limit.as_millis()
        };
        match self.phase() {
            Phase::Fresh if longer(&self.since, limits.first_byte) => Some(Cut::Silent),
            Phase::Head if longer(&self.since, limits.head) => Some(Cut::SlowHead),
            Phase::Idle if longer(&self.progress, limits.idle) => Some(Cut::Idle),
            _ => None,
        }
    }

    /// The order in which connections are replaced: the highest goes first. `None`: a request is being handled, or its body has had no time
    /// yet.
    pub(super) fn idleness(&self, limits: &Limits) -> Option<(u8, u64)> {
        // Since the phase began, not since the last byte: a caller that sends single bytes is no less idle.
        let time = self.now().saturating_sub(self.since.load(Ordering::Relaxed));
        match self.phase() {
            Phase::Leaving => Some((2, time)),
            Phase::Fresh | Phase::Head | Phase::Idle => Some((1, time)),
            Phase::Busy => None,
            // The slowest bodies first, in milliseconds per kilobyte.
            Phase::Body => {
                let kilobytes = self.body.load(Ordering::Relaxed) / 1_024 + 1;
                (u128::from(time) > limits.body.window.as_millis() / 4).then_some((0, time / kilobytes))
            }
        }
    }

    /// HTTP is finished with the socket.
    pub(super) fn leave(&self, stream: Option<TcpStream>) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }

    /// Takes the socket, if HTTP is finished with it.
    pub(super) fn take(&self) -> Option<TcpStream> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.release_head();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(Heads::new(1 << 20))
    }

    #[test]
    fn an_http_2_preface_is_recognised_however_it_is_split() {
        for parts in [vec![24], vec![3, 21], vec![1; 24], vec![10, 14, 30]] {
            let meter = meter();
            let mut rest = [PREFACE.as_slice(), &[0; 30]].concat();
            for part in parts {
                let more = rest.split_off(part);
                meter.read(&std::mem::replace(&mut rest, more));
            }
            assert!(meter.is_preface());
        }
        let other = meter();
        other.read(b"PRI * HTTP/1.1\r\n\r\n");
        other.read(PREFACE);
        assert!(!other.is_preface());
    }

    #[test]
    fn a_connection_with_a_request_in_progress_is_not_idle() {
        let (meter, limits) = (meter(), Limits::default());
        assert_eq!(meter.idleness(&limits).map(|(class, _)| class), Some(1));
        meter.read(b"G");
        assert_eq!((meter.phase(), meter.idleness(&limits).is_some()), (Phase::Head, true));
        meter.enter(Phase::Busy);
        meter.read(b"x");
        assert_eq!((meter.phase(), meter.idleness(&limits)), (Phase::Busy, None));
        meter.waits(10);
        assert_eq!((meter.phase(), meter.idleness(&limits)), (Phase::Body, None));
        meter.has_body();
        meter.enter(Phase::Idle);
        meter.read(b"G");
        assert_eq!(meter.phase(), Phase::Head);
        meter.enter(Phase::Leaving);
        assert_eq!(meter.idleness(&limits).map(|(class, _)| class), Some(2));
    }

    #[test]
    fn large_heads_have_room_together() {
        let heads = Heads::new(10_000);
        let many: Vec<Meter> = (0..100).map(|_| Meter::new(heads.clone())).collect();
        assert!(many.iter().all(|meter| meter.read(&[b'x'; LARGE_HEAD])), "heads of a usual size are not counted");
        assert!(many[0].read(&[b'x'; 6_000]) && !many[1].read(&[b'x'; 6_000]));
        many[0].enter(Phase::Busy);
        assert!(many[0].read(&[b'x'; 100_000]), "a body is no head");
        drop(many);
        assert_eq!(heads.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_connection_that_sends_slowly_counts_as_idle() {
        let (meter, limits) = (meter(), Limits::default());
        meter.read(b"P");
        std::thread::sleep(Duration::from_millis(20));
        meter.read(b"O");
        assert!(meter.idleness(&limits) >= Some((1, 20)), "since the head began, not since its last byte");
    }
}
