//! Refusals of requests: a status, a stable code, a sentence, and when to retry.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::signature::SignatureError;

/// Why a request is refused. No text contains a value from the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No write key, or an unknown one.
    #[error("a write key is needed: as the user of HTTP basic auth, or as writeKey in the body")]
    Unauthorised,
    /// The push is not authenticated.
    #[error("{0}")]
    SignatureError(#[from] SignatureError),
    /// The push was accepted before.
    #[error("this was sent before")]
    Replayed,
    /// There is no call or webhook with this name.
    #[error("there is no such path")]
    UnknownPath,
    /// The body does not have the required form.
    #[error("{0}")]
    Malformed(&'static str),
    /// The body, or the number of messages in it, exceeds a limit.
    #[error("{what}: at most {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A message of the request is larger than the largest record. Nothing of the request was accepted.
    #[error("the message at index {index} has {bytes} bytes as a record, at most {max} are read; send the others without it")]
    MessageTooLarge {
        /// Its position in the request, from 0.
        index: usize,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The body was sent too slowly.
    #[error("the body comes too slowly")]
    Slow,
    /// The compression is neither gzip nor deflate.
    #[error("send the body as it is, or with Content-Encoding: gzip or deflate")]
    UnsupportedEncoding,
    /// The sender exceeds its rate limit.
    #[error("too many messages, or bytes, a second for this key or address; or too many useless messages")]
    RateLimited {
        /// When to try again, seconds from now.
        retry_after_s: u64,
    },
    /// Too many requests are in progress, or wait for the log.
    #[error("busy; send it again later")]
    Busy,
    /// The log does not answer, or did not in time. The records may be stored later nevertheless.
    #[error("the log cannot be reached; send it again later")]
    LogAway,
}

impl Refusal {
    /// Every code.
    pub const CODES: [&str; 13] = [
        "unauthorised",
        "signature_old",
        "signature_wrong",
        "replayed",
        "path_unknown",
        "malformed",
        "too_large",
        "message_too_large",
        "slow",
        "encoding_unsupported",
        "rate_limited",
        "busy",
        "log_away",
    ];

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorised | Self::SignatureError(_) => StatusCode::UNAUTHORIZED,
            Self::Replayed => StatusCode::CONFLICT,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } | Self::MessageTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::LogAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code, also used as the metric's label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::SignatureError(SignatureError::Old) => "signature_old",
            Self::SignatureError(_) => "signature_wrong",
            Self::Replayed => "replayed",
            Self::UnknownPath => "path_unknown",
            Self::Malformed(_) => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::MessageTooLarge { .. } => "message_too_large",
            Self::Slow => "slow",
            Self::UnsupportedEncoding => "encoding_unsupported",
            Self::RateLimited { .. } => "rate_limited",
            Self::Busy => "busy",
            Self::LogAway => "log_away",
        }
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_s } => Some(*retry_after_s),
            Self::Busy | Self::LogAway => Some(1),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "success": false, "code": self.code(), "message": self.to_string() }).to_string();
        let mut response = (self.status(), [(header::CONTENT_TYPE, "application/json")], body).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Unauthorised {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"write key\""));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_listed() {
        let all = [
            Refusal::Unauthorised,
            Refusal::SignatureError(SignatureError::Old),
            Refusal::SignatureError(SignatureError::Wrong),
            Refusal::Replayed,
            Refusal::UnknownPath,
            Refusal::Malformed(""),
            Refusal::TooLarge { what: "", max: 0 },
            Refusal::MessageTooLarge { index: 0, bytes: 0, max: 0 },
            Refusal::Slow,
            Refusal::UnsupportedEncoding,
            Refusal::RateLimited { retry_after_s: 1 },
            Refusal::Busy,
            Refusal::LogAway,
        ];
        let found: BTreeSet<&str> = all.iter().map(Refusal::code).collect();
        assert_eq!(found, BTreeSet::from(Refusal::CODES));
    }
}
