//! The memory budget of requests: bodies in flight and records that wait for the log, in one count of bytes.
//!
//! Incomplete bodies may take half of it, and each address its share of that; the rest is for complete requests. When that half is full,
//! the body that has held the most bytes for the longest time is dropped: it arrives slowly, while senders with a normal speed get through.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::refusal::Refusal;

/// A body that has been incomplete for this long can be aborted in favour of another.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    max: usize,
    /// Most bytes for the incomplete bodies of one address.
    of_address_max: usize,
    awaited: Mutex<Awaited>,
}

/// The incomplete bodies.
#[derive(Debug, Default)]
struct Awaited {
    bytes: usize,
    of_address: HashMap<IpAddr, usize>,
    next: u64,
    bodies: BTreeMap<u64, Body>,
}

#[derive(Debug)]
struct Body {
    bytes: usize,
    since: Instant,
    address: Option<IpAddr>,
    broken_off: Arc<Notify>,
}

impl Awaited {
    fn add(&mut self, body: Body) -> u64 {
        let id = self.next;
        self.next += 1;
        self.bodies.insert(id, Body { bytes: 0, ..body });
        self.grow(id, body.bytes);
        id
    }

    /// An aborted body is not in the map any more; its own task notices that.
    fn grow(&mut self, id: u64, bytes: usize) {
        let Some(body) = self.bodies.get_mut(&id) else { return };
        body.bytes += bytes;
        self.bytes += bytes;
        if let Some(address) = body.address {
            *self.of_address.entry(address).or_default() += bytes;
        }
    }

    fn remove(&mut self, id: u64) -> Option<Body> {
        let body = self.bodies.remove(&id)?;
        self.bytes -= body.bytes;
        if let Some(address) = body.address
            && let Some(bytes) = self.of_address.get_mut(&address)
        {
            *bytes -= body.bytes;
            if *bytes == 0 {
                self.of_address.remove(&address);
            }
        }
        Some(body)
    }

    /// Aborts the body that has held the most bytes for the longest time, except this one. False if none has waited long enough.
    fn break_off(&mut self, except: u64, now: Instant) -> bool {
        let held = |body: &Body| body.bytes as u128 * now.saturating_duration_since(body.since).as_millis();
        let others =
            self.bodies.iter().filter(|(id, body)| **id != except && now.saturating_duration_since(body.since) > PATIENCE);
        let Some(id) = others.max_by_key(|(_, body)| held(body)).map(|(id, _)| *id) else { return false };
        if let Some(body) = self.remove(id) {
            body.broken_off.notify_one();
        }
        true
    }
}

impl Budget {
    /// This many bytes; `percent` of that for the bodies of one address.
    pub fn new(max: usize, percent: u32) -> Arc<Self> {
        let of_address_max = max / 2 / 100 * percent as usize;
        Arc::new(Self { used: AtomicUsize::new(0), max, of_address_max, awaited: Mutex::default() })
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No room yet, for a request from this address.
    pub fn room(self: &Arc<Self>, address: Option<IpAddr>) -> Room {
        Room { budget: self.clone(), bytes: 0, address, awaited: None }
    }

    /// Room for this many bytes.
    ///
    /// # Errors
    /// [`Refusal::Busy`].
    pub fn take(self: &Arc<Self>, bytes: usize) -> Result<Room, Refusal> {
        let mut room = self.room(None);
        room.grow(bytes)?;
        Ok(room)
    }
}

/// Room taken by a request, given back when dropped.
#[derive(Debug)]
pub struct Room {
    budget: Arc<Budget>,
    bytes: usize,
    address: Option<IpAddr>,
    /// While its body is incomplete: its number, and the channel that aborts it.
    awaited: Option<(u64, Arc<Notify>)>,
}

impl Room {
    /// Takes more room.
    ///
    /// # Errors
    /// [`Refusal::Busy`]: there is no more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if let Some((id, _)) = self.awaited {
            self.grow_awaited(id, bytes, Instant::now())?;
        }
        let before = self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        // The first piece is always accepted: a body has a limit of its own.
        if before > 0 && before.saturating_add(bytes) > self.budget.max { Err(Refusal::Busy) } else { Ok(()) }
    }

    fn grow_awaited(&self, id: u64, bytes: usize, now: Instant) -> Result<(), Refusal> {
        let mut awaited = self.budget.awaited();
        let taken = self.address.and_then(|address| awaited.of_address.get(&address)).copied().unwrap_or(0);
        let alone = awaited.bodies.len() <= 1;
        if !alone && self.address.is_some() && taken.saturating_add(bytes) > self.budget.of_address_max {
            return Err(Refusal::Busy);
        }
        while awaited.bodies.len() > 1 && awaited.bytes.saturating_add(bytes) > self.budget.max / 2 {
            if !awaited.break_off(id, now) {
                return Err(Refusal::Busy);
            }
        }
        awaited.grow(id, bytes);
        Ok(())
    }

    /// Marks its body as incomplete. Returns when the body must be aborted.
    pub async fn broken_off(&mut self) {
        let told = match &self.awaited {
            Some((_, told)) => told.clone(),
            None => {
                let told = Arc::new(Notify::new());
                let body = Body { bytes: self.bytes, since: Instant::now(), address: self.address, broken_off: told.clone() };
                let id = self.budget.awaited().add(body);
                self.awaited = Some((id, told.clone()));
                told
            }
        };
        told.notified().await;
    }

    /// Marks its body as complete.
    pub fn is_whole(&mut self) {
        if let Some((id, _)) = self.awaited.take() {
            self.budget.awaited().remove(id);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.is_whole();
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether an incomplete body was aborted.
    fn is_broken_off(room: &mut Room) -> bool {
        let waiting = std::pin::pin!(room.broken_off());
        waiting.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    fn awaited(budget: &Arc<Budget>, address: Option<&str>) -> Room {
        let mut room = budget.room(address.map(|text| text.parse().unwrap()));
        assert!(!is_broken_off(&mut room));
        room
    }

    #[test]
    fn memory_is_released() {
        let budget = Budget::new(100, 25);
        let large = budget.take(1_000).unwrap();
        assert_eq!(budget.take(1).err(), Some(Refusal::Busy));
        drop(large);
        let rooms: Vec<Room> = (0..10).map(|_| budget.take(10).unwrap()).collect();
        assert_eq!(budget.take(1).err(), Some(Refusal::Busy));
        drop(rooms);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn unfinished_bodies_leave_half_of_the_memory_to_others() {
        let budget = Budget::new(100, 100);
        let mut slow: Vec<Room> = (0..5).map(|_| awaited(&budget, None)).collect();
        assert!(slow.iter_mut().all(|room| room.grow(10).is_ok()));
        assert_eq!(slow[0].grow(1), Err(Refusal::Busy));
        assert!(budget.take(49).is_ok());
        // A complete one no longer counts as incomplete.
        slow[1].is_whole();
        assert_eq!(slow[2].grow(10), Ok(()));
        drop(slow);
        let left = budget.awaited();
        assert_eq!((budget.used(), left.bytes, left.bodies.len()), (0, 0, 0));
    }

    #[test]
    fn the_body_that_held_most_for_longest_is_dropped() {
        let budget = Budget::new(100, 100);
        let (mut large, mut small) = (awaited(&budget, None), awaited(&budget, None));
        large.grow(30).unwrap();
        small.grow(15).unwrap();
        let mut new = awaited(&budget, None);
        let id = new.awaited.as_ref().unwrap().0;
        let later = Instant::now() + PATIENCE * 2;
        assert_eq!(new.grow_awaited(id, 10, Instant::now()), Err(Refusal::Busy), "they are young");
        assert_eq!(new.grow_awaited(id, 10, later), Ok(()));
        assert!(is_broken_off(&mut large) && !is_broken_off(&mut small) && !is_broken_off(&mut new));
        drop((large, small, new));
        assert_eq!((budget.used(), budget.awaited().bytes), (0, 0));
    }

    #[test]
    fn an_address_has_its_share() {
        let budget = Budget::new(800, 25);
        let (mut first, mut second) = (awaited(&budget, Some("192.0.2.1")), awaited(&budget, Some("192.0.2.1")));
        first.grow(60).unwrap();
        assert_eq!(second.grow(60), Err(Refusal::Busy));
        assert_eq!(awaited(&budget, Some("192.0.2.2")).grow(60), Ok(()));
        assert_eq!(awaited(&budget, None).grow(300), Ok(()));
        drop((first, second));
        assert!(budget.awaited().of_address.is_empty());
    }
}
