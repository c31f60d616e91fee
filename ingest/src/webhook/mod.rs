//! Webhook envelopes: `{provider, received_at, headers, body}`. Signatures were checked where the request entered.

mod activity;
mod body;
mod hubspot;
mod mapping;
mod native_body;
mod push;
mod records;
pub(crate) mod rules;
mod salesforce;
mod scene;
pub mod settings;
mod stages;
mod tags;
pub(crate) mod vendor_stages;
mod wechat;
mod wecom;
mod xml;

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use crate::decoded::Decoded;
use crate::ignored::Ignored;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::{native, reason};

/// A provider that is built in.
pub struct Provider {
    /// Its name in envelopes and settings.
    pub name: &'static str,
    decode: Decode,
    /// Examples of bodies.
    pub examples: &'static [&'static str],
}

/// Decodes the body of an envelope; if it is refused as a whole, nothing was added.
type Decode = fn(&Rules, &RawValue, Receipt, &mut Decoded) -> Result<(), Rejection>;

/// All built-in providers. A new one is a file and a row here; its payloads in `tests/payloads` are its tests and seeds of the fuzzer.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        name: "native",
        decode: native_body::decode,
        examples: &[include_str!("../../tests/payloads/offline/booth.json")],
    },
    Provider {
        name: "wechat",
        decode: wechat::decode,
        examples: &[include_str!("../../tests/payloads/wechat/subscribe_by_code.xml")],
    },
    Provider {
        name: "wecom",
        decode: wecom::decode,
        examples: &[include_str!("../../tests/payloads/wecom/add_external_contact.xml")],
    },
    Provider {
        name: "hubspot",
        decode: hubspot::decode,
        examples: &[include_str!("../../tests/payloads/hubspot/deal_reopened.json")],
    },
    Provider {
        name: "salesforce",
        decode: salesforce::decode,
        examples: &[include_str!("../../tests/payloads/salesforce/opportunity_won.json")],
    },
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    provider: Scalar<'a>,
    #[serde(borrow)]
    received_at: Scalar<'a>,
    /// See [`crate::TRUST_FIELD`].
    #[serde(borrow, rename = "_trust")]
    trust: Scalar<'a>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Decodes one envelope; a record with neither provider nor body is a native one.
///
/// # Errors
/// When it is refused as a whole; nothing was added to `out` then.
pub(crate) fn decode(rules: &Rules, text: &str, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let Envelope { provider, received_at, trust, body }: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| json_rejection(&error))?;
    let provider = match (provider.text("provider")?, body) {
        (Some(provider), _) => provider,
        (None, None) => return native::decode(rules, text, receipt, out),
        (None, Some(_)) => return Err(Rejection::new(reason::FIELD_MISSING, "provider", "the envelope names its provider")),
    };
    let mut ignored = Ignored::default();
    let received_ms = ignored.read(rules.received_ms(received_at, "received_at")).flatten();
    let receipt = receipt.at(received_ms).marked(&trust).inside();
    out.public = receipt.is_public();
    let Some(body) = body else {
        return Err(Rejection::new(reason::FIELD_MISSING, "body", "the envelope has no body"));
    };
    if let Some(provider) = PROVIDERS.iter().find(|known| known.name == provider) {
        (provider.decode)(rules, body, receipt, out)?;
    } else if rules.webhook.mappings.has(&provider) {
        mapping::decode(rules, &provider, &body::json(body)?, receipt, out)?;
    } else {
        return Err(unknown());
    }
    out.ignored.merge(ignored);
    Ok(())
}

fn unknown() -> Rejection {
    let names: Vec<&str> = PROVIDERS.iter().map(|known| known.name).collect();
    let detail = format!("expected one of {}, or of ingest.webhook.mappings", names.join(", "));
    Rejection::new(reason::PROVIDER_UNKNOWN, "provider", detail)
}
