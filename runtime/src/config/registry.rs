//! `topics.framing` and `[topics.registry]`: rows in frames that name their schema.

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::section::Problems;

/// The framing of rows in topics for readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// None.
    #[default]
    Plain,
    /// Confluent's wire format, as Schema Registry serializers write it: a zero byte and the id of the schema.
    Confluent,
}

/// `[topics.registry]`: the Schema Registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Its URL: `https://registry.a.example`. Several, separated by commas, are tried in order.
    pub url: String,
    /// User name or API key; empty for none.
    pub username: String,
    /// Password or API secret.
    pub password: Secret,
    /// Timeout of a request, milliseconds.
    pub timeout_ms: u32,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self { url: String::new(), username: String::new(), password: Secret::default(), timeout_ms: 10_000 }
    }
}

impl RegistrySettings {
    /// The URLs, in the order in which they are tried.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.url.split(',').map(str::trim).filter(|url| !url.is_empty())
    }

    /// Checks the settings that framing needs.
    pub(super) fn check(&self, framing: Framing, problems: &mut Problems) {
        let is_address = |url: &str| url.starts_with("http://") || url.starts_with("https://");
        problems.unless(self.urls().all(is_address), "registry.url", "expected http://HOST:PORT or https://HOST");
        problems.unless((100..=120_000).contains(&self.timeout_ms), "registry.timeout_ms", "expected 100 to 120000");
        let known = framing == Framing::Plain || self.urls().next().is_some();
        problems.unless(known, "registry.url", "framing = \"confluent\" needs the address of the Schema Registry");
    }
}
