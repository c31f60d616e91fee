//! Landing hits: native touch records, posted as JSON or as the query of a pixel. A write key is public, so only touches are accepted: no
//! erasure, no milestone.

use jiff::Timestamp;
use serde_json::value::RawValue;
use tributary_ingest::{TRUST_FIELD, Trust};

use crate::json::{Object, Writer, check};
use crate::rate_limit::Cost;
use crate::refusal::Refusal;

/// A transparent GIF of one pixel: header, two colours, a graphic control block that makes the first transparent, one image.
pub const PIXEL: &[u8; 43] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0\x21\xf9\x04\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";

/// The longest query of a pixel, bytes.
pub const QUERY_BYTES_MAX: usize = 16 << 10;
/// The most parameters of a pixel.
const PARAMETERS_MAX: usize = 64;
/// The parameter of a pixel with the write key; in a body, the field.
pub const WRITE_KEY: &str = "writeKey";

/// The field of a hit with the user agent of the visitor's browser.
const AGENT: &str = "user_agent";

/// Fields of a touch that cannot name a person.
const NAMES_NOBODY: [&str; 17] = [
    TRUST_FIELD,
    "kind",
    "event_id",
    "timestamp",
    "received_at",
    WRITE_KEY,
    "channel",
    "source",
    "medium",
    "campaign",
    "content",
    "term",
    "touch_type",
    "url",
    "referrer",
    AGENT,
    "consent",
];

/// A posted body, parsed as far as needed.
#[derive(Debug)]
pub struct Hits<'a> {
    hits: Vec<Hit<'a>>,
    write_key: Option<String>,
}

#[derive(Debug)]
enum Hit<'a> {
    Object(Object<'a>),
    /// Not an object: passed on unchanged, so that it becomes a dead letter.
    Other(&'a RawValue),
}

impl<'a> Hits<'a> {
    /// Reads a hit, or a list of them.
    ///
    /// # Errors
    /// When it is not JSON of that form, has more than `batch_max` hits, or one with a kind other than a touch.
    pub fn read(body: &'a [u8], batch_max: usize) -> Result<Self, Refusal> {
        const FORM: Refusal = Refusal::Malformed("expected a JSON object, or a list of them");
        let body = check(body)?.trim_ascii();
        let values: Vec<&RawValue> = if body.starts_with('[') {
            serde_json::from_str(body).map_err(|_| FORM)?
        } else {
            vec![serde_json::from_str(body).ok().filter(|_| body.starts_with('{')).ok_or(FORM)?]
        };
        if values.len() > batch_max {
            return Err(Refusal::TooLarge { what: "hits of a request", max: batch_max });
        }
        let hits: Vec<Hit<'_>> = values.into_iter().map(Hit::read).collect::<Result<_, _>>()?;
        let key = |hit: &Hit<'_>| match hit {
            Hit::Object(fields) => fields.text(WRITE_KEY).map(|key| key.into_owned()),
            Hit::Other(_) => None,
        };
        let write_key = hits.iter().find_map(key);
        Ok(Self { hits, write_key })
    }

    /// The write key of the first hit that has one.
    pub fn write_key(&self) -> Option<&str> {
        self.write_key.as_deref()
    }

    /// Their cost.
    pub fn cost(&self) -> Cost {
        let messages = self.hits.iter().filter(|hit| hit.is_useful()).count();
        Cost { messages, bytes: 0, useless: self.hits.len() - messages }
    }

    /// The records, received at `now`, with this trust. `agent` is the user agent of the request, used for hits without one.
    pub fn records(&self, now: Timestamp, trust: Trust, agent: Option<&str>) -> Vec<String> {
        let record = |hit: &Hit<'_>| match hit {
            Hit::Object(fields) => record(fields, now, trust, agent),
            Hit::Other(value) => value.get().to_owned(),
        };
        self.hits.iter().map(record).collect()
    }
}

impl<'a> Hit<'a> {
    fn read(value: &'a RawValue) -> Result<Self, Refusal> {
        let Ok(fields) = serde_json::from_str::<Object<'_>>(value.get()) else { return Ok(Self::Other(value)) };
        let is_touch = |kind: &RawValue| matches!(kind.get(), "null" | "\"\"" | "\"touch\"");
        if fields.0.iter().any(|(name, value)| name == "kind" && !is_touch(value)) {
            return Err(Refusal::Malformed("only touches are taken here: leave `kind` out"));
        }
        Ok(Self::Object(fields))
    }

    /// Whether a hit may be useful: it has a field that may name a person. Only a cheap check; the decoder is stricter.
    fn is_useful(&self) -> bool {
        let Self::Object(fields) = self else { return false };
        let says = |value: &RawValue| !matches!(value.get(), "null" | "\"\"" | "{}" | "[]");
        fields.0.iter().any(|(name, value)| !NAMES_NOBODY.contains(&name.as_ref()) && says(value))
    }
}

fn record(fields: &Object<'_>, now: Timestamp, trust: Trust, agent: Option<&str>) -> String {
    let received_at = format!("{now:.3}");
    let mut out = Writer::new(200 + fields.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum::<usize>());
    out.text("kind", "touch");
    out.text("received_at", &received_at);
    out.text(TRUST_FIELD, trust.name());
    let is_timed = fields.get("timestamp").is_some();
    if !is_timed {
        out.text("timestamp", &received_at);
    }
    let stands_in = agent.filter(|_| fields.get(AGENT).is_none());
    if let Some(agent) = stands_in {
        out.text(AGENT, agent);
    }
    for (name, value) in &fields.0 {
        let replaced = match name.as_ref() {
            "kind" | "received_at" | WRITE_KEY | TRUST_FIELD => true,
            "timestamp" => !is_timed,
            AGENT => stands_in.is_some(),
            _ => false,
        };
        if !replaced {
            out.raw(name, value.get());
        }
    }
    out.finish()
}

/// The record of a pixel: each parameter is a field of the native record. Without `url`, the page is that of the header `Referer`; without
/// `user_agent`, the request's is used.
///
/// # Errors
/// When it has too many parameters.
pub fn pixel(query: &[(String, String)], page: Option<&str>, agent: Option<&str>, now: Timestamp) -> Result<String, Refusal> {
    if query.len() > PARAMETERS_MAX {
        return Err(Refusal::TooLarge { what: "parameters of a pixel", max: PARAMETERS_MAX });
    }
    let received_at = format!("{now:.3}");
    let mut out = Writer::new(512);
    out.text("kind", "touch");
    out.text("received_at", &received_at);
    // Its key is in a URL, where anybody can see it.
    out.text(TRUST_FIELD, Trust::Public.name());
    let mut known = vec!["kind", "received_at", WRITE_KEY, TRUST_FIELD];
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        // The first of several counts, as for UTM parameters.
        if !known.contains(&name.as_str()) {
            out.text(name, value);
            known.push(name);
        }
    }
    if !known.contains(&"timestamp") {
        out.text("timestamp", &received_at);
    }
    if let Some(page) = page.filter(|_| !known.contains(&"url")) {
        out.text("url", page);
    }
    if let Some(agent) = agent.filter(|_| !known.contains(&AGENT)) {
        out.text(AGENT, agent);
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    fn records(body: &str) -> Vec<Value> {
        let hits = Hits::read(body.as_bytes(), 10).unwrap();
        hits.records(now(), Trust::Public, None).iter().map(|record| serde_json::from_str(record).unwrap()).collect()
    }

    #[test]
    fn hits_get_their_time() {
        let received = "2026-01-02T03:04:05.678Z";
        let one = r#"{"writeKey": "k", "_trust": "trusted", "anonymous_id": "a", "url": "https://a.example/?utm_source=x", "kind": null}"#;
        let expected = json!({"kind": "touch", "_trust": "public", "received_at": received, "timestamp": received, "anonymous_id": "a",
                              "url": "https://a.example/?utm_source=x"});
        assert_eq!(records(one), [expected]);
        let two = r#" [{"anonymous_id": "a", "timestamp": "2026-01-01", "received_at": "1999-01-01"}, 7]"#;
        let expected = json!({"kind": "touch", "_trust": "public", "received_at": received, "timestamp": "2026-01-01", "anonymous_id": "a"});
        assert_eq!(records(two), [expected, json!(7)]);
        assert_eq!(Hits::read(one.as_bytes(), 1).unwrap().write_key(), Some("k"));
    }

    #[test]
    fn the_user_agent_defaults_to_that_of_the_request() {
        let of = |body: &str| {
            let records = Hits::read(body.as_bytes(), 10).unwrap().records(now(), Trust::Public, Some("curl/8.0"));
            serde_json::from_str::<Value>(&records[0]).unwrap()["user_agent"].take()
        };
        assert_eq!(of(r#"{"anonymous_id": "a"}"#), "curl/8.0");
        assert_eq!(of(r#"{"anonymous_id": "a", "user_agent": null}"#), "curl/8.0");
        assert_eq!(of(r#"{"anonymous_id": "a", "user_agent": "Mozilla/5.0"}"#), "Mozilla/5.0");
    }

    #[test]
    fn a_hit_that_names_nobody_is_counted_apart() {
        let cost = |body: &str| Hits::read(body.as_bytes(), 10).unwrap().cost();
        assert_eq!(
            cost(r#"[{"anonymous_id": "a"}, {"email": "a@b.example", "url": "u"}]"#),
            Cost { messages: 2, ..Cost::default() }
        );
        let useless =
            r#"[{}, 7, {"url": "u", "kind": "touch"}, {"anonymous_id": ""}, {"anonymous_id": null, "writeKey": "k"}]"#;
        assert_eq!(cost(useless), Cost { useless: 5, ..Cost::default() });
    }

    #[test]
    fn only_touches_are_taken() {
        for kind in ["\"erase\"", "\"milestone\"", "7", "\"\\u0065rase\"", "[\"touch\"]"] {
            let body = format!(r#"[{{"anonymous_id": "a"}}, {{"kind": "touch", "k\u0069nd": {kind}}}]"#);
            assert!(matches!(Hits::read(body.as_bytes(), 10), Err(Refusal::Malformed(_))), "{kind}");
        }
        for body in ["", "7", "\"x\"", "[", "{\"a\":}"] {
            assert!(Hits::read(body.as_bytes(), 10).is_err(), "{body}");
        }
        assert!(matches!(Hits::read(b"[{},{},{}]", 2), Err(Refusal::TooLarge { .. })));
    }

    #[test]
    fn a_pixel_request_is_a_hit() {
        let pairs =
            |text: &str| -> Vec<(String, String)> { url::form_urlencoded::parse(text.as_bytes()).into_owned().collect() };
        let query = pairs(
            "writeKey=k&_trust=trusted&anonymous_id=a&kind=erase&referrer=https%3A%2F%2Fwww.baidu.com%2F&anonymous_id=b&url=",
        );
        let found: Value =
            serde_json::from_str(&pixel(&query, Some("https://a.example/?x=\"1\""), Some("curl/8.0"), now()).unwrap()).unwrap();
        let received = "2026-01-02T03:04:05.678Z";
        assert_eq!(
            found,
            json!({"kind": "touch", "_trust": "public", "received_at": received, "timestamp": received, "anonymous_id": "a",
                                 "referrer": "https://www.baidu.com/", "url": "https://a.example/?x=\"1\"", "user_agent": "curl/8.0"})
        );
        assert!(pixel(&pairs(&"a=b&".repeat(65)), None, None, now()).is_err());
    }

    #[test]
    fn the_pixel_is_a_gif_of_one_pixel() {
        assert!(PIXEL.starts_with(b"GIF89a\x01\0\x01\0") && PIXEL.ends_with(&[0x3b]));
    }
}
