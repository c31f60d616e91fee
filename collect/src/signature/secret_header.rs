//! A shared secret in a header, for senders that cannot sign. Anybody who reads one request can send anything.

use std::borrow::Cow;

use http::HeaderName;
use subtle::ConstantTimeEq;
use tributary_runtime::config::Secret;

use super::settings::WebhookSettings;
use super::{Problem, Push, Scheme, SignatureError, Verified, header_name};

pub(super) struct SecretHeader {
    header: HeaderName,
    prefix: String,
    secrets: Vec<Secret>,
}

impl SecretHeader {
    pub(super) fn compile(settings: &WebhookSettings) -> Result<Self, Problem> {
        let WebhookSettings { header, prefix, secrets, .. } = settings.clone();
        Ok(Self { header: header_name(&header, "header")?, prefix, secrets })
    }
}

impl Scheme for SecretHeader {
    fn check<'a>(&self, push: &Push<'a>) -> Result<Verified<'a>, SignatureError> {
        let shown = push.header(&self.header).ok_or(SignatureError::Missing("the secret's header"))?;
        let shown = shown.strip_prefix(self.prefix.as_str()).ok_or(SignatureError::Malformed("the secret's header"))?;
        let same = |secret: &Secret| bool::from(secret.expose().as_bytes().ct_eq(shown.as_bytes()));
        if !self.secrets.iter().fold(false, |found, secret| same(secret) | found) {
            return Err(SignatureError::Wrong);
        }
        Ok(Verified::Push { body: Cow::Borrowed(push.body), replay_key: None })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW_MS, headers, secrets};
    use super::*;

    #[test]
    fn either_of_two_secrets_opens() {
        let settings = WebhookSettings {
            secrets: secrets(&["the old one", "the new one"]),
            header: "authorization".into(),
            prefix: "Bearer ".into(),
            ..WebhookSettings::default()
        };
        let scheme = SecretHeader::compile(&settings).unwrap();
        let check = |pairs: &[(&'static str, &str)]| {
            let headers = headers(pairs);
            let push = Push { method: "POST", path_and_query: "/", query: &[], headers: &headers, body: b"x", now_ms: NOW_MS };
            scheme.check(&push).map(|_| ())
        };
        assert_eq!(check(&[("authorization", "Bearer the old one")]), Ok(()));
        assert_eq!(check(&[("authorization", "Bearer the new one")]), Ok(()));
        assert_eq!(check(&[("authorization", "Bearer the new on")]), Err(SignatureError::Wrong));
        assert_eq!(check(&[("authorization", "Bearer ")]), Err(SignatureError::Wrong));
        assert!(matches!(check(&[("authorization", "the new one")]), Err(SignatureError::Malformed(_))));
        assert!(matches!(check(&[]), Err(SignatureError::Missing(_))));
    }
}
