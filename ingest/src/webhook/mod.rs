//! Webhook envelopes: `{provider, received_at, headers, body}`. Signatures were checked where the request entered.

mod wechat;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tributary_proto::Source;
use tributary_runtime::stage::Rejection;

use crate::decoder::{Decoded, Decoder};
use crate::limits::check_depth;
use crate::scalar::{Scalar, json_rejection};
use crate::{native, reason};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    provider: Scalar<'a>,
    #[serde(borrow)]
    received_at: Scalar<'a>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Decodes one envelope; a record with neither provider nor body is a native one.
///
/// # Errors
/// When it is refused as a whole; nothing was added to `out` then.
pub(crate) fn decode(decoder: &Decoder, text: &str, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let Envelope { provider, received_at, body }: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| json_rejection(&error))?;
    let provider = match (provider.text("provider")?, body) {
        (Some(provider), _) => provider,
        (None, None) => return native::decode(decoder, text, Source::Webhook, received_ms, out),
        (None, Some(_)) => return Err(Rejection::new(reason::FIELD_MISSING, "provider", "the envelope names its provider")),
    };
    let received_ms = decoder.received_ms(received_at, "received_at")?.or(received_ms);
    let Some(body) = body else {
        return Err(Rejection::new(reason::FIELD_MISSING, "body", "the envelope has no body"));
    };
    match &*provider {
        "native" => native_body(decoder, &body_text(body)?, received_ms, out),
        "wechat" => wechat::decode(decoder, &string_body(body)?, received_ms, out),
        _ => Err(Rejection::new(reason::PROVIDER_UNKNOWN, "provider", "expected native or wechat")),
    }
}

/// The body's JSON, which receivers also pass on as the text that they got.
fn body_text(body: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    if body.get().starts_with('"') { string_body(body) } else { Ok(Cow::Borrowed(body.get())) }
}

fn string_body(body: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    match serde_json::from_str(body.get()).map_err(|error| json_rejection(&error))? {
        Scalar::Text(text) => Ok(text),
        _ => Err(Rejection::new(reason::VALUE_INVALID, "body", "expected the provider's body as a string")),
    }
}

/// One native record, or an array of them of which each stands or falls alone.
fn native_body(decoder: &Decoder, body: &str, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    // A body that was a string was not looked into before.
    check_depth(body)?;
    let body = body.trim_ascii_start();
    if body.starts_with('{') {
        return native::decode(decoder, body, Source::Webhook, received_ms, out);
    }
    if !body.starts_with('[') {
        return Err(Rejection::new(reason::VALUE_INVALID, "body", "expected a native record or an array of them"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let records = deserializer.deserialize_seq(Elements).map_err(|error| json_rejection(&error))?;
    deserializer.end().map_err(|error| json_rejection(&error))?;
    for (index, record) in (0u32..).zip(records) {
        if let Err(mut rejection) = native::decode(decoder, record.get(), Source::Webhook, received_ms, out) {
            rejection.index = index;
            rejection.field = if rejection.field.is_empty() {
                format!("body[{index}]")
            } else {
                format!("body[{index}].{}", rejection.field)
            };
            out.rejections.push(rejection);
        }
    }
    Ok(())
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of native records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(element) = seq.next_element()? {
            out.push(element);
        }
        Ok(out)
    }
}
