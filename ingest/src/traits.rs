//! Traits of a person or account.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tributary_proto::Trait;
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;
use crate::limits::{FIELD_BYTES_MAX, ID_BYTES_MAX, TRAITS_MAX};
use crate::normalise::text::clean;
use crate::reason;
use crate::repair::{is_unreadable, is_unreadable_json};
use crate::scalar::{Key, Scalar, field_too_large, half_a_character, json_rejection};

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
        }
        deserializer.deserialize_any(TraitsVisitor)
    }
}

impl<'a> RawTraits<'a> {
    /// The raw value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw)
    }

    /// Names that occur twice.
    pub(crate) fn repeated(&self) -> Vec<String> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        let pairs = names.windows(2);
        pairs
            .filter_map(|pair| matches!(pair, [a, b] if a == b).then(|| pair.first().map(|name| (*name).to_owned()))?)
            .collect()
    }

    /// Leaves out names that occur twice: it is unclear which is meant.
    pub(crate) fn drop_repeated(&mut self, ignored: &mut Ignored) {
        let repeated = self.repeated();
        if !repeated.is_empty() {
            ignored.note(duplicate(""));
            self.0.retain(|(name, _)| !repeated.iter().any(|known| known == name));
        }
    }

    /// Takes out the raw value of a name.
    ///
    /// # Errors
    /// When the name occurs twice.
    pub(crate) fn take_raw(&mut self, name: &'static str) -> Result<Option<&'a RawValue>, Rejection> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, raw) = self.0.swap_remove(at);
        if self.get(name).is_some() {
            return Err(duplicate(name));
        }
        Ok(Some(raw))
    }

    /// Takes out the value of a name.
    ///
    /// # Errors
    /// When the name occurs twice.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Scalar<'a>, Rejection> {
        let Some(raw) = self.take_raw(name)? else { return Ok(Scalar::Null) };
        serde_json::from_str(raw.get()).map_err(|error| json_rejection(&error))
    }

    /// The traits, sorted by name. Null and blank ones are left out; unreadable ones, too, and are noted.
    pub(crate) fn into_traits(self, ignored: &mut Ignored) -> Vec<Trait> {
        let mut out = Vec::with_capacity(self.0.len().min(TRAITS_MAX));
        for (name, raw) in self.0 {
            if let Some(Some(named)) = ignored.read(one(&name, raw)) {
                out.push(named);
            }
        }
        out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut names = out.windows(2).filter_map(|pair| match pair {
            [a, b] if a.name == b.name => Some(a.name.clone()),
            _ => None,
        });
        let repeated: Vec<String> = names.by_ref().collect();
        for name in &repeated {
            ignored.note(duplicate("traits"));
            out.retain(|known| known.name != *name);
        }
        if out.len() > TRAITS_MAX {
            let detail = format!("there are {} traits, at most {TRAITS_MAX} are read: the first by their names", out.len());
            ignored.note(Rejection::new(reason::FIELD_TOO_LARGE, "traits", detail));
            out.truncate(TRAITS_MAX);
        }
        out
    }
}

/// A trait; `None` when null or blank.
fn one(name: &str, raw: &RawValue) -> Result<Option<Trait>, Rejection> {
    let name = clean(name);
    if name.len() > ID_BYTES_MAX {
        let detail = format!("the name of a trait has at most {ID_BYTES_MAX} bytes");
        return Err(Rejection::new(reason::FIELD_TOO_LARGE, "traits", detail));
    }
    let value = match serde_json::from_str::<Scalar<'_>>(raw.get()).map_err(|_| unreadable())? {
        Scalar::Null => return Ok(None),
        Scalar::Text(text) => clean(&text).into_owned(),
        _ => raw.get().to_owned(),
    };
    if is_unreadable(&name) || is_unreadable_json(&value) {
        return Err(half_a_character(reason::VALUE_INVALID, "traits"));
    }
    if value.len() > FIELD_BYTES_MAX {
        return Err(field_too_large("traits", value.len()));
    }
    Ok((!name.is_empty() && !value.is_empty()).then(|| Trait { name: name.into_owned(), value }))
}

fn unreadable() -> Rejection {
    Rejection::new(reason::VALUE_INVALID, "traits", "the value cannot be read")
}

fn duplicate(field: &str) -> Rejection {
    Rejection::new(reason::KEY_DUPLICATE, field, "a field occurs twice in its record")
}
