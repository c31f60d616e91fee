//! Wraps a push in the envelope that the decoder of webhooks reads: `{provider, received_at, _trust, headers, body}`.

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tributary_ingest::{TRUST_FIELD, Trust};

use crate::json::Writer;
use crate::refusal::Refusal;

/// Headers kept for every push; a webhook's settings can name more.
const KEPT: [&str; 2] = ["content-type", "user-agent"];
/// Longest header that is passed on, bytes.
const HEADER_BYTES_MAX: usize = 1_024;

/// The record of a push. A body that is a JSON object or list is embedded as JSON, any other as text.
///
/// # Errors
/// When the body is not UTF-8.
pub fn record(provider: &str, keep: &[String], headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, Refusal> {
    let body = std::str::from_utf8(body).map_err(|_| Refusal::Malformed("the body is not UTF-8"))?;
    let mut out = Writer::new(body.len() + 256);
    out.text("provider", provider);
    out.text("received_at", &format!("{now:.3}"));
    // Its signature was checked, so it is trusted.
    out.text(TRUST_FIELD, Trust::Trusted.name());
    let mut kept = Writer::new(128);
    for name in KEPT.into_iter().chain(keep.iter().map(String::as_str)) {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(value) = value.filter(|value| value.len() <= HEADER_BYTES_MAX) {
            kept.text(&name.to_ascii_lowercase(), value);
        }
    }
    out.raw("headers", &kept.finish());
    let nested = body.trim_ascii_start().starts_with(['{', '[']);
    match serde_json::from_str::<&RawValue>(body) {
        Ok(value) if nested => out.raw("body", value.get()),
        _ => out.text("body", body),
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05.678Z".parse().unwrap()
    }

    fn body_of(body: &str) -> Value {
        let record = record("p", &[], &HeaderMap::new(), body.as_bytes(), now()).unwrap();
        serde_json::from_str::<Value>(&record).unwrap()["body"].take()
    }

    #[test]
    fn bodies() {
        assert_eq!(body_of(" [{\"a\": 1}] "), json!([{"a": 1}]));
        assert_eq!(body_of("{\"a\""), json!("{\"a\""));
        assert_eq!(body_of("<xml a=\"b\">\n\u{4f60}</xml>"), json!("<xml a=\"b\">\n\u{4f60}</xml>"));
        assert_eq!(body_of(""), json!(""));
        assert_eq!(body_of("7"), json!("7"));
        assert!(record("p", &[], &HeaderMap::new(), b"\xff", now()).is_err());
    }

    #[test]
    fn only_listed_headers_are_passed_on() {
        let long = "x".repeat(HEADER_BYTES_MAX + 1);
        let mut headers = HeaderMap::new();
        for (name, value) in [("content-type", "text/xml"), ("authorization", "s"), ("x-event", "deal"), ("user-agent", &long)]
        {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let record = record("p", &["X-Event".to_owned()], &headers, b"{}", now()).unwrap();
        let expected = json!({"provider": "p", "_trust": "trusted", "received_at": "2026-01-02T03:04:05.678Z",
                              "headers": {"content-type": "text/xml", "x-event": "deal"}, "body": {}});
        assert_eq!(serde_json::from_str::<Value>(&record).unwrap(), expected);
    }
}
