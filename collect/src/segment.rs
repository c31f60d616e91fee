//! Requests of the Segment HTTP API: what servers of the specification add to a message, and nothing else is changed.
//!
//! Source: <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>. Libraries for browsers call `/v1/t` and
//! the like; the Rudder SDK for Node sends batches to `/v1/batch`.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tributary_ingest::CLOCK_SKEW_MS_MAX;

use crate::bucket::Cost;
use crate::json::{Object, Writer, check, text};
use crate::refusal::Refusal;

/// Kinds of messages that the decoder knows.
const KINDS: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];
/// What stands in for a kind that a message does not name, so that it becomes a dead letter and is not taken for a native record.
const NO_KIND: &str = "none";

/// What the path says that the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// One message, of this kind.
    One(&'static str),
    /// Messages in `batch`.
    Batch,
}

impl Call {
    /// By the part of the path behind `/v1/`, in its long or its short form.
    pub fn find(name: &str) -> Option<Self> {
        if matches!(name, "batch" | "import" | "b") {
            return Some(Self::Batch);
        }
        KINDS.into_iter().find(|kind| *kind == name || kind.get(..1) == Some(name)).map(Self::One)
    }
}

/// A request's body, parsed as far as it must be.
#[derive(Debug)]
pub struct Request<'a> {
    call: Call,
    outer: Object<'a>,
    messages: Vec<Message<'a>>,
    /// Whether the context of the batch may name somebody.
    names_somebody: bool,
    /// Bytes of its records, about.
    bytes: usize,
}

/// A message of a batch.
#[derive(Debug)]
enum Message<'a> {
    Object(Object<'a>),
    /// Not an object: it becomes a dead letter as it is.
    Other(&'a RawValue),
}

impl<'a> Message<'a> {
    fn read(message: &'a RawValue) -> Self {
        serde_json::from_str(message.get()).map_or(Self::Other(message), Self::Object)
    }

    /// Whether something may come of it: it has a kind that there is, and somewhere to look for whom it names. Seen without understanding it;
    /// the decoder is stricter.
    fn is_useful(&self, batch_names: bool) -> bool {
        match self {
            Self::Object(fields) => {
                let kind = fields.text("type");
                kind.is_some_and(|kind| KINDS.contains(&kind.trim().to_ascii_lowercase().as_str()))
                    && (batch_names || names_somebody(fields))
            }
            Self::Other(_) => false,
        }
    }
}

/// Where a message may name somebody, in it and in its context.
const NAMES: [&str; 5] = ["userId", "anonymousId", "previousId", "groupId", "traits"];
const NAMES_IN_CONTEXT: [&str; 3] = ["traits", "externalIds", "groupId"];

fn says(object: &Object<'_>, name: &str) -> bool {
    object.get(name).is_some_and(|value| !matches!(value.get(), "\"\"" | "{}" | "[]" | "false"))
}

fn names_somebody(message: &Object<'_>) -> bool {
    NAMES.iter().any(|name| says(message, name)) || context_names_somebody(message)
}

fn context_names_somebody(object: &Object<'_>) -> bool {
    let context: Object<'_> =
        object.get("context").and_then(|context| serde_json::from_str(context.get()).ok()).unwrap_or_default();
    NAMES_IN_CONTEXT.iter().any(|name| says(&context, name))
}

/// Bytes that a batch says for each of its messages: they stand in every record.
fn shared_bytes(batch: &Object<'_>) -> usize {
    ["context", "sentAt"].into_iter().filter_map(|name| batch.get(name)).map(|value| value.get().len()).sum()
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not JSON of the right form, holds more than `batch_max` messages, or its records would have more than about `bytes_max`
    /// bytes.
    pub fn read(call: Call, body: &'a [u8], batch_max: usize, bytes_max: usize) -> Result<Self, Refusal> {
        const FORM: Refusal = Refusal::Malformed("expected a JSON object; of a batch with a list of messages in `batch`");
        let body = check(body)?;
        let outer: Object<'_> = serde_json::from_str(body).map_err(|_| FORM)?;
        let messages = match call {
            Call::One(_) => Vec::new(),
            Call::Batch => {
                let list = outer.get("batch").ok_or(FORM)?;
                serde_json::from_str::<Vec<&RawValue>>(list.get()).map_err(|_| FORM)?
            }
        };
        if messages.len() > batch_max {
            return Err(Refusal::TooLarge { what: "messages of a batch", max: batch_max });
        }
        let bytes = body.len() + shared_bytes(&outer).saturating_mul(messages.len());
        if bytes > bytes_max {
            return Err(Refusal::TooLarge { what: "bytes of a batch with what it says for each message", max: bytes_max });
        }
        let names_somebody = context_names_somebody(&outer);
        Ok(Self { call, outer, messages: messages.into_iter().map(Message::read).collect(), names_somebody, bytes })
    }

    /// The write key in the body.
    pub fn write_key(&self) -> Option<Cow<'a, str>> {
        self.outer.text("writeKey")
    }

    /// What its messages cost.
    pub fn cost(&self) -> Cost {
        let (all, messages) = match self.call {
            Call::One(_) => (1, usize::from(names_somebody(&self.outer))),
            Call::Batch => {
                (self.messages.len(), self.messages.iter().filter(|message| message.is_useful(self.names_somebody)).count())
            }
        };
        Cost { messages, bytes: self.bytes, useless: all - messages }
    }

    /// The records of the messages, received at `now`. `agent`: the user agent of the request, which stands in where a page view has none of
    /// its own; a batch comes from a program.
    pub fn records(&self, now: Timestamp, agent: Option<&str>) -> Vec<String> {
        let received_at = format!("{now:.3}");
        match self.call {
            Call::One(kind) => {
                let agent = agent.filter(|_| matches!(kind, "page" | "screen"));
                let context = agent.and_then(|agent| with_agent(self.outer.get("context"), agent));
                let shared = context.iter().map(|context| ("context".into(), &**context)).collect();
                vec![stamp(&self.outer, Some(kind), &Object(shared), now, &received_at)]
            }
            Call::Batch => {
                let record = |message: &Message<'_>| match message {
                    Message::Object(fields) => stamp(fields, None, &self.outer, now, &received_at),
                    Message::Other(value) => value.get().to_owned(),
                };
                self.messages.iter().map(record).collect()
            }
        }
    }
}

/// A message with what the server adds: when it was received, its kind, and what the batch says for all of its messages.
fn stamp(message: &Object<'_>, kind: Option<&str>, batch: &Object<'_>, now: Timestamp, received_at: &str) -> String {
    let bytes: usize = message.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
    let mut out = Writer::new(bytes + 200);
    let own_kind = message.text("type").filter(|kind| kind.bytes().any(|byte| byte.is_ascii_alphanumeric()));
    out.text("type", kind.or(own_kind.as_deref()).unwrap_or(NO_KIND));
    out.text("receivedAt", received_at);
    let sent_at = message.get("sentAt").or(batch.get("sentAt"));
    if let Some(sent_at) = sent_at {
        out.raw("sentAt", sent_at.get());
    }
    if message.get("timestamp").is_none() {
        match message.get("originalTimestamp") {
            None => out.text("timestamp", received_at),
            Some(original) if is_clock_right(sent_at, now) => out.raw("timestamp", original.get()),
            Some(_) => {}
        }
    }
    let shared = batch.get("context").filter(|context| context.get().starts_with('{'));
    if let Some(shared) = shared {
        out.raw("context", &merge(message.get("context"), shared));
    }
    for (name, value) in &message.0 {
        let replaced = match name.as_ref() {
            "type" | "receivedAt" | "sentAt" | "writeKey" => true,
            "timestamp" => message.get("timestamp").is_none(),
            "context" => shared.is_some(),
            _ => false,
        };
        if !replaced {
            out.raw(name, value.get());
        }
    }
    out.finish()
}

/// Whether the sender's clock is near enough to ours; without the time of sending there is nothing to correct by.
fn is_clock_right(sent_at: Option<&RawValue>, now: Timestamp) -> bool {
    let Some(sent_at) = sent_at.and_then(text) else { return true };
    sent_at.parse::<Timestamp>().is_ok_and(|sent| now.as_millisecond().abs_diff(sent.as_millisecond()) <= CLOCK_SKEW_MS_MAX)
}

/// A context that has nothing but the user agent; `None` where the message's own has one.
fn with_agent(own: Option<&RawValue>, agent: &str) -> Option<Box<RawValue>> {
    let own: Object<'_> = own.and_then(|own| serde_json::from_str(own.get()).ok()).unwrap_or_default();
    if own.get("userAgent").is_some() {
        return None;
    }
    let mut out = Writer::new(agent.len() + 20);
    out.text("userAgent", agent);
    RawValue::from_string(out.finish()).ok()
}

/// The message's context over the batch's; a field that is null in it says nothing.
fn merge(own: Option<&RawValue>, shared: &RawValue) -> String {
    let own: Object<'_> = own.and_then(|own| serde_json::from_str(own.get()).ok()).unwrap_or_default();
    let shared_fields: Object<'_> = serde_json::from_str(shared.get()).unwrap_or_default();
    let mut out = Writer::new(shared.get().len() * 2);
    let said = |(_, value): &&(Cow<'_, str>, &RawValue)| value.get() != "null";
    let names: HashSet<&str> = own.0.iter().filter(said).map(|(name, _)| name.as_ref()).collect();
    let is_own = |name: &str| names.contains(name);
    for (name, value) in own.0.iter().filter(said).chain(shared_fields.0.iter().filter(|(name, _)| !is_own(name))) {
        out.raw(name, value.get());
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tributary_proto::kind::Kinds;

    use super::*;

    const MAX: usize = 1 << 20;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    fn records(call: Call, body: &Value) -> Vec<Value> {
        let body = body.to_string();
        let request = Request::read(call, body.as_bytes(), 100, MAX).unwrap();
        let records = request.records(now(), None);
        assert_eq!(records.len(), request.cost().messages + request.cost().useless);
        records.iter().map(|record| serde_json::from_str(record).unwrap()).collect()
    }

    #[test]
    fn paths() {
        assert_eq!(Call::find("track"), Some(Call::One("track")));
        assert_eq!(Call::find("t"), Some(Call::One("track")));
        assert_eq!(Call::find("p"), Some(Call::One("page")));
        assert_eq!(Call::find("import"), Some(Call::Batch));
        assert_eq!(Call::find(""), None);
        assert_eq!(Call::find("tracks"), None);
    }

    #[test]
    fn the_path_gives_the_kind_and_the_key_is_not_kept() {
        let body = json!({"type": "identify", "writeKey": "k", "event": "E", "timestamp": "2026-01-01T00:00:00Z", "sentAt": "x",
                          "receivedAt": "1999-01-01T00:00:00Z", "properties": {"value": 1.50}});
        let expected = json!({"type": "track", "event": "E", "timestamp": "2026-01-01T00:00:00Z", "sentAt": "x",
                              "receivedAt": "2026-01-02T03:04:05.678Z", "properties": {"value": 1.50}});
        assert_eq!(records(Call::One("track"), &body), [expected]);
    }

    #[test]
    fn the_user_agent_of_the_request_stands_in_for_that_of_a_page_view() {
        let of = |call: Call, body: Value| {
            let body = body.to_string();
            let records = Request::read(call, body.as_bytes(), 100, MAX).unwrap().records(now(), Some("curl/8.0"));
            serde_json::from_str::<Value>(&records[0]).unwrap()["context"].take()
        };
        let page = Call::One("page");
        assert_eq!(of(page, json!({"anonymousId": "a"})), json!({"userAgent": "curl/8.0"}));
        let own = json!({"context": {"page": {"url": "u"}, "userAgent": null}});
        assert_eq!(of(page, own), json!({"page": {"url": "u"}, "userAgent": "curl/8.0"}));
        let other = json!({"context": {"userAgent": "Mozilla/5.0"}});
        assert_eq!(of(page, other.clone()), other["context"]);
        assert_eq!(of(Call::One("track"), json!({"event": "E"})), Value::Null);
        assert_eq!(of(Call::Batch, json!({"batch": [{"type": "page"}]})), Value::Null);
    }

    #[test]
    fn a_batch_speaks_for_its_messages() {
        let body = json!({"sentAt": "2026-01-02T03:04:05Z", "writeKey": "k", "context": {"library": {"name": "l"}, "page": {"url": "u"}},
        "batch": [
            {"type": "track", "timestamp": "2026-01-01T00:00:00Z"},
            {"type": "page", "timestamp": null, "sentAt": "own", "context": {"page": {"title": "t"}}},
        ]});
        let received = "2026-01-02T03:04:05.678Z";
        assert_eq!(
            records(Call::Batch, &body),
            [
                json!({"type": "track", "receivedAt": received, "sentAt": "2026-01-02T03:04:05Z", "timestamp": "2026-01-01T00:00:00Z",
                   "context": {"library": {"name": "l"}, "page": {"url": "u"}}}),
                json!({"type": "page", "receivedAt": received, "sentAt": "own", "timestamp": received,
                   "context": {"page": {"title": "t"}, "library": {"name": "l"}}}),
            ]
        );
    }

    #[test]
    fn only_a_clock_that_is_wrong_is_left_to_be_corrected() {
        let of = |sent_at: &str| {
            let message = json!({"type": "track", "originalTimestamp": "2026-01-02T03:00:00Z", "sentAt": sent_at});
            records(Call::Batch, &json!({ "batch": [message] })).remove(0)["timestamp"].clone()
        };
        assert_eq!(of("2026-01-02T03:04:00Z"), json!("2026-01-02T03:00:00Z"));
        assert_eq!(of("2026-01-02T03:09:05Z"), json!("2026-01-02T03:00:00Z"));
        assert_eq!(of("2026-01-02T03:09:06Z"), Value::Null);
        assert_eq!(of("2025-01-02T03:04:05Z"), Value::Null);
    }

    #[test]
    fn what_nothing_can_be_made_of_is_counted_apart() {
        let cost = |batch: &Value| {
            let body = batch.to_string();
            let Cost { messages, useless, .. } = Request::read(Call::Batch, body.as_bytes(), 100, MAX).unwrap().cost();
            (messages, useless)
        };
        let useful = [
            json!({"type": "track", "userId": "u"}),
            json!({"type": " Page ", "anonymousId": 7}),
            json!({"type": "identify", "traits": {"email": "a@b.example"}}),
            json!({"type": "group", "groupId": "g"}),
            json!({"type": "track", "context": {"externalIds": [{"type": "email", "id": "a@b.example"}]}}),
        ];
        assert_eq!(cost(&json!({ "batch": useful })), (useful.len(), 0));
        let useless = [
            json!({}),
            json!(null),
            json!([]),
            json!("x"),
            json!({"type": "track"}),
            json!({"userId": "u"}),
            json!({"type": "tracks", "userId": "u"}),
            json!({"type": "track", "userId": "", "anonymousId": null, "traits": {}}),
            json!({"type": "track", "context": {"page": {"url": "u"}}}),
        ];
        assert_eq!(cost(&json!({ "batch": useless })), (0, useless.len()));
        assert_eq!(cost(&json!({"batch": [{"type": "track"}], "context": {"traits": {"email": "e"}}})), (1, 0));
        let one = |body: &[u8]| Request::read(Call::One("track"), body, 1, MAX).unwrap().cost();
        assert_eq!(one(b"{}"), Cost { useless: 1, bytes: 2, messages: 0 });
        assert_eq!(one(b"{\"userId\": \"u\"}"), Cost { messages: 1, bytes: 15, useless: 0 });
    }

    #[test]
    fn what_a_batch_says_for_each_message_counts_for_each() {
        for shared in ["context", "sentAt"] {
            let of = |bytes: usize| {
                let said = if shared == "context" { json!({"x": "y".repeat(bytes)}) } else { json!("y".repeat(bytes)) };
                let batch = json!({ "batch": vec![json!({"type": "track", "userId": "u"}); 100], shared: said }).to_string();
                Request::read(Call::Batch, batch.as_bytes(), 100, 100_000).map(|request| request.cost().bytes)
            };
            assert!(of(500).is_ok_and(|bytes| bytes > 50_000));
            assert!(matches!(of(1_000), Err(Refusal::TooLarge { max: 100_000, .. })));
        }
    }

    #[test]
    fn contexts_of_many_fields_are_merged_in_time() {
        let fields = |name: &str| -> String { (0..40_000).map(|number| format!("\"{name}{number}\":1,")).collect() };
        let body = format!(r#"{{"context":{{{}"z":1}},"batch":[{{"context":{{{}"z":2}}}}]}}"#, fields("a"), fields("b"));
        let request = Request::read(Call::Batch, body.as_bytes(), 1, 8 * MAX).unwrap();
        let record: Value = serde_json::from_str(&request.records(now(), None)[0]).unwrap();
        assert_eq!((record["context"].as_object().unwrap().len(), &record["context"]["z"]), (80_001, &json!(2)));
    }

    #[test]
    fn no_message_is_taken_for_a_native_record() {
        let erase =
            |kind: Value| json!({"type": kind, "kind": "erase", "email": "a@b.example", "timestamp": "2026-01-01T00:00:00Z"});
        let batch = [erase(Value::Null), erase(json!("")), erase(json!(" \u{200b}")), erase(json!(["track"])), json!(7)];
        let decoder = tributary_ingest::Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default()).unwrap();
        let body = json!({ "batch": batch }).to_string();
        let request = Request::read(Call::Batch, body.as_bytes(), 100, MAX).unwrap();
        for record in request.records(now(), None) {
            let mut decoded = tributary_ingest::Decoded::default();
            let topic = tributary_runtime::topic::Topic::Sdk;
            let found = tributary_ingest::decode_record(&decoder, topic, record.as_bytes(), 1, &mut decoded);
            assert!(found.is_err() && decoded.events.is_empty(), "{record}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in ["", "[]", "{", "{}", "{\"batch\": {}}", "{\"batch\": [}", "\u{0}"] {
            assert!(Request::read(Call::Batch, body.as_bytes(), 100, MAX).is_err(), "{body}");
        }
        let many = json!({"batch": vec![json!({}); 101]}).to_string();
        let refusal = Request::read(Call::Batch, many.as_bytes(), 100, MAX).unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge { what: "messages of a batch", max: 100 });
    }
}
