//! `[collector]`: addresses, senders and limits.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderName;
use serde::{Deserialize, Serialize};
use tributary_ingest::Trust;
use tributary_runtime::config::{Given, OpenMap, Problems, Section, Shape};
use tributary_runtime::topic::Topic;

use crate::signature;
pub use crate::signature::settings::{Encoding, Format, WebhookSettings};
pub use crate::write_key::WriteKey;

/// Settings of the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port; loopback by default. It speaks plain HTTP: what faces the internet ends TLS in front of it.
    pub listen: SocketAddr,
    /// Threads that serve requests.
    pub threads: u32,
    /// The largest body, in bytes, once it is inflated.
    pub body_bytes_max: u32,
    /// The most messages of one request.
    pub batch_max: u32,
    /// Messages a second that one write key, or one webhook, may send; a burst may hold ten times that. Of messages of which nothing can be
    /// made it is a tenth of that, counted apart. 0: no limit, neither of bytes.
    pub rate: u32,
    /// KiB a second that one write key, or one webhook, may send; a burst may hold ten times that. 0: no limit.
    pub rate_kb: u32,
    /// The most open connections, where the limit of open files allows as many. A further one takes the place of the idlest.
    pub connections_max: u32,
    /// What one address may have of the connections, of the memory of bodies, and of the rates; percent. 100: no limit of its own.
    pub address_percent: u32,
    /// Addresses of reverse proxies: they have no such limits.
    pub proxies: Vec<IpAddr>,
    /// The header in which the proxies say whose request it is, such as `x-forwarded-for`: that address then has its share of the rates and of
    /// the memory. Only where they set it themselves. Empty: none.
    pub proxy_header: String,
    /// MiB of bodies that are under way and of records that wait for the log; beyond, requests are answered 503. A part of
    /// `worker.memory_mb`.
    pub queue_mb: u32,
    /// How long a request waits for the log, in milliseconds; then it is answered 503.
    pub ack_ms: u32,
    /// Origins whose pages may call it from a browser, such as `https://www.a.example`; `*` for any.
    pub cors_origins: Vec<String>,
    /// Write keys of the SDK, UTM and pixel endpoints, by a name of one's own. Two at a time let a key be replaced.
    pub write_keys: BTreeMap<String, WriteKey>,
    /// Whether there are write keys that stand in pages, where anybody may read them. False: all of them are trusted.
    pub public_keys: bool,
    /// Webhooks, by the last part of their path.
    pub webhooks: BTreeMap<String, WebhookSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8088)),
            threads: 2,
            body_bytes_max: 1 << 20,
            batch_max: 1_000,
            rate: 1_000,
            rate_kb: 4_096,
            connections_max: 1_024,
            address_percent: 25,
            proxies: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            proxy_header: String::new(),
            queue_mb: 64,
            ack_ms: 10_000,
            cors_origins: Vec::new(),
            write_keys: BTreeMap::new(),
            public_keys: true,
            webhooks: BTreeMap::new(),
        }
    }
}

/// Names of write keys and webhooks: they stand in paths, logs and metrics.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl Settings {
    /// Who has a write key.
    pub fn trust(&self, key: &WriteKey) -> Trust {
        if self.public_keys { key.trust } else { Trust::Trusted }
    }

    /// The topics that public write keys may send to. Refused records there must not stop a partition.
    pub fn public_topics(&self) -> Vec<Topic> {
        let anybody = self.write_keys.values().any(|key| self.trust(key) == Trust::Public);
        if anybody { vec![Topic::Sdk, Topic::Utm] } else { Vec::new() }
    }
}

impl Section for Settings {
    const NAME: &'static str = "collector";
    const SHAPE: Shape = Shape {
        open: &[OpenMap { path: "write_keys", dotted: false }, OpenMap { path: "webhooks", dotted: false }],
        ..Shape::CLOSED
    };
    type Compiled = ();

    fn compile(&self, _: &Given<'_>, problems: &mut Problems) -> Option<()> {
        let mut range = |key: &str, value: u32, low: u32, high: u32| {
            problems.unless((low..=high).contains(&value), key, &format!("expected {low} to {high}"));
        };
        range("threads", self.threads, 1, 64);
        range("body_bytes_max", self.body_bytes_max, 1_024, 64 << 20);
        range("batch_max", self.batch_max, 1, 100_000);
        range("connections_max", self.connections_max, 1, 1_000_000);
        range("address_percent", self.address_percent, 1, 100);
        range("queue_mb", self.queue_mb, 1, 65_536);
        range("ack_ms", self.ack_ms, 100, 120_000);
        let header = self.proxy_header.is_empty() || HeaderName::try_from(&self.proxy_header).is_ok();
        problems.unless(header, "proxy_header", "expected the name of a header, or nothing");
        for origin in &self.cors_origins {
            let is_origin = url::Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
            problems.unless(origin == "*" || is_origin, "cors_origins", "expected `https://host`, or `*`");
        }
        for (name, WriteKey { key, .. }) in &self.write_keys {
            let path = format!("write_keys.{name}");
            problems.unless(is_name(name), &path, "a name has letters, digits, `.`, `_` or `-`, at most 64");
            problems.unless((8..=256).contains(&key.expose().len()), &path, "a write key has 8 to 256 characters");
        }
        for (name, webhook) in &self.webhooks {
            problems.unless(
                is_name(name),
                &format!("webhooks.{name}"),
                "a name has letters, digits, `.`, `_` or `-`, at most 64",
            );
            if let Err(found) = signature::compile(webhook) {
                problems.at(format!("webhooks.{name}.{}", found.field), found.message);
            }
        }
        Some(())
    }
}
