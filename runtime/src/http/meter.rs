//! What is seen of a connection from outside: what it is at, since when, and when it last got on.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::limits::Limits;

/// How a client begins that speaks HTTP/2 without having asked.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// It began in another way.
const OTHER: u8 = u8::MAX;

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// A part of a head has come.
    Head,
    /// A request is worked on.
    Busy,
    /// The rest of a body is waited for.
    Body,
    /// All requests are answered.
    Idle,
    /// It is over: what still comes is read so that the answer arrives.
    Leaving,
}

/// Why a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Silent,
    SlowHead,
    Idle,
    /// Somebody else needed the place.
    Displaced,
}

impl Cut {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::SlowHead => "slow_head",
            Self::Idle => "idle",
            Self::Displaced => "displaced",
        }
    }
}

/// See the module. Times are milliseconds since the opening.
pub(super) struct Meter {
    opened: Instant,
    phase: AtomicU8,
    /// When the phase began.
    since: AtomicU64,
    /// When something last came or went.
    progress: AtomicU64,
    /// Bytes of the body that is waited for.
    body: AtomicU64,
    /// How much of [`PREFACE`] has come, or [`OTHER`].
    preface: AtomicU8,
    /// Told when it is to end.
    pub(super) cut: Notify,
    /// The socket, once HTTP is done with it.
    left: Mutex<Option<TcpStream>>,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            phase: AtomicU8::new(Phase::Fresh as u8),
            since: AtomicU64::new(0),
            progress: AtomicU64::new(0),
            body: AtomicU64::new(0),
            preface: AtomicU8::new(0),
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
        let now = self.now();
        self.since.store(now, Ordering::Relaxed);
        self.progress.store(now, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Bytes have come.
    pub(super) fn read(&self, bytes: &[u8]) {
        self.compare(bytes);
        if matches!(self.phase(), Phase::Fresh | Phase::Idle) {
            self.enter(Phase::Head);
        } else {
            self.progress.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Bytes have gone.
    pub(super) fn wrote(&self) {
        self.progress.store(self.now(), Ordering::Relaxed);
    }

    /// A body is waited for, of which so much has come.
    pub(super) fn waits(&self, bytes: u64) {
        self.body.store(bytes, Ordering::Relaxed);
        if self.phase() != Phase::Body {
            self.enter(Phase::Body);
        }
    }

    /// The body is there, or is not wanted any more.
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

    /// Why it has to be cut, if it has to.
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

    /// How little is lost when it is cut, for the choice among connections: the highest goes first. `None`: a request is worked on, or
    /// its body has had no time yet.
    pub(super) fn idleness(&self, limits: &Limits) -> Option<(u8, u64)> {
        let now = self.now();
        let without = now.saturating_sub(self.progress.load(Ordering::Relaxed));
        match self.phase() {
            Phase::Leaving => Some((2, without)),
            Phase::Fresh | Phase::Head | Phase::Idle => Some((1, without)),
            Phase::Busy => None,
            // Those that come slowest, as milliseconds a kilobyte.
            Phase::Body => {
                let time = now.saturating_sub(self.since.load(Ordering::Relaxed));
                let kilobytes = self.body.load(Ordering::Relaxed) / 1_024 + 1;
                (u128::from(time) > limits.body.window.as_millis() / 4).then_some((0, time / kilobytes))
            }
        }
    }

    /// HTTP is done with the socket.
    pub(super) fn leave(&self, stream: Option<TcpStream>) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }

    /// The socket, if HTTP is done with it.
    pub(super) fn take(&self) -> Option<TcpStream> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_known_however_it_is_cut() {
        for parts in [vec![24], vec![3, 21], vec![1; 24], vec![10, 14, 30]] {
            let meter = Meter::new();
            let mut rest = [PREFACE.as_slice(), &[0; 30]].concat();
            for part in parts {
                let more = rest.split_off(part);
                meter.read(&std::mem::replace(&mut rest, more));
            }
            assert!(meter.is_preface());
        }
        let other = Meter::new();
        other.read(b"PRI * HTTP/1.1\r\n\r\n");
        other.read(PREFACE);
        assert!(!other.is_preface());
    }

    #[test]
    fn what_is_worked_on_is_no_idle_connection() {
        let (meter, limits) = (Meter::new(), Limits::default());
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
}
