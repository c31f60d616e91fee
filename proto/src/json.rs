//! The JSON form of the outputs: the proto3 JSON mapping with snake_case names, all fields present, enums by their short lower-case
//! names, and integers as numbers where they fit (up to 2^53, else as text, as the mapping has it:
//! <https://protobuf.dev/programming-guides/json/>).
//!
//! It is derived: `build.rs` gives every message of `output.proto`, and what it holds, serde's implementations, and the fields that serde
//! would write otherwise the functions of this module.

/// The largest integer that every JSON reader represents exactly (RFC 8259, section 6).
const EXACT_MAX: u64 = (1 << 53) - 1;

/// An enum whose values have short names.
///
/// ```
/// use tributary_proto::{Named, Reason};
///
/// assert_eq!(Reason::LateTouch.name(), "late_touch");
/// ```
pub trait Named {
    /// The name in JSON and in metric labels.
    fn name(self) -> &'static str;
}

/// 64-bit integers.
pub(crate) mod integer {
    use std::str::FromStr;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    use super::EXACT_MAX;

    pub fn serialize<T, S>(value: &T, out: S) -> Result<S::Ok, S::Error>
    where
        T: Copy + Serialize + std::fmt::Display,
        i128: From<T>,
        S: Serializer,
    {
        let exact = i128::from(*value).unsigned_abs() <= u128::from(EXACT_MAX);
        if exact { value.serialize(out) } else { out.collect_str(value) }
    }

    /// A number; if it is too large to be exact, a text.
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Integer<T> {
        Number(T),
        Text(String),
    }

    pub fn deserialize<'de, T: Deserialize<'de> + FromStr, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        match Integer::deserialize(from)? {
            Integer::Number(number) => Ok(number),
            Integer::Text(text) => text.parse().map_err(|_| D::Error::custom("expected an integer")),
        }
    }
}

/// Bytes, as base64 of the standard alphabet.
pub(crate) mod base64 {
    use base64::Engine;
    use base64::display::Base64Display;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&Base64Display::new(bytes, &BASE64_STANDARD))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(from)?).map_err(|_| D::Error::custom("expected base64"))
    }
}

/// Values of an enum by name; unknown values become the unspecified one.
pub(crate) mod name_of {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use super::Named;

    pub fn serialize<E: Named + TryFrom<i32> + Default, S: Serializer>(value: &i32, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(E::try_from(*value).unwrap_or_default().name())
    }

    pub fn deserialize<'de, E: Named + TryFrom<i32>, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
        let name = String::deserialize(from)?;
        let mut known = (0..).map_while(|number| Some((number, E::try_from(number).ok()?.name())));
        let found = known.find(|(_, known)| *known == name);
        found.map(|(number, _)| number).ok_or_else(|| D::Error::custom("expected a name that is known"))
    }
}

#[cfg(test)]
mod tests {
    use crate::{CreditUpdate, DeadLetter, Reason};

    #[test]
    fn what_was_written_is_read() {
        let update = CreditUpdate {
            milestone_id: "mql:1".into(),
            touch_time: i64::MAX,
            delta_weight_nano: -1,
            revision: u64::MAX,
            reason: Reason::Withdrawn.into(),
            ..CreditUpdate::default()
        };
        let text = serde_json::to_string(&update).unwrap();
        assert_eq!(serde_json::from_str::<CreditUpdate>(&text).unwrap(), update);
        let letter = DeadLetter { reason: "r".into(), payload: vec![0, 255], offset: 5, timestamp: 7, ..DeadLetter::default() };
        let text = serde_json::to_string(&letter).unwrap();
        assert_eq!(serde_json::from_str::<DeadLetter>(&text).unwrap(), letter);
        assert!(serde_json::from_str::<DeadLetter>("{}").is_err());
    }

    #[test]
    fn integers_are_numbers_up_to_2_to_the_53_and_texts_beyond() {
        let json = |time: i64, revision: u64| {
            let update = CreditUpdate { touch_time: time, revision, ..CreditUpdate::default() };
            let json = serde_json::to_value(update).unwrap();
            (json["touch_time"].to_string(), json["revision"].to_string())
        };
        assert_eq!(json(-9_007_199_254_740_991, 1), ("-9007199254740991".into(), "1".into()));
        assert_eq!(json(i64::MIN, 9_007_199_254_740_992), ("\"-9223372036854775808\"".into(), "\"9007199254740992\"".into()));
    }
}
