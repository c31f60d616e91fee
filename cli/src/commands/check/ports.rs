//! Whether an address is free to listen on; if not, whether this very service listens there.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tributary_runtime::http::SERVICE;

/// Timeout of an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Larger than any answer of ours, bytes.
const ANSWER_MAX: u64 = 4 << 20;

/// What listens on an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Port {
    /// Nothing.
    Free,
    /// This service, already running; with the reason if it is not ready.
    Own(Option<String>),
    /// A service with another configuration.
    Other,
    /// It cannot be listened on, for this reason.
    Refused(String),
}

impl Port {
    /// Checks an address for the service with this name.
    pub fn look(address: SocketAddr, service: &str) -> Self {
        match TcpListener::bind(address) {
            Ok(_) => Self::Free,
            Err(error) if error.kind() == ErrorKind::AddrInUse => match Answer::of(reachable(address)) {
                Some(answer) if answer.service == service => Self::Own(answer.obstacle),
                Some(_) => Self::Other,
                None => Self::Refused(error.to_string()),
            },
            Err(error) => Self::Refused(error.to_string()),
        }
    }

    /// The same for a listener without health checks.
    pub fn named_alone(self) -> Self {
        if let Self::Own(_) = self { Self::Own(None) } else { self }
    }

    /// The result for an address, which this setting names.
    ///
    /// # Errors
    /// What is wrong.
    pub fn tell(&self, address: SocketAddr, setting: &str) -> Result<String, String> {
        match self {
            Self::Free => Ok(format!("{address} is free")),
            Self::Own(None) => Ok(format!("{address} is in use by this service, which is running")),
            Self::Own(Some(obstacle)) => {
                Ok(format!("{address} is in use by this service, which is running and not ready: {obstacle}"))
            }
            Self::Other => Err(format!(
                "{address} is in use by a tributary of another configuration (brokers, prefixes, instance or state folder); set {setting}"
            )),
            Self::Refused(why) => Err(format!("{address} cannot be listened on: {why}; set {setting}")),
        }
    }
}

/// An address of all interfaces is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The answer to a request, head and body; `None` if there is none in time.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let until = Instant::now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut said = Vec::new();
    let mut part = [0; 4096];
    while (said.len() as u64) < ANSWER_MAX {
        let left = until.saturating_duration_since(Instant::now());
        // A timeout of zero would mean none.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => said.extend_from_slice(part.get(..length)?),
            Err(_) => return None,
        }
    }
    Some(String::from_utf8_lossy(&said).into_owned())
}

/// The metrics of this service at an address; empty if they cannot be read.
pub fn metrics(address: SocketAddr) -> String {
    get(reachable(address), "/metrics").unwrap_or_default()
}

/// The answer of a service.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    service: String,
    obstacle: Option<String>,
}

impl Answer {
    /// Sends a request; `None` if the listener is not a Tributary service.
    fn of(address: SocketAddr) -> Option<Self> {
        Self::read(&get(address, "/readyz")?)
    }

    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?;
        let named = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case(SERVICE));
        let why = body.lines().collect::<Vec<_>>().join("; ");
        let obstacle = (status != "200").then_some(why);
        Some(Self { service: named?.1.trim().to_owned(), obstacle })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_free_or_somebody_is_there() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let port = Port::look(address, "x");
        assert!(matches!(port, Port::Refused(_)), "{port:?}");
        assert!(port.tell(address, "http.listen").unwrap_err().ends_with("set http.listen"));
        assert_eq!(Port::look("127.0.0.1:0".parse().unwrap(), "x"), Port::Free);
    }

    #[test]
    fn an_answer_is_ours_if_it_has_a_name() {
        let ours = |status: &str, body: &str| format!("HTTP/1.1 {status}\r\nTributary-Service: a1\r\ndate: x\r\n\r\n{body}");
        let answer = |obstacle: Option<&str>| Answer { service: "a1".into(), obstacle: obstacle.map(str::to_owned) };
        assert_eq!(Answer::read(&ours("200 OK", "ready\n")), Some(answer(None)));
        assert_eq!(Answer::read(&ours("503 Service Unavailable", "one\ntwo\n")), Some(answer(Some("one; two"))));
        for other in ["", "HTTP/1.1 200 OK\r\n\r\nready", "SSH-2.0-x\r\n\r\n", "\r\n\r\n"] {
            assert_eq!(Answer::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_wildcard_address_is_probed_on_loopback() {
        let asked = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8080"), "127.0.0.1:8080");
        assert_eq!(asked("[::]:8080"), "[::1]:8080");
        assert_eq!(asked("10.0.0.7:8080"), "10.0.0.7:8080");
    }
}
