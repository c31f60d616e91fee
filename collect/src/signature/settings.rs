//! `[collector.webhooks.NAME]`: a webhook and its signature scheme.

use serde::{Deserialize, Serialize};
use tributary_runtime::config::Secret;

/// `[collector.webhooks.NAME]`: one sender of webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// The provider in the record's envelope; empty for the name of the webhook.
    pub provider: String,
    /// How pushes are authenticated.
    pub signature: Option<Format>,
    /// The secret of the signature; for WeChat, the token. Two while one is being replaced.
    pub secrets: Vec<Secret>,
    /// `hmac` and `secret`: the header with the signature, or with the secret.
    pub header: String,
    /// `hmac` and `secret`: a prefix in that header, such as `sha256=` or `Bearer `.
    pub prefix: String,
    /// `hmac`: the encoding of the signature.
    pub encoding: Encoding,
    /// `hmac`: the header with the time of sending, seconds since 1970; then the signature is of `time.body`.
    pub timestamp_header: String,
    /// `hubspot`: scheme and host of this collector as configured at HubSpot, such as `https://hooks.a.example`.
    pub public_url: String,
    /// `wechat`: the appid (for WeCom the corp id) that encrypted pushes must contain.
    pub app_id: String,
    /// `wechat`: the EncodingAESKey; if set, only encrypted pushes are accepted. Two while one is being replaced.
    pub aes_keys: Vec<Secret>,
    /// How old a push may be, seconds, if the signature includes a time. A push is accepted only once within this time.
    pub max_age_s: u32,
    /// Headers that are passed on, in addition to `content-type` and `user-agent`.
    pub keep_headers: Vec<String>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            provider: String::new(),
            signature: None,
            secrets: Vec::new(),
            header: String::new(),
            prefix: String::new(),
            encoding: Encoding::default(),
            timestamp_header: String::new(),
            public_url: String::new(),
            app_id: String::new(),
            aes_keys: Vec::new(),
            max_age_s: 300,
            keep_headers: Vec::new(),
        }
    }
}

/// The encoding of a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal, upper or lower case.
    #[default]
    Hex,
    /// Base64 of the standard alphabet.
    Base64,
}

/// A scheme for authenticating pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// WeChat's, of official accounts and of WeCom.
    Wechat,
    /// HubSpot's signature v3.
    Hubspot,
    /// HMAC-SHA256 of the body in a header.
    Hmac,
    /// A shared secret in a header.
    Secret,
}
