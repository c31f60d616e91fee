//! Serves the connections of a listener within limits; all listeners of the program use it.
//!
//! A connection is always accepted. If all slots are taken, the idlest connection is closed: first one that is finished, then one between
//! requests or without a complete head, then the one with the slowest body. Only if every slot has a request in progress is the new
//! connection asked to retry.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use metrics::{Gauge, counter};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::connection::{self, Shared, refusal};
use super::limits::Limits;
use super::meter::{Cut, Heads, Meter};
use crate::metrics::CONNECTIONS_CUT;

/// Wait after the system failed to accept a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// How often that is logged.
const TELL_AGAIN: Duration = Duration::from_secs(30);
/// Most callers at a time that are turned away and still get time to read the answer.
const TURNED_AWAY_MAX: usize = 16;
/// Open files beyond the allowed connections: for those callers, and for connections that were cut and are just ending.
pub const FILES_BEYOND: usize = 2 * TURNED_AWAY_MAX;
/// The label under which a caller is counted if there was no place.
const NO_PLACE_LABEL: &str = "no_place";

/// A listener's name in metrics and the log, and the gauge for its connections.
pub struct Name {
    /// The setting that names its address.
    pub listener: &'static str,
    /// Open connections.
    pub connections: Gauge,
}

/// Accepts connections until it is stopped, and returns when the last of them has ended.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, name: Name, mut stopping: watch::Receiver<bool>) {
    let mut look = tokio::time::interval(limits.look);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let heads = Heads::new(limits.heads_bytes);
    let shared = Arc::new(Shared { router, limits, heads });
    let mut places = Places::new(shared, name, stopping.clone());
    loop {
        places.name.connections.set(places.open.len() as f64);
        tokio::select! {
            _ = stopping.changed() => break,
            Some(ended) = places.tasks.join_next_with_id() => places.ended(ended.map_or_else(|error| error.id(), |(id, ())| id)),
            accepted = listener.accept(), if places.has_files() => match accepted {
                Ok((stream, caller)) => places.admit(stream, caller.ip()),
                Err(error) => places.refused(&error).await,
            },
            _ = look.tick() => places.look(),
        }
    }
    drop(listener);
    loop {
        tokio::select! {
            ended = places.tasks.join_next() => if ended.is_none() { break },
            _ = look.tick() => places.look(),
        }
    }
}

/// A connection.
struct Place {
    meter: Arc<Meter>,
    /// The address that its caller is counted under.
    address: Option<IpAddr>,
}

/// The connections of a server.
struct Places {
    shared: Arc<Shared>,
    name: Name,
    stopping: watch::Receiver<bool>,
    tasks: JoinSet<()>,
    open: HashMap<Id, Place>,
    /// The number of connections per address.
    of_address: HashMap<IpAddr, usize>,
    /// When something was last logged.
    told: Option<Instant>,
}

impl Places {
    fn new(shared: Arc<Shared>, name: Name, stopping: watch::Receiver<bool>) -> Self {
        for reason in Cut::ALL.into_iter().map(Cut::label).chain([NO_PLACE_LABEL]) {
            counter!(CONNECTIONS_CUT.name, "listener" => name.listener, "reason" => reason).increment(0);
        }
        let (tasks, open, of_address) = (JoinSet::new(), HashMap::new(), HashMap::new());
        Self { shared, name, stopping, tasks, open, of_address, told: None }
    }

    /// Whether another connection may be accepted: not while too many that were cut are still ending.
    fn has_files(&self) -> bool {
        self.tasks.len() < self.shared.limits.connections + FILES_BEYOND
    }

    fn count(&self, reason: &'static str) {
        counter!(CONNECTIONS_CUT.name, "listener" => self.name.listener, "reason" => reason).increment(1);
    }

    fn ended(&mut self, id: Id) {
        let Some(Place { address: Some(address), .. }) = self.open.remove(&id) else { return };
        if let Some(count) = self.of_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&address);
            }
        }
    }

    fn cut(&mut self, id: Id, why: Cut) {
        if let Some(place) = self.open.get(&id) {
            place.meter.cut.notify_one();
            self.count(why.label());
            self.ended(id);
        }
    }

    /// Cuts the connection idle for longest (of this address, if one is given). False if none can be cut.
    fn displace(&mut self, address: Option<IpAddr>) -> bool {
        let of = self.open.iter().filter(|(_, place)| address.is_none() || place.address == address);
        let idle = of.filter_map(|(id, place)| Some((place.meter.idleness(&self.shared.limits)?, *id)));
        let Some((_, id)) = idle.max_by_key(|(idleness, _)| *idleness) else { return false };
        if address.is_some() {
            self.cut(id, Cut::OfAddress);
            self.tell(
                "all connections that one address may have are in use; a reverse proxy is to be named in collector.proxies",
            );
        } else {
            self.cut(id, Cut::Displaced);
        }
        true
    }

    fn admit(&mut self, stream: TcpStream, caller: IpAddr) {
        let limits = &self.shared.limits;
        let (all, each, address) = (limits.connections, limits.of_address, limits.counted(caller));
        let has = address.and_then(|address| self.of_address.get(&address)).copied().unwrap_or(0);
        let full = each < all && has >= each;
        let room = (!full || self.displace(address)) && (self.open.len() < all || self.displace(None));
        if !room {
            self.turn_away(stream);
            return;
        }
        let meter = Arc::new(Meter::new(self.shared.heads.clone()));
        let (shared, stopping) = (self.shared.clone(), self.stopping.clone());
        let id = self.tasks.spawn(connection::serve(stream, caller, meter.clone(), shared, stopping)).id();
        self.open.insert(id, Place { meter, address });
        if let Some(address) = address {
            *self.of_address.entry(address).or_default() += 1;
        }
    }

    /// Asks a caller to come again later.
    fn turn_away(&mut self, stream: TcpStream) {
        self.count(NO_PLACE_LABEL);
        let why = "all connections are in use; try again later\n";
        let _ = stream.try_write(&refusal("503 Service Unavailable", "retry-after: 1\r\n", why));
        if self.tasks.len() < self.open.len() + TURNED_AWAY_MAX {
            self.tasks.spawn(connection::linger(stream));
        }
    }

    /// Cuts connections whose time is over.
    fn look(&mut self) {
        let overdue = self.open.iter().filter_map(|(id, place)| Some((*id, place.meter.overdue(&self.shared.limits)?)));
        for (id, why) in overdue.collect::<Vec<_>>() {
            self.cut(id, why);
        }
    }

    /// Logs a message from time to time.
    fn tell(&mut self, what: &str) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            tracing::warn!(listener = self.name.listener, "{what}");
            self.told = Some(Instant::now());
        }
    }

    /// The system failed to accept a connection: a resource is exhausted, or the caller has gone.
    async fn refused(&mut self, error: &io::Error) {
        if matches!(Errno::from_io_error(error), Some(Errno::CONNABORTED | Errno::CONNRESET | Errno::INTR | Errno::PROTO)) {
            return;
        }
        self.tell(&format!("a connection was not accepted: {error}"));
        self.displace(None);
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
}
