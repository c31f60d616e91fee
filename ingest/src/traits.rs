//! What a record says of a person or account beyond its identifiers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tributary_proto::Trait;
use tributary_runtime::stage::Rejection;

use crate::limits::{FIELD_BYTES_MAX, ID_BYTES_MAX, TRAITS_MAX};
use crate::normalise::text::clean;
use crate::reason;
use crate::scalar::{Key, Scalar, field_too_large, json_rejection};

/// Names and raw JSON values.
#[derive(Debug, Default)]
pub(crate) struct RawTraits<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawTraits<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TraitsVisitor;
        impl<'de> Visitor<'de> for TraitsVisitor {
            type Value = RawTraits<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of traits")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(RawTraits::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = RawTraits::default();
                while let Some(Key(name)) = map.next_key()? {
                    out.0.push((name, map.next_value()?));
                }
                Ok(out)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                // PHP writes an empty object as an empty list.
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(RawTraits::default()),
                    Some(_) => Err(serde::de::Error::custom("expected an object of traits")),
                }
            }
        }
        deserializer.deserialize_any(TraitsVisitor)
    }
}

impl<'a> RawTraits<'a> {
    /// The raw value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw)
    }

    /// Refuses names that stand twice.
    ///
    /// # Errors
    /// [`reason::KEY_DUPLICATE`].
    pub(crate) fn check_unique(&self) -> Result<(), Rejection> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let repeated = names.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
        if repeated { Err(duplicate("")) } else { Ok(()) }
    }

    /// The raw value of a name, taken out.
    ///
    /// # Errors
    /// When the name stands twice.
    pub(crate) fn take_raw(&mut self, name: &'static str) -> Result<Option<&'a RawValue>, Rejection> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, raw) = self.0.swap_remove(at);
        if self.get(name).is_some() {
            return Err(duplicate(name));
        }
        Ok(Some(raw))
    }

    /// The value of a name, taken out.
    ///
    /// # Errors
    /// When the name stands twice.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Scalar<'a>, Rejection> {
        let Some(raw) = self.take_raw(name)? else { return Ok(Scalar::Null) };
        serde_json::from_str(raw.get()).map_err(|error| json_rejection(&error))
    }

    /// The traits, sorted by name; null and blank ones are left out.
    ///
    /// # Errors
    /// When a name stands twice, or a name or value is too long.
    pub(crate) fn into_traits(self) -> Result<Vec<Trait>, Rejection> {
        if self.0.len() > TRAITS_MAX {
            let detail = format!("there are {} traits, at most {TRAITS_MAX} are read", self.0.len());
            return Err(Rejection::new(reason::FIELD_TOO_LARGE, "traits", detail));
        }
        let mut out = Vec::with_capacity(self.0.len());
        for (name, raw) in self.0 {
            let name = clean(&name);
            if name.len() > ID_BYTES_MAX {
                let detail = format!("the name of a trait has at most {ID_BYTES_MAX} bytes");
                return Err(Rejection::new(reason::FIELD_TOO_LARGE, "traits", detail));
            }
            let value = match serde_json::from_str::<Scalar<'_>>(raw.get()).map_err(|error| json_rejection(&error))? {
                Scalar::Null => continue,
                Scalar::Text(text) => clean(&text).into_owned(),
                Scalar::Integer(_) | Scalar::Bool(_) | Scalar::Inexact | Scalar::Nested => raw.get().to_owned(),
            };
            if value.len() > FIELD_BYTES_MAX {
                return Err(field_too_large("traits", value.len()));
            }
            if !name.is_empty() && !value.is_empty() {
                out.push(Trait { name: name.into_owned(), value });
            }
        }
        out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if out.windows(2).any(|pair| matches!(pair, [a, b] if a.name == b.name)) {
            return Err(duplicate("traits"));
        }
        Ok(out)
    }
}

fn duplicate(field: &str) -> Rejection {
    Rejection::new(reason::KEY_DUPLICATE, field, "a field stands twice in its record")
}
