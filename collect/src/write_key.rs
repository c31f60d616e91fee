//! A write key in the configuration: a text, or a section that also gives its trust.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tributary_ingest::Trust;
use tributary_runtime::config::Secret;

/// `[collector.write_keys]`: `web = "..."`, or `backend = { key = "...", trust = "trusted" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteKey {
    /// The key that senders send.
    pub key: Secret,
    /// Who could have it: one in a web page is public.
    pub trust: Trust,
}

impl WriteKey {
    /// A key in web pages.
    pub fn public(key: impl Into<String>) -> Self {
        Self { key: Secret::new(key), trust: Trust::Public }
    }
}

impl Serialize for WriteKey {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.trust == Trust::Public {
            return self.key.serialize(out);
        }
        let mut map = out.serialize_map(Some(2))?;
        map.serialize_entry("key", &self.key)?;
        map.serialize_entry("trust", &self.trust)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for WriteKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeyVisitor)
    }
}

struct KeyVisitor;

/// Does not name the field that was found: it may be the key, written in the wrong place.
const FORM: &str = "expected text, or a section with key and trust";

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = WriteKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, or a section with key and trust")
    }

    fn visit_str<E>(self, text: &str) -> Result<WriteKey, E> {
        Ok(WriteKey::public(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WriteKey, A::Error> {
        let (mut key, mut trust) = (None, Trust::Public);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "key" => key = Some(map.next_value()?),
                "trust" => trust = map.next_value()?,
                _ => return Err(A::Error::custom(FORM)),
            }
        }
        Ok(WriteKey { key: key.ok_or_else(|| A::Error::custom(FORM))?, trust })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_public_unless_it_is_configured_as_secret() {
        let read = |json: &str| serde_json::from_str::<WriteKey>(json);
        assert_eq!(read("\"0123456789\"").unwrap(), WriteKey::public("0123456789"));
        let trusted = read(r#"{"key": "0123456789", "trust": "trusted"}"#).unwrap();
        assert_eq!(trusted, WriteKey { trust: Trust::Trusted, ..WriteKey::public("0123456789") });
        assert_eq!(serde_json::to_string(&trusted).unwrap(), r#"{"key":"***","trust":"trusted"}"#);
        for wrong in ["7", "[]", "{}", r#"{"trust":"trusted"}"#, r#"{"key":"k","hunter2":1}"#, r#"{"key":"k","trust":"none"}"#]
        {
            let error = read(wrong).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
