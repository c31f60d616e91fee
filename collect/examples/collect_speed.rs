//! Requests a second and the slowest percent, of the collector on an embedded log beside a bare axum handler that only parses the JSON:
//! both in turn, in one process with its clients, on the same payloads. What counts is the ratio.
//!
//!     cargo run --release -p tributary-collect --example collect_speed -- [SECONDS]

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use support::{KEY, Served, basic, settings};
use tributary_collect::Settings;

/// Connections that send one request after the other.
const CLIENTS: usize = 32;
/// Each server is measured this many times, in turn with the other.
const ROUNDS: usize = 3;

struct Measured {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn main() {
    let seconds = std::env::args().nth(1).map_or(3, |text| text.parse().unwrap());
    println!("messages a request | server    | requests/s | messages/s | p50 ms | p99 ms | of the bare handler");
    for messages in [1, 20] {
        let request = request(messages);
        let served = Served::start(&Settings { rate: 0, ..settings() });
        let addresses = [bare(), served.address];
        let mut rounds: [Vec<Measured>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (address, measured) in addresses.iter().zip(&mut rounds) {
                measured.push(measure(*address, &request, Duration::from_secs(seconds)));
            }
        }
        let [bare, collector] = rounds.map(median);
        for (name, measured) in [("bare", &bare), ("collector", &collector)] {
            let Measured { per_second, p50_ms, p99_ms } = measured;
            let (all, ratio) = (per_second * messages as f64, per_second / bare.per_second);
            println!(
                "{messages:>18} | {name:<9} | {per_second:>10.0} | {all:>10.0} | {p50_ms:>6.2} | {p99_ms:>6.2} | {ratio:>6.2}"
            );
        }
        served.stop();
    }
}

fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(ROUNDS / 2)
}

/// A batch as libraries send it.
fn request(messages: usize) -> Vec<u8> {
    let message = |number: usize| {
        json!({
            "type": "track", "event": "Form Submitted", "messageId": format!("node-next-{number}-0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"),
            "userId": format!("user-{number}"), "timestamp": "2026-01-02T03:04:05.678Z", "integrations": {},
            "properties": {"form": "demo", "company": "B-corp", "employees": 1200},
            "context": {"library": {"name": "@segment/analytics-node", "version": "3.1.0"},
                        "campaign": {"source": "baidu", "medium": "cpc", "name": "spring"},
                        "page": {"url": "https://www.a.example/?utm_source=baidu", "referrer": "https://www.baidu.com/"}},
        })
    };
    let batch: Vec<Value> = (0..messages).map(message).collect();
    let body = json!({"batch": batch, "writeKey": KEY, "sentAt": "2026-01-02T03:04:05.700Z"}).to_string();
    let (key, length) = (basic(KEY), body.len());
    let head = format!("POST /v1/batch HTTP/1.1\r\nhost: a\r\nauthorization: {key}\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The handler that only parses, on as many threads as the collector has.
fn bare() -> SocketAddr {
    let threads = settings().threads as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_io().build().unwrap();
    let parse = |body: Bytes| async move {
        match serde_json::from_slice::<Value>(&body) {
            Ok(_) => (StatusCode::OK, "{\"success\":true}"),
            Err(_) => (StatusCode::BAD_REQUEST, ""),
        }
    };
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let router: Router = Router::new().route("/v1/batch", post(parse));
        runtime.block_on(async { axum::serve(listener, router).await })
    });
    address
}

fn measure(address: SocketAddr, request: &[u8], time: Duration) -> Measured {
    let started = Instant::now();
    let mut taken: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| client(address, request, started + time))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    taken.sort_unstable();
    let at = |part: f64| taken[((taken.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    Measured { per_second: taken.len() as f64 / seconds, p50_ms: at(0.5), p99_ms: at(0.99) }
}

fn client(address: SocketAddr, request: &[u8], until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut taken, mut answer) = (Vec::new(), [0; 4_096]);
    while Instant::now() < until {
        let started = Instant::now();
        stream.write_all(request).unwrap();
        let mut read = 0;
        while !answer[..read].ends_with(b"true}") {
            let more = stream.read(&mut answer[read..]).unwrap();
            assert!(more > 0 && answer.starts_with(b"HTTP/1.1 200"), "refused");
            read += more;
        }
        taken.push(started.elapsed());
    }
    taken
}
