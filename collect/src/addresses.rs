//! Rate limits by address: a share of a key's limit, so that one address cannot use up the limit of all senders with that key.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::http::{Extensions, HeaderMap, HeaderName};
use tributary_runtime::http::{Peer, block};

use crate::rate_limit::{Cost, Levels, Rate};

/// Most addresses that are remembered, approximately; those that were quiet for longest are dropped.
const REMEMBERED_MAX: usize = 20_000;

/// See the module.
#[derive(Debug)]
pub struct Addresses {
    rate: Rate,
    /// The share of the rate for one address.
    part: f64,
    /// Reverse proxies, which do not count as senders.
    proxies: Vec<IpAddr>,
    /// The header in which proxies name the sender.
    header: Option<HeaderName>,
    remembered: Mutex<Generations>,
    remembered_max: usize,
}

/// Levels by address, in two generations: when the younger one is full it becomes the older one, and entries not used since are dropped.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<IpAddr, Levels>,
    old: HashMap<IpAddr, Levels>,
}

impl Addresses {
    /// Each address may send `percent` of this rate. The `proxies` themselves have no such limit; the address they name in `header` has.
    pub fn new(rate: Rate, percent: u32, proxies: &[IpAddr], header: Option<HeaderName>) -> Self {
        let proxies = proxies.iter().map(IpAddr::to_canonical).collect();
        let (part, remembered) = (f64::from(percent) / 100.0, Mutex::default());
        Self { rate, part, proxies, header, remembered, remembered_max: REMEMBERED_MAX }
    }

    /// The address that sent a request; `None` if it came through a proxy that does not name one.
    pub fn sender(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let Peer(peer) = extensions.get().copied()?;
        if !self.is_proxy(peer) {
            return Some(block(peer));
        }
        let named = headers.get_all(self.header.as_ref()?).iter().rev().filter_map(|value| value.to_str().ok());
        // The last address is the one that our proxy saw; anybody can write the ones before it. Addresses of our own proxies are skipped.
        let mut named = named.flat_map(|value| value.rsplit(',')).map(|text| read(text.trim()));
        named.find(|address| !address.is_some_and(|address| self.is_proxy(address)))?.map(block)
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.contains(&address.to_canonical())
    }

    /// Takes the cost of a request from the bucket of its address.
    ///
    /// # Errors
    /// See [`Levels::take`].
    pub fn take(&self, address: Option<IpAddr>, cost: Cost, now: Instant) -> Result<(), u64> {
        let Some(address) = address.filter(|_| self.part < 1.0) else { return Ok(()) };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *remembered;
        let mut levels = young.get(&address).copied().or_else(|| old.remove(&address));
        let taken = Levels::take(&mut levels, &self.rate, self.part, cost, now);
        if let Some(levels) = levels {
            if young.len() >= self.remembered_max / 2 && !young.contains_key(&address) {
                *old = std::mem::take(young);
            }
            young.insert(address, levels);
        }
        taken
    }
}

/// An address, with or without a port.
fn read(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    fn messages(messages: usize) -> Cost {
        Cost { messages, ..Cost::default() }
    }

    #[test]
    fn each_has_its_share() {
        let (addresses, now) = (Addresses::new(Rate::new(100, 0), 25, &[], None), Instant::now());
        assert_eq!(addresses.take(address(1), messages(250), now), Ok(()));
        assert_eq!(addresses.take(address(1), messages(1), now), Err(1));
        assert_eq!(addresses.take(address(2), messages(1), now), Ok(()));
        assert_eq!(addresses.take(None, messages(9_999), now), Ok(()));
        let whole = Addresses::new(Rate::new(100, 0), 100, &[], None);
        assert!((0..9).all(|_| whole.take(address(1), messages(9_999), now).is_ok()));
    }

    #[test]
    fn memory_is_bounded_and_addresses_that_keep_sending_are_remembered() {
        let mut addresses = Addresses::new(Rate::new(100, 0), 25, &[], None);
        addresses.remembered_max = 100;
        let now = Instant::now();
        assert_eq!(addresses.take(address(0), messages(9_999), now), Ok(()));
        for number in 1..10_000 {
            assert_eq!(addresses.take(address(number), messages(1), now), Ok(()));
            if number % 40 == 0 {
                assert!(addresses.take(address(0), messages(1), now).is_err(), "{number}");
            }
            let remembered = addresses.remembered.lock().unwrap();
            assert!(remembered.young.len() + remembered.old.len() <= 100);
        }
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_senders_address() {
        let header = HeaderName::from_static("x-forwarded-for");
        let proxies = ["127.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap()];
        let addresses = Addresses::new(Rate::new(1, 0), 25, &proxies, Some(header.clone()));
        let sender = |addresses: &Addresses, peer: &str, said: &[&str]| {
            let mut extensions = Extensions::new();
            extensions.insert(Peer(peer.parse().unwrap()));
            let headers = said.iter().map(|said| (header.clone(), said.parse().unwrap())).collect();
            addresses.sender(&extensions, &headers).map(|address| address.to_string())
        };
        let found = |peer, said: &[&str]| sender(&addresses, peer, said);
        assert_eq!(found("192.0.2.1", &["192.0.2.9"]).as_deref(), Some("192.0.2.1"), "it is no proxy");
        assert_eq!(found("127.0.0.1", &["6.6.6.6, 192.0.2.9"]).as_deref(), Some("192.0.2.9"));
        assert_eq!(found("127.0.0.1", &["6.6.6.6", "192.0.2.9"]).as_deref(), Some("192.0.2.9"));
        assert_eq!(found("127.0.0.1", &["6.6.6.6, 192.0.2.9, 10.0.0.9"]).as_deref(), Some("192.0.2.9"));
        assert_eq!(found("127.0.0.1", &["192.0.2.9:4711"]).as_deref(), Some("192.0.2.9"));
        assert_eq!(found("127.0.0.1", &["192.0.2.9, unknown"]), None);
        assert_eq!(found("127.0.0.1", &[]), None);
        let untold = Addresses::new(Rate::new(1, 0), 25, &proxies, None);
        assert_eq!(sender(&untold, "127.0.0.1", &["192.0.2.9"]), None);
    }
}
