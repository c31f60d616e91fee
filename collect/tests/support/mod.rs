//! A collector on an embedded log of its own, and a client that says exactly what it is told.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tributary_collect::log::Log;
use tributary_collect::settings::WriteKey;
use tributary_collect::{Collector, Server, Settings};
use tributary_runtime::embedded::{EmbeddedLog, EmbeddedOptions};
use tributary_runtime::http::Limits;
use tributary_runtime::service::{Health, Service};
use tributary_runtime::topic::Topic;

pub const KEY: &str = "a-write-key";

pub fn settings() -> Settings {
    let write_keys = [("web".to_owned(), WriteKey::public(KEY))].into();
    Settings { listen: ([127, 0, 0, 1], 0).into(), write_keys, ..Settings::default() }
}

pub struct Served {
    pub address: SocketAddr,
    pub log: EmbeddedLog,
    service: Service,
    _folder: TempDir,
}

impl Served {
    pub fn start(settings: &Settings) -> Self {
        Self::within(settings, |_| {})
    }

    /// With other limits of what strangers may take.
    pub fn within(settings: &Settings, change: impl FnOnce(&mut Limits)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let options = EmbeddedOptions { path, partitions: 3, memory_bytes: 16 << 20, sync: false, json_dead_letters: false };
        let log = EmbeddedLog::open(&options).unwrap();
        let target = Log::embedded(log.clone(), settings).unwrap();
        let (address, service) = serve_within(settings, target, change);
        Self { address, log, service, _folder: folder }
    }

    /// Stops it; returns what is left of its log.
    pub fn stop(self) -> (EmbeddedLog, TempDir) {
        self.service.stop().unwrap();
        (self.log, self._folder)
    }

    pub fn records(&self, topic: Topic) -> Vec<Value> {
        records(&self.log, topic)
    }
}

/// Starts a collector into a log.
pub fn serve(settings: &Settings, log: Log) -> (SocketAddr, Service) {
    serve_within(settings, log, |_| {})
}

fn serve_within(settings: &Settings, log: Log, change: impl FnOnce(&mut Limits)) -> (SocketAddr, Service) {
    let collector = Collector::new(settings, log).unwrap_or_else(|problem| panic!("{problem:?}"));
    let server = Server::bind(settings, collector).unwrap();
    let mut limits = server.limits().clone();
    change(&mut limits);
    let server = server.within(limits);
    let (address, mut service) = (server.address, Service::default());
    service
        .start("collector".into(), move |pulse| {
            // A log that has failed stops the service; what is then looked at is the service.
            let _ = server.run(pulse);
            Ok(())
        })
        .unwrap();
    (address, service)
}

/// Waits until the health is as expected.
pub fn wait_ready(health: &Health, ready: bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while health.is_ready() != ready {
        assert!(Instant::now() < until, "it does not become {}", if ready { "ready" } else { "unready" });
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn records(log: &EmbeddedLog, topic: Topic) -> Vec<Value> {
    let partitions = (0..log.partitions()).flat_map(|at| log.read(topic, at, 0, 1_000_000).unwrap());
    partitions.map(|(_, _, output)| serde_json::from_slice(&output.value.unwrap()).unwrap()).collect()
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        self.head.lines().find(|found| line(found)).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends one request, and reads the answer to its end.
pub fn call(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // It may have answered, and gone, before it has read everything.
    let _ = stream.write_all(body);
    answer(stream)
}

pub fn answer(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: all[end + 4..].to_vec() }
}

/// `Authorization` of a write key.
pub fn basic(key: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{key}:")))
}
