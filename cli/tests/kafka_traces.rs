//! Traces on real Kafka: the way of one record from the raw topic to its credit, as an OpenTelemetry collector gets it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::{finish, pipeline};
use tributary_proto::Message as _;

type Spans = Arc<Mutex<Vec<Span>>>;

/// Takes what is exported; returns where, and the spans so far.
fn collector() -> (String, Spans) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let spans = Spans::default();
    let taken = spans.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, taken) = (stream.unwrap(), taken.clone());
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(body) = request(&mut reader) {
                    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
                    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                    taken.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
        }
    });
    (endpoint, spans)
}

/// The body of the next request; `None` at the end of the connection.
fn request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn send(brokers: &str, topic: &str, records: &[(&str, Option<&str>)]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    for (value, context) in records {
        let mut record: BaseRecord<'_, [u8], str> = BaseRecord::to(topic).payload(*value);
        if let Some(context) = context {
            record = record.headers(OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(*context) }));
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

/// The contexts of all records of a topic; empty where a record has none.
fn contexts(brokers: &str, topic: &str, count: usize) -> Vec<String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "reader").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let mut found = Vec::new();
    let end = Instant::now() + Duration::from_secs(60);
    while found.len() < count {
        assert!(Instant::now() < end, "{} of {count} records", found.len());
        let Some(message) = consumer.poll(Duration::from_secs(1)) else { continue };
        let message = message.unwrap();
        let header = message.headers().and_then(|headers| headers.iter().find(|header| header.key == "traceparent"));
        found.push(header.map_or(String::new(), |header| String::from_utf8(header.value.unwrap().to_vec()).unwrap()));
    }
    found
}

const TOUCH: &str = r#"{"email": "a@qq.com", "timestamp": "2024-01-01T10:00:00Z", "channel": "email"}"#;
const DEAL: &str = r#"{"kind": "milestone", "milestone": "closed_won", "object_id": "6", "email": "a@qq.com",
    "timestamp": "2024-01-08T12:00:00Z"}"#;
const OTHER: &str = r#"{"email": "b@qq.com", "timestamp": "2024-01-01T10:00:00Z", "channel": "email"}"#;

#[test]
fn a_record_is_followed_from_the_raw_topic_to_its_credit() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (endpoint, spans) = collector();
    let traced = |ratio: &str| [format!("traces.otlp_endpoint={endpoint}"), format!("traces.sample_ratio={ratio}")];
    let sets = pipeline(&brokers, "traced", folder.path(), &traced("0"));
    finish(&sets);

    let (trace, sent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let recorded = format!("00-{trace}-{sent}-01");
    send(
        &brokers,
        "traced.offline",
        &[(TOUCH, None), (OTHER, Some("00-11111111111111111111111111111111-2222222222222222-00"))],
    );
    finish(&sets);
    assert!(spans.lock().unwrap().is_empty(), "nothing is recorded of what is not sampled");

    send(&brokers, "traced.offline", &[(DEAL, Some(&recorded))]);
    finish(&sets);
    let all = std::mem::take(&mut *spans.lock().unwrap());
    let id = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(all.iter().all(|span| id(&span.trace_id) == trace), "{all:#?}");
    let mut by_stage: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for span in &all {
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
        by_stage.entry(&span.name).or_default().insert(id(&span.span_id));
    }
    assert_eq!(by_stage.keys().copied().collect::<Vec<_>>(), ["attributor", "identity", "ingest"]);
    for span in &all {
        let parent = id(&span.parent_span_id);
        let follows = match span.name.as_str() {
            "ingest" => parent == sent,
            "identity" => by_stage["ingest"].contains(&parent) || by_stage["identity"].contains(&parent),
            _ => by_stage["identity"].contains(&parent) || by_stage["attributor"].contains(&parent),
        };
        assert!(follows, "{span:#?}");
    }
    // Ten models of one touch.
    for context in contexts(&brokers, "traced.credits", 10) {
        let (_, rest) = context.split_once('-').unwrap();
        let (of, span) = rest.split_once('-').unwrap();
        assert!(of == trace && by_stage["attributor"].contains(&span[..16]), "{context}");
    }

    let sets = pipeline(&brokers, "traced", folder.path(), &traced("1"));
    send(&brokers, "traced.offline", &[(&OTHER.replace("b@", "c@"), None)]);
    finish(&sets);
    let begun = spans.lock().unwrap();
    let roots: Vec<&Span> = begun.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert_eq!(roots.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["ingest"], "one raw record, one trace");
}
