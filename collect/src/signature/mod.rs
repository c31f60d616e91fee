//! Verifies the signature of a push where it enters. A scheme is a file here and a line in [`compile`].
//!
//! | scheme | what is signed | kept from being sent again by |
//! |---|---|---|
//! | `wechat` | token, timestamp and nonce; of an encrypted push its text too | timestamp, and each signature once |
//! | `hubspot` | method, URI, body and timestamp | timestamp, and each signature once |
//! | `hmac_header` | the body, and the timestamp where there is one | the same, where there is a timestamp |
//! | `secret_header` | nothing: the sender shows a secret | nothing |
//!
//! All comparisons take constant time. No error contains a value.

mod hmac_header;
mod hubspot;
pub mod replay;
mod secret_header;
pub mod settings;
mod wechat;
mod wechat_crypt;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;
use tributary_runtime::config::Secret;

use settings::{Encoding, Format, WebhookSettings};

/// Most secrets of one webhook: the current one, and its predecessor or successor.
const SECRETS_MAX: usize = 2;

/// A push as received.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// Path and query as received.
    pub path_and_query: &'a str,
    /// The query, decoded.
    pub query: &'a [(String, String)],
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body as received.
    pub body: &'a [u8],
    /// The time of receipt, milliseconds since 1970-01-01 UTC.
    pub now_ms: i64,
}

impl<'a> Push<'a> {
    /// A header as text; `None` if it is absent or not text.
    fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A query parameter, which must occur exactly once.
    fn parameter(&self, name: &'static str) -> Result<&'a str, SignatureError> {
        let mut found = self.query.iter().filter(|(known, _)| known == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(SignatureError::Missing(name)),
            (Some(_), Some(_)) => Err(SignatureError::Malformed(name)),
        }
    }
}

/// A verified request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified<'a> {
    /// A push, with its decrypted body.
    Push {
        /// The body.
        body: Cow<'a, [u8]>,
        /// Identifies the push, so that it is accepted only once; `None` if the scheme has no such data.
        replay_key: Option<ReplayKey>,
    },
    /// A request to prove that we know the secret.
    Echo {
        /// The answer.
        text: String,
        /// Identifies this request; its signature must not be accepted for a push.
        replay_key: ReplayKey,
    },
}

/// Identifies a push that must be accepted only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayKey {
    /// Identifies the push.
    pub fingerprint: replay::Fingerprint,
    /// When it was sent, as signed; milliseconds since 1970-01-01 UTC.
    pub sent_ms: i64,
    /// How old it may be, milliseconds.
    pub max_age_ms: i64,
}

/// Why a push cannot be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header or a parameter is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A header or a parameter is malformed.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// The signature or the secret is wrong.
    #[error("the signature does not match")]
    Wrong,
    /// It was sent too long ago, or in the future.
    #[error("the timestamp is too far from this clock")]
    Old,
    /// It cannot be decrypted.
    #[error("it cannot be decrypted, or is for another app id")]
    Undecipherable,
}

/// A way to authenticate pushes.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use tributary_collect::signature::settings::{Format, WebhookSettings};
/// use tributary_collect::signature::{Push, SignatureError, compile};
/// use tributary_runtime::config::Secret;
///
/// let settings = WebhookSettings {
///     signature: Some(Format::Secret),
///     secrets: vec![Secret::new("a-secret-0123456789")],
///     header: "x-secret".into(),
///     ..WebhookSettings::default()
/// };
/// let scheme = compile(&settings).expect("the settings are valid");
/// let mut headers = HeaderMap::new();
/// headers.insert("x-secret", HeaderValue::from_static("another-secret"));
/// let push = Push { method: "POST", path_and_query: "/", query: &[], headers: &headers, body: b"{}", now_ms: 0 };
/// assert_eq!(scheme.check(&push), Err(SignatureError::Wrong));
/// ```
pub trait Scheme: Send + Sync {
    /// Verifies a request.
    ///
    /// # Errors
    /// Why it cannot be verified.
    fn check<'a>(&self, push: &Push<'a>) -> Result<Verified<'a>, SignatureError>;
}

/// An invalid setting of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, relative to the webhook.
    pub field: &'static str,
    /// The error.
    pub message: String,
}

fn problem<T>(field: &'static str, message: &str) -> Result<T, Problem> {
    Err(Problem { field, message: message.to_owned() })
}

/// Compiles the scheme of a webhook.
///
/// # Errors
/// The first invalid setting.
pub fn compile(settings: &WebhookSettings) -> Result<Box<dyn Scheme>, Problem> {
    let Some(format) = settings.signature else {
        return problem("signature", "expected wechat, hubspot, hmac or secret: nothing is taken on trust");
    };
    if !(1..=SECRETS_MAX).contains(&settings.secrets.len()) || settings.secrets.iter().any(Secret::is_empty) {
        return problem("secrets", "expected one secret, or two while one is being replaced; none of them empty");
    }
    if !(1..=3_600).contains(&settings.max_age_s) {
        return problem("max_age_s", "expected 1 to 3600 seconds");
    }
    for name in &settings.keep_headers {
        let secret = matches!(name.to_ascii_lowercase().as_str(), "authorization" | "cookie")
            || name.eq_ignore_ascii_case(&settings.header);
        if secret || HeaderName::try_from(name.as_str()).is_err() {
            return problem("keep_headers", "expected names of headers that hold no credential");
        }
    }
    Ok(match format {
        Format::Wechat => Box::new(wechat::WeChat::compile(settings)?),
        Format::Hubspot => Box::new(hubspot::HubSpot::compile(settings)?),
        Format::Hmac => Box::new(hmac_header::HmacHeader::compile(settings)?),
        Format::Secret => Box::new(secret_header::SecretHeader::compile(settings)?),
    })
}

fn header_name(text: &str, field: &'static str) -> Result<HeaderName, Problem> {
    HeaderName::try_from(text).or_else(|_| problem(field, "expected the name of a header"))
}

/// Refuses a push that was sent more than `max_age_ms` ago, or in the future by more than that.
fn check_age(sent_ms: i64, now_ms: i64, max_age_ms: i64) -> Result<(), SignatureError> {
    if now_ms.abs_diff(sent_ms) > max_age_ms.unsigned_abs() { Err(SignatureError::Old) } else { Ok(()) }
}

/// Whether one of the secrets gives this HMAC-SHA256 of the parts. Tries all of them, so that the time reveals nothing.
fn is_hmac(secrets: &[Secret], parts: &[&[u8]], signature: &[u8]) -> bool {
    secrets.iter().fold(false, |found, secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return found };
        parts.iter().for_each(|part| mac.update(part));
        mac.verify_slice(signature).is_ok() | found
    })
}

/// Decodes a signature.
fn decode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Base64 => STANDARD.decode(text).ok(),
        Encoding::Hex => {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let pair = |pair: &[u8]| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            };
            text.as_bytes().chunks(2).map(pair).collect()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

    pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    pub(crate) fn query(text: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    pub(crate) fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text)).collect()
    }

    #[test]
    fn a_webhook_without_a_signature_or_a_secret_is_refused() {
        let field = |settings: &WebhookSettings| compile(settings).err().map(|problem| problem.field);
        let mut settings = WebhookSettings::default();
        assert_eq!(field(&settings), Some("signature"));
        settings.signature = Some(Format::Secret);
        assert_eq!(field(&settings), Some("secrets"));
        settings.secrets = secrets(&["a", "b", "c"]);
        assert_eq!(field(&settings), Some("secrets"));
        settings.secrets = secrets(&["a", "b"]);
        assert_eq!(field(&settings), Some("header"));
        settings.header = "x-secret".into();
        assert_eq!(field(&settings), None);
        settings.keep_headers = vec!["x-secret".into()];
        assert_eq!(field(&settings), Some("keep_headers"));
    }

    #[test]
    fn signatures_are_read_strictly() {
        assert_eq!(decode("0aFF", Encoding::Hex), Some(vec![10, 255]));
        assert_eq!(decode("0aF", Encoding::Hex), None);
        assert_eq!(decode("0a F", Encoding::Hex), None);
        assert_eq!(decode("Cv8=", Encoding::Base64), Some(vec![10, 255]));
        assert_eq!(decode("Cv8", Encoding::Base64), None);
    }
}
