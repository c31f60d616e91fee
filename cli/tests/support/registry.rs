//! A stand-in for a Schema Registry: it takes schemas, gives each subject a number, and remembers who asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// The requests that the stand-in got: by subject, what was sent, with which authorization, and the number it got.
type Asked = Arc<Mutex<BTreeMap<String, (Value, String, usize)>>>;

pub struct Registry {
    /// Where it listens.
    pub url: String,
    asked: Asked,
}

impl Registry {
    /// One that answers as long as the test process lives; it answers 401 to whoever does not have this authorization, where one is given.
    pub fn start(wanted: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = seen.clone();
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream.unwrap());
                    while answer(&mut stream, &seen, wanted) {}
                });
            }
        });
        Self { url, asked }
    }

    /// The subjects, each with the type of its schema, the schema, and the authorization.
    pub fn subjects(&self) -> Vec<(String, String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let asked = self.asked.lock().unwrap();
        let of = |(subject, (sent, by, _)): (&String, &(Value, String, usize))| {
            (subject.clone(), text(&sent["schemaType"]), text(&sent["schema"]), by.clone())
        };
        asked.iter().map(of).collect()
    }
}

/// Answers a request; false where there is none.
fn answer(stream: &mut BufReader<TcpStream>, asked: &Asked, wanted: &str) -> bool {
    let (mut head, mut length, mut by) = (String::new(), 0, String::new());
    if stream.read_line(&mut head).unwrap_or(0) == 0 {
        return false;
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => by = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let subject = head.split(['/', ' ']).nth(3).unwrap().to_owned();
    let sent: Value = serde_json::from_slice(&body).unwrap();
    let (status, text) = if wanted.is_empty() || by == wanted {
        let mut asked = asked.lock().unwrap();
        let schema = sent["schema"].clone();
        let next = 1_000 + asked.len();
        let (_, _, id) = asked.entry(subject).or_insert((sent, by, next));
        ("200 OK", json!({ "id": id, "schema": schema }).to_string())
    } else {
        ("401 Unauthorized", json!({ "error_code": 401, "message": "Unauthorized" }).to_string())
    };
    let kind = "application/vnd.schemaregistry.v1+json";
    write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{text}", text.len())
        .is_ok()
}
