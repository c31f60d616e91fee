//! HubSpot's signature v3: HMAC-SHA256 of method, URI, body and timestamp, in base64, refused when older than five minutes.
//!
//! Source: HubSpot's developer documentation, "Validating requests", v3. The URI is the one that HubSpot calls: scheme and host are
//! set, for behind a proxy they are not those of the request.

use std::borrow::Cow;

use http::HeaderName;
use tributary_runtime::config::Secret;

use super::replay::Fingerprint;
use super::settings::{Encoding, WebhookSettings};
use super::{Problem, Push, ReplayKey, Scheme, SignatureError, Verified, check_age, decode, is_hmac, problem};

const SIGNATURE: HeaderName = HeaderName::from_static("x-hubspot-signature-v3");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-hubspot-request-timestamp");

/// Percent-escapes that HubSpot decodes in the URI before signing, as documented.
const DECODED: [(&str, &str); 12] = [
    ("%3A", ":"),
    ("%2F", "/"),
    ("%3F", "?"),
    ("%40", "@"),
    ("%21", "!"),
    ("%24", "$"),
    ("%27", "'"),
    ("%28", "("),
    ("%29", ")"),
    ("%2A", "*"),
    ("%2C", ","),
    ("%3B", ";"),
];

pub(super) struct HubSpot {
    public_url: String,
    secrets: Vec<Secret>,
    max_age_ms: i64,
}

impl HubSpot {
    pub(super) fn compile(settings: &WebhookSettings) -> Result<Self, Problem> {
        let WebhookSettings { public_url, secrets, max_age_s, .. } = settings.clone();
        if !url::Url::parse(&public_url).is_ok_and(|url| url.origin().ascii_serialization() == public_url) {
            return problem("public_url", "expected scheme and host as HubSpot calls them, such as `https://hooks.a.example`");
        }
        if max_age_s > 300 {
            return problem("max_age_s", "HubSpot's signatures are valid for 300 seconds");
        }
        Ok(Self { public_url, secrets, max_age_ms: i64::from(max_age_s) * 1_000 })
    }
}

impl Scheme for HubSpot {
    fn check<'a>(&self, push: &Push<'a>) -> Result<Verified<'a>, SignatureError> {
        let shown = push.header(&SIGNATURE).ok_or(SignatureError::Missing("x-hubspot-signature-v3"))?;
        let time = push.header(&TIMESTAMP).ok_or(SignatureError::Missing("x-hubspot-request-timestamp"))?;
        let signature = decode(shown, Encoding::Base64).ok_or(SignatureError::Malformed("x-hubspot-signature-v3"))?;
        let sent_ms: i64 = time.parse().map_err(|_| SignatureError::Malformed("x-hubspot-request-timestamp"))?;
        let path = decoded(push.path_and_query);
        let parts = [push.method.as_bytes(), self.public_url.as_bytes(), path.as_bytes(), push.body, time.as_bytes()];
        if !is_hmac(&self.secrets, &parts, &signature) {
            return Err(SignatureError::Wrong);
        }
        check_age(sent_ms, push.now_ms, self.max_age_ms)?;
        let replay_key = Some(ReplayKey { fingerprint: Fingerprint::of(&signature), sent_ms, max_age_ms: self.max_age_ms });
        Ok(Verified::Push { body: Cow::Borrowed(push.body), replay_key })
    }
}

fn decoded(path_and_query: &str) -> Cow<'_, str> {
    if !path_and_query.contains('%') {
        return Cow::Borrowed(path_and_query);
    }
    let decode = |text: String, (escape, character): &(&str, &str)| {
        text.replace(escape, character).replace(&escape.to_ascii_lowercase(), character)
    };
    Cow::Owned(DECODED.iter().fold(path_and_query.to_owned(), decode))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, headers, secrets};
    use super::*;

    const BODY: &[u8] = b"[{\"eventId\":1}]";
    // printf 'POSThttps://hooks.a.example/webhooks/hubspot?x=a@b[{"eventId":1}]1700000000000' | openssl dgst -sha256 -hmac 'client secret' -binary | base64
    const SIGNED: &str = "sQ9UMsuXECmE8aRj8FB5M7V1/YRh/65ApVed38yiXbg=";

    fn check(path_and_query: &str, body: &[u8], signature: &str, time: &str, now_ms: i64) -> Result<(), SignatureError> {
        let settings = WebhookSettings {
            secrets: secrets(&["another", "client secret"]),
            public_url: "https://hooks.a.example".into(),
            ..WebhookSettings::default()
        };
        let headers = headers(&[("x-hubspot-signature-v3", signature), ("x-hubspot-request-timestamp", time)]);
        let push = Push { method: "POST", path_and_query, query: &[], headers: &headers, body, now_ms };
        HubSpot::compile(&settings).unwrap().check(&push).map(|_| ())
    }

    #[test]
    fn what_hubspot_signed_is_genuine_for_five_minutes() {
        let path = "/webhooks/hubspot?x=a%40b";
        let time = "1700000000000";
        assert_eq!(check(path, BODY, SIGNED, time, NOW_MS), Ok(()));
        assert_eq!(check(path, BODY, SIGNED, time, NOW_MS + 300_000), Ok(()));
        assert_eq!(check(path, BODY, SIGNED, time, NOW_MS + 300_001), Err(SignatureError::Old));
        assert_eq!(check(path, b"[]", SIGNED, time, NOW_MS), Err(SignatureError::Wrong));
        assert_eq!(check("/webhooks/other?x=a%40b", BODY, SIGNED, time, NOW_MS), Err(SignatureError::Wrong));
        assert_eq!(check(path, BODY, SIGNED, "1700000000001", NOW_MS), Err(SignatureError::Wrong));
        assert!(matches!(check(path, BODY, "%", time, NOW_MS), Err(SignatureError::Malformed(_))));
    }

    #[test]
    fn verification_needs_the_public_address() {
        let settings = WebhookSettings { public_url: "hooks.a.example/x".into(), ..WebhookSettings::default() };
        assert_eq!(HubSpot::compile(&settings).err().map(|problem| problem.field), Some("public_url"));
    }
}
