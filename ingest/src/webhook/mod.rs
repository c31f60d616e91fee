//! Webhook envelopes: `{provider, received_at, headers, body}`. Signatures were checked where the request entered.

mod body;
mod hubspot;
mod mapping;
mod push;
mod records;
pub(crate) mod rules;
mod salesforce;
mod scene;
pub mod settings;
mod stages;
mod vendor_stages;
mod wechat;
mod wecom;
mod xml;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_proto::Source;
use tributary_runtime::stage::Rejection;

use body::elements;
use records::placed;

use crate::decoded::Decoded;
use crate::rules::Rules;
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
pub(crate) fn decode(rules: &Rules, text: &str, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let Envelope { provider, received_at, body }: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| json_rejection(&error))?;
    let provider = match (provider.text("provider")?, body) {
        (Some(provider), _) => provider,
        (None, None) => return native::decode(rules, text, Source::Webhook, received_ms, out),
        (None, Some(_)) => return Err(Rejection::new(reason::FIELD_MISSING, "provider", "the envelope names its provider")),
    };
    let received_ms = rules.received_ms(received_at, "received_at")?.or(received_ms);
    let Some(body) = body else {
        return Err(Rejection::new(reason::FIELD_MISSING, "body", "the envelope has no body"));
    };
    match &*provider {
        "native" => native_body(rules, body, received_ms, out),
        "wechat" => wechat::decode(rules, &body::text(body)?, received_ms, out),
        "wecom" => wecom::decode(rules, &body::text(body)?, received_ms, out),
        "hubspot" => hubspot::decode(rules, &body::json(body)?, received_ms, out),
        "salesforce" => salesforce::decode(rules, &body::json(body)?, received_ms, out),
        mapped if rules.webhook.mappings.has(mapped) => mapping::decode(rules, mapped, &body::json(body)?, received_ms, out),
        _ => {
            let detail = "expected native, wechat, wecom, hubspot, salesforce, or one of ingest.webhook.mappings";
            Err(Rejection::new(reason::PROVIDER_UNKNOWN, "provider", detail))
        }
    }
}

/// One native record, or an array of them of which each stands or falls alone.
fn native_body(rules: &Rules, body: &RawValue, received_ms: Option<i64>, out: &mut Decoded) -> Result<(), Rejection> {
    let body = body::json(body)?;
    if body.starts_with('{') {
        return native::decode(rules, &body, Source::Webhook, received_ms, out);
    }
    for (index, record) in (0u32..).zip(elements(&body)?) {
        if let Err(rejection) = native::decode(rules, record.get(), Source::Webhook, received_ms, out) {
            out.rejections.push(placed(rejection, index, &format!("body[{index}]")));
        }
    }
    Ok(())
}
