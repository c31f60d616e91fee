//! Requests of the Segment HTTP API. A message gets what servers of the specification add to it, and is not changed otherwise.
//!
//! Source: <https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/>. Libraries for browsers call `/v1/t` and the
//! like; the Rudder SDK for Node sends batches to `/v1/batch`.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tributary_ingest::{CLOCK_SKEW_MS_MAX, TRUST_FIELD, Trust};

use crate::json::{Object, Writer, check, text};
use crate::rate_limit::Cost;
use crate::refusal::Refusal;

/// The kinds of messages that ingest decodes.
const KINDS: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];
/// Stands for a missing kind: so the message becomes a dead letter, and does not count as a native record.
const NO_KIND: &str = "none";

/// The form of body for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// One message, of this kind.
    One(&'static str),
    /// Messages in `batch`.
    Batch,
}

impl Call {
    /// By the part of the path after `/v1/`, long or short.
    pub fn find(name: &str) -> Option<Self> {
        if matches!(name, "batch" | "import" | "b") {
            return Some(Self::Batch);
        }
        KINDS.into_iter().find(|kind| *kind == name || kind.get(..1) == Some(name)).map(Self::One)
    }
}

/// A request's body, parsed as far as needed.
#[derive(Debug)]
pub struct Request<'a> {
    call: Call,
    outer: Object<'a>,
    messages: Vec<Message<'a>>,
    /// Whether the context of the batch may name a person.
    names_somebody: bool,
    /// Approximate bytes of its records.
    bytes: usize,
}

/// A message of a batch.
#[derive(Debug)]
enum Message<'a> {
    Object(Object<'a>),
    /// Not an object: passed on unchanged, so that it becomes a dead letter.
    Other(&'a RawValue),
}

impl<'a> Message<'a> {
    fn read(message: &'a RawValue) -> Self {
        serde_json::from_str(message.get()).map_or(Self::Other(message), Self::Object)
    }

    /// Whether a message may be useful: it has a known kind, and fields that may name somebody. Only a cheap check; the decoder is
    /// stricter.
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

/// Fields that may name a person, in the message and in its context.
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

/// Bytes of a batch that are repeated in each of its records.
fn shared_bytes(batch: &Object<'_>) -> usize {
    ["context", "sentAt"].into_iter().filter_map(|name| batch.get(name)).map(|value| value.get().len()).sum()
}

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not JSON of the right form, has more than `batch_max` messages, or its records would have more than about `bytes_max`
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

    /// The cost of its messages.
    pub fn cost(&self) -> Cost {
        let (all, messages) = match self.call {
            Call::One(_) => (1, usize::from(names_somebody(&self.outer))),
            Call::Batch => {
                (self.messages.len(), self.messages.iter().filter(|message| message.is_useful(self.names_somebody)).count())
            }
        };
        Cost { messages, bytes: self.bytes, useless: all - messages }
    }

    /// The records of the messages, received at `now`, with this trust. `agent` is the user agent of the request, used for page views
    /// without one; a batch comes from a program, so it is not used there.
    pub fn records(&self, now: Timestamp, trust: Trust, agent: Option<&str>) -> Vec<String> {
        let receipt = Receipt { now, at: format!("{now:.3}"), trust };
        match self.call {
            Call::One(kind) => {
                let agent = agent.filter(|_| matches!(kind, "page" | "screen"));
                let context = agent.and_then(|agent| with_agent(self.outer.get("context"), agent));
                let shared = context.iter().map(|context| ("context".into(), &**context)).collect();
                vec![stamp(&self.outer, Some(kind), &Object(shared), &receipt)]
            }
            Call::Batch => {
                let record = |message: &Message<'_>| match message {
                    Message::Object(fields) => stamp(fields, None, &self.outer, &receipt),
                    Message::Other(value) => value.get().to_owned(),
                };
                self.messages.iter().map(record).collect()
            }
        }
    }
}

/// How a message was received.
struct Receipt {
    now: Timestamp,
    /// The time as text.
    at: String,
    trust: Trust,
}

/// A message with the fields that the server adds: time of receipt, trust, kind, and fields that the batch has for all of its messages.
fn stamp(message: &Object<'_>, kind: Option<&str>, batch: &Object<'_>, receipt: &Receipt) -> String {
    let bytes: usize = message.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
    let mut out = Writer::new(bytes + 200);
    let own_kind = message.text("type").filter(|kind| kind.bytes().any(|byte| byte.is_ascii_alphanumeric()));
    out.text("type", kind.or(own_kind.as_deref()).unwrap_or(NO_KIND));
    out.text("receivedAt", &receipt.at);
    out.text(TRUST_FIELD, receipt.trust.name());
    let sent_at = message.get("sentAt").or(batch.get("sentAt"));
    if let Some(sent_at) = sent_at {
        out.raw("sentAt", sent_at.get());
    }
    if message.get("timestamp").is_none() {
        match message.get("originalTimestamp") {
            None => out.text("timestamp", &receipt.at),
            Some(original) if is_clock_right(sent_at, receipt.now) => out.raw("timestamp", original.get()),
            Some(_) => {}
        }
    }
    let shared = batch.get("context").filter(|context| context.get().starts_with('{'));
    if let Some(shared) = shared {
        out.raw("context", &merge(message.get("context"), shared));
    }
    for (name, value) in &message.0 {
        let replaced = match name.as_ref() {
            "type" | "receivedAt" | "sentAt" | "writeKey" | TRUST_FIELD => true,
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

/// Whether the sender's clock is close to ours; true without the time of sending, because then nothing can be corrected.
fn is_clock_right(sent_at: Option<&RawValue>, now: Timestamp) -> bool {
    let Some(sent_at) = sent_at.and_then(text) else { return true };
    sent_at.parse::<Timestamp>().is_ok_and(|sent| now.as_millisecond().abs_diff(sent.as_millisecond()) <= CLOCK_SKEW_MS_MAX)
}

/// The context with the user agent added; `None` if the message has one.
fn with_agent(own: Option<&RawValue>, agent: &str) -> Option<Box<RawValue>> {
    let own: Object<'_> = own.and_then(|own| serde_json::from_str(own.get()).ok()).unwrap_or_default();
    if own.get("userAgent").is_some() {
        return None;
    }
    let mut out = Writer::new(agent.len() + 20);
    out.text("userAgent", agent);
    RawValue::from_string(out.finish()).ok()
}

/// The message's context over the batch's; null fields are ignored.
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
mod tests;
