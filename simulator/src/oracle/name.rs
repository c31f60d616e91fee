//! Identifiers, in the order of their hashes.

use tributary_proto::Identifier;
use xxhash_rust::xxh3::xxh3_128;

/// An identifier, sorted by its hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// xxh3-128 of kind, scope and value.
    pub hash: u128,
    /// The kind.
    pub kind: String,
    /// The scope in which the value is unique.
    pub scope: String,
    /// The value.
    pub value: String,
}

impl Name {
    /// From an identifier.
    pub fn of(identifier: &Identifier) -> Self {
        let Identifier { kind, scope, value } = identifier;
        Self {
            hash: xxh3_128(format!("{kind}\u{1f}{scope}\u{1f}{value}").as_bytes()),
            kind: kind.to_string(),
            scope: scope.to_string(),
            value: value.to_string(),
        }
    }

    /// The first eight bytes of the hash.
    pub fn short(&self) -> u64 {
        u64::try_from(self.hash >> 64).unwrap_or_default()
    }

    /// The domain with this value.
    pub fn domain(value: &str) -> Self {
        Self::of(&Identifier::new("domain", "", value))
    }

    /// As an identifier.
    pub fn identifier(&self) -> Identifier {
        Identifier::new(&self.kind, &self.scope, &self.value)
    }

    /// Whether it names accounts, not people.
    pub fn is_account(&self) -> bool {
        ["crm_account", "domain", "company_name"].contains(&self.kind.as_str())
    }

    /// Whether it is a browser or a device.
    pub fn is_anonymous(&self) -> bool {
        self.kind == "anonymous_id" || self.kind == "device_id"
    }

    /// The order of published lists.
    pub fn text(&self) -> (&str, &str, &str) {
        (&self.kind, &self.scope, &self.value)
    }

    /// Its canonical bytes.
    pub fn bytes(&self) -> Vec<u8> {
        format!("{}\u{1f}{}\u{1f}{}", self.kind, self.scope, self.value).into_bytes()
    }
}
