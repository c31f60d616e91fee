//! Notifies the service manager, if there is one: `sd_notify(3)`, a datagram to the socket that it names.
//!
//! The watchdog is notified by the code that watches the workers, and only while each of them completes its loop. If a worker is stuck, the
//! notifications stop, and the service manager restarts the process.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use tributary_runtime::service::Health;

/// How often the status (what keeps workers from processing) is sent.
const TELL: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often the watchdog is fed; `None` without one.
    feeding: Option<Duration>,
    fed: Option<Instant>,
    told: Option<(Instant, String)>,
}

impl Manager {
    /// The service manager that started this process, from the environment; without one, nothing is sent.
    pub fn of_process() -> Self {
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let timeout = number("WATCHDOG_USEC").filter(|_| ours).map(Duration::from_micros);
        Self::at(env::var_os("NOTIFY_SOCKET").as_deref(), timeout)
    }

    /// The service manager at `socket`, whose watchdog waits at most `timeout`.
    fn at(socket: Option<&OsStr>, timeout: Option<Duration>) -> Self {
        let socket = socket.and_then(|name| match open(name) {
            Ok(open) => Some(open),
            Err(error) => {
                tracing::warn!(%error, "cannot notify the service manager: NOTIFY_SOCKET is not a socket");
                None
            }
        });
        // Half of the time, so that a late feed does no harm.
        Self { socket, feeding: timeout.map(|timeout| timeout / 2), fed: None, told: None }
    }

    /// The start has succeeded.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Feeds the watchdog if no worker is stuck, and sends the status. To be called often.
    pub fn look(&mut self, health: &Health) {
        self.look_at(health.is_live(), || health.obstacles());
    }

    fn look_at(&mut self, is_live: bool, obstacles: impl FnOnce() -> Vec<String>) {
        if self.socket.is_none() {
            return;
        }
        if let Some(feeding) = self.feeding
            && is_live
            && self.fed.is_none_or(|fed| fed.elapsed() >= feeding)
        {
            self.tell("WATCHDOG=1");
            self.fed = Some(Instant::now());
        }
        if self.told.as_ref().is_none_or(|(when, _)| when.elapsed() >= TELL) {
            let found = obstacles();
            // A line break would begin another assignment.
            let status = if found.is_empty() { "at work".to_owned() } else { found.join("; ").replace('\n', " ") };
            if self.told.as_ref().is_none_or(|(_, told)| *told != status) {
                self.tell(&format!("STATUS={status}"));
            }
            self.told = Some((Instant::now(), status));
        }
    }

    /// The process is finishing its open transactions.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing the open transactions");
    }

    fn tell(&self, what: &str) {
        if let Some((socket, manager)) = &self.socket
            && let Err(error) = socket.send_to_addr(what.as_bytes(), manager)
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

/// A socket, and the address for a name: a path, or after `@` an abstract name.
fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    Ok((UnixDatagram::unbound()?, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 4_096];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|read| String::from_utf8(buffer[..read].to_vec()).unwrap()))
            .collect()
    }

    #[test]
    fn the_watchdog_is_fed_while_no_worker_is_stuck_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut manager = Manager::at(Some(path.as_os_str()), Some(Duration::ZERO));
        manager.ready();
        manager.look_at(true, || vec!["ingest-0: starting".into(), "identity-0: joining\nx".into()]);
        assert_eq!(heard(&socket), ["READY=1", "WATCHDOG=1", "STATUS=ingest-0: starting; identity-0: joining x"]);
        manager.look_at(false, Vec::new);
        assert_eq!(heard(&socket), [""; 0], "a worker is stuck");
        manager.told = None;
        manager.look_at(true, Vec::new);
        manager.stopping();
        assert_eq!(heard(&socket), ["WATCHDOG=1", "STATUS=at work", "STOPPING=1\nSTATUS=finishing the open transactions"]);
    }

    #[test]
    fn it_is_fed_at_half_the_time_and_not_where_nobody_watches() {
        let name = format!("tributary-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let name = format!("@{name}");
        let mut manager = Manager::at(Some(OsStr::new(&name)), Some(Duration::from_secs(600)));
        manager.look_at(true, Vec::new);
        manager.look_at(true, Vec::new);
        assert_eq!(heard(&socket), ["WATCHDOG=1", "STATUS=at work"]);
        let mut unwatched = Manager::at(Some(OsStr::new(&name)), None);
        unwatched.look_at(true, Vec::new);
        assert_eq!(heard(&socket), ["STATUS=at work"]);
        Manager::at(None, Some(Duration::ZERO)).look_at(true, Vec::new);
        Manager::at(Some(OsStr::new("/no/such/socket")), None).ready();
        assert_eq!(heard(&socket), [""; 0]);
    }
}
