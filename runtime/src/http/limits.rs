//! Limits for the callers of a server: connections, time and bytes.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// See the module. The default is for small requests: probes, scrapers, commands of this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most open connections. A further one replaces the one idle for longest.
    pub connections: usize,
    /// Of these, most per [address](block). A further one replaces the one of that address idle for longest.
    pub of_address: usize,
    /// Addresses without this limit: reverse proxies, which many callers share.
    pub exempt: Vec<IpAddr>,
    /// Longest time from the opening of a connection to its first byte.
    pub first_byte: Duration,
    /// Longest time from the first byte of a request's head to its last.
    pub head: Duration,
    /// Longest time from an answer to the next request, and without progress of an answer.
    pub idle: Duration,
    /// Largest head of a request, bytes; a larger one is answered with 431.
    pub head_bytes: usize,
    /// Most bytes for large heads being received, together; a further one is cut.
    pub heads_bytes: usize,
    /// Minimum speed of a body.
    pub body: Pace,
    /// How often connections are checked.
    pub look: Duration,
}

/// A minimum speed: this many bytes in each window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The window. A body that is complete at the end of a window passes in any case.
    pub window: Duration,
    /// Bytes.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            of_address: 32,
            exempt: Vec::new(),
            first_byte: Duration::from_secs(5),
            head: Duration::from_secs(10),
            // Load balancers keep connections for 60 seconds: they should close first.
            idle: Duration::from_secs(75),
            head_bytes: 64 << 10,
            heads_bytes: 1 << 20,
            body: Pace { window: Duration::from_secs(10), bytes: 10 << 10 },
            look: Duration::from_millis(250),
        }
    }
}

impl Limits {
    /// The address that a caller is counted under; `None` if it has no such limit.
    pub(super) fn counted(&self, caller: IpAddr) -> Option<IpAddr> {
        let caller = caller.to_canonical();
        (!self.exempt.contains(&caller)).then(|| block(caller))
    }
}

/// What counts as one address: an IPv4 address, or the first 64 bits of an IPv6 address, which a network assigns to one customer.
pub fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_one_customer_has() {
        let of = |text: &str| block(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        let limits = Limits { exempt: vec!["127.0.0.1".parse().unwrap()], ..Limits::default() };
        assert_eq!(limits.counted("::ffff:127.0.0.1".parse().unwrap()), None);
        assert!(limits.counted("127.0.0.2".parse().unwrap()).is_some());
    }
}
