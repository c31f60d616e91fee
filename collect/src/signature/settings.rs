//! `[collector.webhooks.NAME]`: a webhook and its signature scheme.

use serde::{Deserialize, Serialize};
use tributary_runtime::config::Secret;

/// `[collector.webhooks.NAME]`: one sender of pushes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// The provider in the record's envelope; empty for the webhook's own name.
    pub provider: String,
    /// How a push is known to be genuine.
    pub signature: Option<Format>,
    /// What the signature is made with: the secret, or WeChat's token. Two while one is being replaced.
    pub secrets: Vec<Secret>,
    /// `hmac` and `secret`: the header that holds the signature, or the secret.
    pub header: String,
    /// `hmac` and `secret`: what stands before it in the header, such as `sha256=` or `Bearer `.
    pub prefix: String,
    /// `hmac`: how the signature is written.
    pub encoding: Encoding,
    /// `hmac`: the header that holds the time of sending, in seconds since 1970; then the signature is of `time.body`.
    pub timestamp_header: String,
    /// `hubspot`: scheme and host of this collector as the sender has it configured, such as `https://hooks.a.example`.
    pub public_url: String,
    /// `wechat`: the appid (of WeCom: the corp id) that encrypted pushes must be for.
    pub app_id: String,
    /// `wechat`: the EncodingAESKey; where there is one, only encrypted pushes are taken. Two while one is being replaced.
    pub aes_keys: Vec<Secret>,
    /// How old a push may be, in seconds, if the signature includes a time. The same push is taken once within this time.
    pub max_age_s: u32,
    /// Headers that are passed on, beside `content-type` and `user-agent`.
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

/// How a signature is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    /// Base64 of the standard alphabet.
    Base64,
}

/// A scheme's name in the settings.
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
