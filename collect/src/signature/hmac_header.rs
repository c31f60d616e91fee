//! HMAC-SHA256 of the body in a header, as most senders of webhooks sign. With a header for the time of sending, the signature covers
//! `time.body`, and a push is accepted once and only while it is fresh.

use std::borrow::Cow;

use http::HeaderName;
use tributary_runtime::config::Secret;

use super::replay::Fingerprint;
use super::settings::{Encoding, WebhookSettings};
use super::{Problem, Push, ReplayKey, Scheme, SignatureError, Verified, check_age, decode, header_name, is_hmac};

pub(super) struct HmacHeader {
    header: HeaderName,
    prefix: String,
    encoding: Encoding,
    timestamp: Option<HeaderName>,
    secrets: Vec<Secret>,
    max_age_ms: i64,
}

impl HmacHeader {
    pub(super) fn compile(settings: &WebhookSettings) -> Result<Self, Problem> {
        let WebhookSettings { header, prefix, encoding, timestamp_header, secrets, max_age_s, .. } = settings.clone();
        let timestamp =
            if timestamp_header.is_empty() { None } else { Some(header_name(&timestamp_header, "timestamp_header")?) };
        let max_age_ms = i64::from(max_age_s) * 1_000;
        Ok(Self { header: header_name(&header, "header")?, prefix, encoding, timestamp, secrets, max_age_ms })
    }
}

impl Scheme for HmacHeader {
    fn check<'a>(&self, push: &Push<'a>) -> Result<Verified<'a>, SignatureError> {
        const HEADER: &str = "the signature's header";
        const TIME: &str = "the timestamp's header";
        let shown = push.header(&self.header).ok_or(SignatureError::Missing(HEADER))?;
        let shown = shown.strip_prefix(self.prefix.as_str()).ok_or(SignatureError::Malformed(HEADER))?;
        let signature = decode(shown, self.encoding).ok_or(SignatureError::Malformed(HEADER))?;
        let body = Cow::Borrowed(push.body);
        let Some(timestamp) = &self.timestamp else {
            let genuine = is_hmac(&self.secrets, &[push.body], &signature);
            return if genuine { Ok(Verified::Push { body, replay_key: None }) } else { Err(SignatureError::Wrong) };
        };
        let time = push.header(timestamp).ok_or(SignatureError::Missing(TIME))?;
        if !is_hmac(&self.secrets, &[time.as_bytes(), b".", push.body], &signature) {
            return Err(SignatureError::Wrong);
        }
        let sent_ms = time.parse::<i64>().ok().and_then(|s| s.checked_mul(1_000)).ok_or(SignatureError::Malformed(TIME))?;
        check_age(sent_ms, push.now_ms, self.max_age_ms)?;
        let replay_key = Some(ReplayKey { fingerprint: Fingerprint::of(&signature), sent_ms, max_age_ms: self.max_age_ms });
        Ok(Verified::Push { body, replay_key })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, headers, secrets};
    use super::*;

    // printf '{"a":1}' | openssl dgst -sha256 -hmac 'the new one'
    const OF_BODY: &str = "98df31f862ece0b7b85093bd4c852da1e9a30c47fd35d2f9c214e6278278fba7";
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'the old one' -binary | base64
    const OF_TIME_AND_BODY: &str = "8W3IZLM2ix102aahC1EKjOpF0m9YfFIK3/g5S06q/0Q=";

    fn check(
        settings: &WebhookSettings,
        pairs: &[(&'static str, &str)],
        body: &[u8],
        now_ms: i64,
    ) -> Result<bool, SignatureError> {
        let headers = headers(pairs);
        let push = Push { method: "POST", path_and_query: "/", query: &[], headers: &headers, body, now_ms };
        match HmacHeader::compile(settings).unwrap().check(&push)? {
            Verified::Push { body: found, replay_key } => {
                assert_eq!(found, body);
                Ok(replay_key.is_some())
            }
            Verified::Echo { .. } => panic!("no echo was asked for"),
        }
    }

    #[test]
    fn the_body_is_signed() {
        let settings = WebhookSettings {
            secrets: secrets(&["the old one", "the new one"]),
            header: "x-hub-signature-256".into(),
            prefix: "sha256=".into(),
            ..WebhookSettings::default()
        };
        let shown = format!("sha256={OF_BODY}");
        let header = [("x-hub-signature-256", shown.as_str())];
        assert_eq!(check(&settings, &header, b"{\"a\":1}", NOW_MS), Ok(false));
        assert_eq!(check(&settings, &header, b"{\"a\":2}", NOW_MS), Err(SignatureError::Wrong));
        assert_eq!(check(&settings, &[("x-hub-signature-256", "sha256=00")], b"{\"a\":1}", NOW_MS), Err(SignatureError::Wrong));
        assert!(matches!(
            check(&settings, &[("x-hub-signature-256", OF_BODY)], b"", NOW_MS),
            Err(SignatureError::Malformed(_))
        ));
        assert!(matches!(check(&settings, &[], b"", NOW_MS), Err(SignatureError::Missing(_))));
    }

    #[test]
    fn a_signed_time_limits_the_age() {
        let settings = WebhookSettings {
            secrets: secrets(&["the old one", "the new one"]),
            header: "x-signature".into(),
            encoding: Encoding::Base64,
            timestamp_header: "x-time".into(),
            ..WebhookSettings::default()
        };
        let header = [("x-signature", OF_TIME_AND_BODY), ("x-time", "1700000000")];
        assert_eq!(check(&settings, &header, b"{\"a\":1}", NOW_MS + 300_000), Ok(true));
        assert_eq!(check(&settings, &header, b"{\"a\":1}", NOW_MS + 300_001), Err(SignatureError::Old));
        assert_eq!(check(&settings, &header, b"{\"a\":1}", NOW_MS - 300_001), Err(SignatureError::Old));
        let later = [("x-signature", OF_TIME_AND_BODY), ("x-time", "1700000300")];
        assert_eq!(check(&settings, &later, b"{\"a\":1}", NOW_MS + 300_001), Err(SignatureError::Wrong));
    }
}
