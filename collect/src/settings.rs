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

/// `[collector]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port; loopback by default. Plain HTTP: on the internet, put a proxy with TLS in front.
    pub listen: SocketAddr,
    /// Threads that serve requests.
    pub threads: u32,
    /// Largest body after decompression, bytes.
    pub body_bytes_max: u32,
    /// Most messages per request.
    pub batch_max: u32,
    /// Messages per second for one write key or webhook; a burst may have ten times that. Useless messages have a separate limit, a tenth
    /// of this. 0: no limits, not even of bytes.
    pub rate: u32,
    /// KiB per second for one write key or webhook; a burst may have ten times that. 0: no limit.
    pub rate_kb: u32,
    /// Most open connections, if the limit of open files allows as many. A further one replaces the one idle for longest.
    pub connections_max: u32,
    /// The share of one address in the connections, the memory for bodies, and the rates; percent. 100: no limit per address.
    pub address_percent: u32,
    /// Addresses of reverse proxies, which have no such limits.
    pub proxies: Vec<IpAddr>,
    /// The header in which proxies name the client, such as `x-forwarded-for`: that address then gets its share of the rates and of the
    /// memory. Set it only if the proxies themselves write this header. Empty: none.
    pub proxy_header: String,
    /// MiB for bodies being received and records waiting for the log; beyond that, requests are answered with 503. Part of
    /// `worker.memory_mb`.
    pub queue_mb: u32,
    /// How long a request waits for the log, milliseconds; then it is answered with 503.
    pub ack_ms: u32,
    /// Origins whose pages may send from a browser, such as `https://www.a.example`; `*` for any.
    pub cors_origins: Vec<String>,
    /// Write keys of the SDK, UTM and pixel endpoints, by a name of your choice. Several at a time allow a key to be replaced.
    pub write_keys: BTreeMap<String, WriteKey>,
    /// Whether there are write keys in web pages, where anybody can read them. False: all keys are trusted.
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

/// Whether a text can name a write key or a webhook: names occur in paths, logs and metrics.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl Settings {
    /// The trust of a write key's records.
    pub fn trust(&self, key: &WriteKey) -> Trust {
        if self.public_keys { key.trust } else { Trust::Trusted }
    }

    /// The topics that public write keys can send to. Their refused records must not stop a partition.
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
