//! Objects of known fields, each of which may be anything: JSON of the wrong type makes only its own field unreadable.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;
use crate::reason;
use crate::scalar::Scalar;

/// A field that should be an object.
#[derive(Debug, Default)]
pub(crate) enum Part<T> {
    /// Absent or null. PHP writes an empty object as an empty list, so that counts as absent, too.
    #[default]
    Absent,
    Read(T),
    /// Not an object.
    Wrong,
    /// The field occurs twice: it is unclear which is meant.
    Twice,
}

impl<T> Part<T> {
    /// Takes the object; `None` if it is absent, or not an object, which is then noted.
    pub(crate) fn take(&mut self, field: &'static str, ignored: &mut Ignored) -> Option<T> {
        match std::mem::take(self) {
            Self::Absent => None,
            Self::Read(object) => Some(object),
            Self::Wrong => {
                ignored.note(Rejection::new(reason::VALUE_INVALID, field, "expected an object"));
                None
            }
            Self::Twice => {
                ignored.note(twice(field));
                None
            }
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor(PhantomData))
    }
}

struct PartVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for PartVisitor<T> {
    type Value = Part<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Part::Read)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut empty = true;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            empty = false;
        }
        Ok(if empty { Part::Absent } else { Part::Wrong })
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Part::Absent)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Part::Wrong)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Part::Wrong)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Part::Wrong)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Part::Wrong)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Part::Wrong)
    }
}

/// A field that is kept as raw JSON.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) enum Raw<'a> {
    #[default]
    Absent,
    /// Any value, including null.
    Value(&'a RawValue),
    /// The field occurs twice.
    Twice,
}

impl<'a> Raw<'a> {
    /// The value.
    ///
    /// # Errors
    /// [`reason::KEY_DUPLICATE`] when the field occurs twice.
    pub(crate) fn get(self, field: &str) -> Result<Option<&'a RawValue>, Rejection> {
        match self {
            Self::Absent => Ok(None),
            Self::Value(raw) => Ok(Some(raw)),
            Self::Twice => Err(twice(field)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::Value)
    }
}

/// A field that should be a list of texts.
#[derive(Debug, Default)]
pub(crate) enum List<'a> {
    /// Absent or null.
    #[default]
    Absent,
    Read(Vec<Scalar<'a>>),
    /// Not a list.
    Wrong,
    /// The field occurs twice.
    Twice,
}

impl<'a> List<'a> {
    /// The elements; `None` if there is no list.
    ///
    /// # Errors
    /// [`reason::VALUE_INVALID`] when it is not a list, [`reason::KEY_DUPLICATE`] when it occurs twice.
    pub(crate) fn get(self, field: &str) -> Result<Option<Vec<Scalar<'a>>>, Rejection> {
        match self {
            Self::Absent => Ok(None),
            Self::Read(elements) => Ok(Some(elements)),
            Self::Wrong => Err(Rejection::new(reason::VALUE_INVALID, field, "expected a list")),
            Self::Twice => Err(twice(field)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match raw {
            "null" => Self::Absent,
            _ => serde_json::from_str(raw).map_or(Self::Wrong, Self::Read),
        })
    }
}

/// The rejection of a field that occurs twice.
pub(crate) fn twice(field: &str) -> Rejection {
    Rejection::new(reason::KEY_DUPLICATE, field, "the field occurs twice in its record")
}

/// A variable that a field's value is read into.
pub(crate) trait Slot<'de>: Deserialize<'de> {
    const TWICE: Self;

    fn is_absent(&self) -> bool;

    /// Reads the value; a field that occurs twice is left out.
    fn fill<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        let repeated = !self.is_absent();
        let value = map.next_value()?;
        *self = if repeated { Self::TWICE } else { value };
        Ok(())
    }
}

impl<'de> Slot<'de> for Scalar<'de> {
    const TWICE: Self = Scalar::Twice;

    fn is_absent(&self) -> bool {
        self.is_null()
    }
}

impl<'de> Slot<'de> for Raw<'de> {
    const TWICE: Self = Raw::Twice;

    fn is_absent(&self) -> bool {
        matches!(self, Raw::Absent)
    }
}

impl<'de> Slot<'de> for List<'de> {
    const TWICE: Self = List::Twice;

    fn is_absent(&self) -> bool {
        matches!(self, List::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Slot<'de> for Part<T> {
    const TWICE: Self = Part::Twice;

    fn is_absent(&self) -> bool {
        matches!(self, Part::Absent)
    }
}

/// Declares an object of known fields; all others are skipped unread.
macro_rules! object {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $($key:literal)|+ => $field:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(super) struct $name<'a> {
            $($(#[$doc])* pub(super) $field: $kind,)*
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut out = $name::default();
                        while let Some(crate::scalar::Key(key)) = map.next_key()? {
                            match &*key {
                                $($($key)|+ => crate::lenient::Slot::fill(&mut out.$field, &mut map)?,)*
                                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
                            }
                        }
                        Ok(out)
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }
    };
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;

    object! {
        Outer {
            "a" => a: Scalar<'a>,
            "b" => b: Part<Inner<'a>>,
            "c" => c: Raw<'a>,
        }
    }

    object! {
        Inner {
            "d" => d: Scalar<'a>,
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_costs_itself_only() {
        for (json, expected) in [
            (r#"{"a":"x","b":{"d":"y"},"c":1}"#, ("x", Some("y"), true)),
            (r#"{"a":{"d":1},"b":"y","c":[1]}"#, ("", None, true)),
            (r#"{"a":"x","a":"x","b":{"d":"y"},"b":{},"c":1,"c":1}"#, ("", None, false)),
            (r#"{"b":[],"z":{"a":"x"}}"#, ("", None, true)),
            (r#"{"b":{"d":[1.5e3]},"a":null}"#, ("", Some(""), true)),
        ] {
            let mut outer: Outer<'_> = serde_json::from_str(json).unwrap();
            let mut ignored = Ignored::default();
            let a = ignored.read(outer.a.text("a")).flatten().unwrap_or_default();
            let b = outer.b.take("b", &mut ignored).map(|inner| ignored.read(inner.d.text("d")).flatten().unwrap_or_default());
            assert_eq!((&*a, b.as_deref(), outer.c.get("c").is_ok()), expected, "{json}");
        }
        assert!(serde_json::from_str::<Outer<'_>>("[]").is_err());
    }
}
