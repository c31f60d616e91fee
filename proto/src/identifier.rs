//! Canonical bytes and hash of identifiers and events.

mod message;

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use xxhash_rust::xxh3::xxh3_128;

use crate::partition;

/// Separates kind, scope and value in the canonical bytes. Part of the stored format: do not change.
const SEPARATOR: char = '\u{1f}';
/// The kind of an address; no event can contain it. Part of the stored format: do not change.
const ADDRESS: &str = "~";

/// An xxh3-128 hash (XXH3, 128 bits, seed 0). Compares and prints big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash128(pub u128);

impl Hash128 {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// The 16 bytes, most significant first: byte order is numeric order.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The first 8 bytes, most significant first: for places where that is enough to distinguish hashes.
    pub fn head(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// Its first 4 bytes.
    pub fn head4(self) -> u32 {
        (self.0 >> 96) as u32
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` when there are not 16 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|array| Self(u128::from_be_bytes(array)))
    }
}

impl fmt::Display for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One name of a person, device or company, to be joined with others: the message `Identifier` of `output.proto`.
///
/// It is copied often and never changed: short text is kept in place, longer text is shared by all copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// What sort of name it is: `email`, `phone`, `wechat_openid`, `crm_contact`, ... or a kind that the configuration declares.
    pub kind: SmolStr,
    /// Where the value is unique: the appid of an OpenID, the open-platform id of a UnionID; empty for kinds without scope.
    pub scope: SmolStr,
    /// The normalised value: a lower-case address, an E.164 number, an id as the sender wrote it.
    pub value: SmolStr,
}

/// A key that is not the canonical bytes of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not an identifier: expected UTF-8 `kind 0x1F scope 0x1F value`")]
pub struct ParseKeyError;

impl Identifier {
    /// An identifier whose parts are already normalised.
    pub fn new(kind: impl Into<SmolStr>, scope: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        Self { kind: kind.into(), scope: scope.into(), value: value.into() }
    }

    /// The canonical bytes: `kind 0x1F scope 0x1F value`. The key of the identifier's records.
    pub fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.kind.len() + self.scope.len() + self.value.len() + 2);
        self.write_key(&mut key);
        key
    }

    /// Appends the canonical bytes.
    pub fn write_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind.as_bytes());
        out.push(SEPARATOR as u8);
        out.extend_from_slice(self.scope.as_bytes());
        out.push(SEPARATOR as u8);
        out.extend_from_slice(self.value.as_bytes());
    }

    /// Reads canonical bytes back.
    ///
    /// # Errors
    /// When they are not UTF-8 of three parts with a kind and a value.
    pub fn from_key(key: &[u8]) -> Result<Self, ParseKeyError> {
        let text = std::str::from_utf8(key).map_err(|_| ParseKeyError)?;
        let mut parts = text.splitn(3, SEPARATOR);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(kind), Some(scope), Some(value)) if !kind.is_empty() && !value.is_empty() => {
                Ok(Self::new(kind, scope, value))
            }
            _ => Err(ParseKeyError),
        }
    }

    /// A reference to the same actor that contains only its hash: messages sent to it reach the actor on its partition (of `partitions`),
    /// and who stores it stores no personal data. Its scope is the smallest number that gives its key that partition.
    #[must_use]
    pub fn address(&self, partitions: u32) -> Self {
        Self::address_of(self.hash(), partition::of(&self.key(), partitions), partitions)
    }

    /// The [address](Self::address) of the identifier with this hash in a partition.
    #[must_use]
    pub fn address_of(hash: Hash128, wanted: u32, partitions: u32) -> Self {
        let mut address = Self::new(ADDRESS, "", hash.to_string());
        for number in 0u64.. {
            address.scope = number.to_string().into();
            if partition::of(&address.key(), partitions) == wanted {
                break;
            }
        }
        address
    }

    /// Whether it is an [address](Self::address).
    pub fn is_address(&self) -> bool {
        self.kind == ADDRESS
    }

    /// xxh3-128 of the canonical bytes: *the identifier hash*. For an address, the hash of the identifier it refers to.
    pub fn hash(&self) -> Hash128 {
        if self.is_address()
            && let Ok(hash) = u128::from_str_radix(&self.value, 16)
        {
            return Hash128(hash);
        }
        let parts =
            [self.kind.as_bytes(), &[SEPARATOR as u8], self.scope.as_bytes(), &[SEPARATOR as u8], self.value.as_bytes()];
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // Most are short: they need no allocation.
        let mut room = [0; 128];
        let Some(key) = room.get_mut(..length) else { return Hash128::of(&parts.concat()) };
        let mut rest = &mut *key;
        for part in parts {
            let (to, after) = rest.split_at_mut(part.len());
            to.copy_from_slice(part);
            rest = after;
        }
        Hash128::of(key)
    }

    /// The form for people: `kind|scope|value`.
    pub fn display(&self) -> String {
        format!("{}|{}|{}", self.kind, self.scope, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_literal_bytes_of_the_contract() {
        let openid = Identifier::new("wechat_openid", "gh_acorp", "oZhang");
        assert_eq!(openid.key(), b"wechat_openid\x1fgh_acorp\x1foZhang");
        assert_eq!(Identifier::from_key(&openid.key()), Ok(openid));
    }

    #[test]
    fn a_value_may_hold_the_separator_but_a_key_needs_three_parts() {
        let odd = Identifier::new("user_id", "", "a\u{1f}b");
        assert_eq!(Identifier::from_key(&odd.key()), Ok(odd));
        for bad in [&b"email"[..], b"email\x1f", b"email\x1f\x1f", b"\x1f\x1fx", b"e\x1f\x1f\xff"] {
            assert_eq!(Identifier::from_key(bad), Err(ParseKeyError));
        }
    }

    #[test]
    fn an_address_leads_to_the_same_actor_and_names_nobody() {
        for partitions in [1, 2, 7, 64] {
            for value in ["zhang@b-corp.example", "+8613800001111", "x"] {
                let identifier = Identifier::new("email", "", value);
                let address = identifier.address(partitions);
                assert_eq!((address.hash(), address.is_address()), (identifier.hash(), true));
                assert_eq!(partition::of(&address.key(), partitions), partition::of(&identifier.key(), partitions));
                assert_eq!(address.value, identifier.hash().to_string());
                assert_eq!(address.address(partitions), address, "an address of an address is that address");
            }
        }
    }

    #[test]
    fn hash_bytes_keep_numeric_order() {
        let (small, large) = (Hash128(1), Hash128(1 << 100));
        assert!(small.to_bytes() < large.to_bytes());
        assert_eq!(Hash128::from_bytes(&large.to_bytes()), Some(large));
        assert_eq!(Hash128::from_bytes(b"short"), None);
    }
}
