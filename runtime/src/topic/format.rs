//! Rows of the output topics: as Protobuf, or as JSON for topics that are configured so and for people.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tributary_proto::dictionary::{Described, Field};
use tributary_proto::{Message, encode};

use super::Topic;
use super::framing::unframed;

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It is not a message of its topic.
    #[error("a record of {topic} is not the message it should be: {why}")]
    Malformed {
        /// The topic's role.
        topic: &'static str,
        /// The error of the decoder.
        why: String,
    },
}

impl FormatError {
    fn of(topic: Topic, why: impl ToString) -> Self {
        Self::Malformed { topic: topic.name(), why: why.to_string() }
    }
}

/// A message that is a row of an output topic.
///
/// ```
/// use tributary_proto::Spend;
/// use tributary_runtime::topic::{Topic, format::Row};
///
/// let row = Spend { spend_id: "s1".into(), currency: "CNY".into(), ..Spend::default() };
/// assert_eq!((Spend::TOPIC, row.key()), (Topic::Spend, &b"s1"[..]));
/// assert!(String::from_utf8(row.bytes(true)).unwrap().contains(r#""currency":"CNY""#));
/// ```
pub trait Row: Message + Default + Serialize + DeserializeOwned + Described {
    /// The topic.
    const TOPIC: Topic;

    /// The record's key.
    fn key(&self) -> &[u8];

    /// Whether it is the last row under its key: marked `erased`, and followed by a tombstone.
    fn is_last(&self) -> bool {
        false
    }

    /// The bytes of the row, in Protobuf or JSON.
    fn bytes(&self, json: bool) -> Vec<u8> {
        // A row can always be written as JSON. If it could not, Protobuf is better than losing it.
        let text = json.then(|| serde_json::to_vec(self).ok()).flatten();
        text.unwrap_or_else(|| encode::to_vec(self))
    }
}

/// Functions for the rows of a topic, without their type.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    to_json: fn(&[u8]) -> Result<Vec<u8>, FormatError>,
    is_last: fn(&[u8]) -> bool,
    name: &'static str,
    index: usize,
    fields: &'static [Field],
}

impl Rows {
    /// For a topic with rows of this type.
    pub const fn of<R: Row>() -> Self {
        Self { to_json: to_json::<R>, is_last: is_last::<R>, name: R::NAME, index: R::INDEX, fields: R::FIELDS }
    }

    /// A row as JSON on one line, from either format.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn to_json(&self, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
        (self.to_json)(bytes)
    }

    /// The name of its message.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The index of its message in `output.proto`.
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The fields of a row.
    pub const fn fields(&self) -> &'static [Field] {
        self.fields
    }

    /// See [`Row::is_last`]; for either format.
    pub fn is_last(&self, bytes: &[u8]) -> bool {
        (self.is_last)(bytes)
    }
}

fn to_json<R: Row>(bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let bytes = unframed(bytes);
    if is_json(bytes) {
        return Ok(bytes.to_vec());
    }
    let row = R::decode(bytes).map_err(|error| FormatError::of(R::TOPIC, error))?;
    serde_json::to_vec(&row).map_err(|error| FormatError::of(R::TOPIC, error))
}

fn is_last<R: Row>(bytes: &[u8]) -> bool {
    read::<R>(bytes).is_ok_and(|row| row.is_last())
}

/// Reads a row that may be Protobuf or JSON, framed or not: the settings may have changed, and earlier records have not.
///
/// # Errors
/// When the bytes are neither.
pub fn read<R: Row>(bytes: &[u8]) -> Result<R, FormatError> {
    let bytes = unframed(bytes);
    if is_json(bytes) {
        return serde_json::from_slice(bytes).map_err(|error| FormatError::of(R::TOPIC, error));
    }
    R::decode(bytes).map_err(|error| FormatError::of(R::TOPIC, error))
}

/// No Protobuf message begins with this byte: it would be a group, which proto3 does not have.
fn is_json(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
}

/// A message between stages as text, for debugging.
pub(crate) fn shown<M: Message + Default + std::fmt::Debug>(bytes: &[u8]) -> Result<String, FormatError> {
    let message = M::decode(bytes).map_err(|error| FormatError::Malformed { topic: "an inbox", why: error.to_string() })?;
    Ok(format!("{message:?}"))
}

#[cfg(test)]
mod tests {
    use tributary_proto::{CreditUpdate, Profile};

    use super::*;

    #[test]
    fn a_credit_update_has_every_field_and_integers_are_numbers() {
        let update = CreditUpdate { milestone_id: "mql:1".into(), weight_nano: 1, reason: 2, ..CreditUpdate::default() };
        let rows = Topic::Credits.rows().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&rows.to_json(&update.encode_to_vec()).unwrap()).unwrap();
        assert_eq!(json["weight_nano"], 1);
        assert_eq!(json["reason"], "late_touch");
        assert_eq!(json.as_object().unwrap().len(), 25);
        assert!(rows.to_json(b"\xff").is_err());
    }

    #[test]
    fn rows_in_frames_are_read_like_others() {
        let row = Profile { profile_id: "p_1".into(), erased: true, ..Profile::default() };
        let rows = Topic::Profiles.rows().unwrap();
        for json in [false, true] {
            let mut framing = super::super::framing::Framing::default();
            framing.set(Topic::Profiles, 7, json);
            let framed = framing.framed(Topic::Profiles, &row.bytes(json)).unwrap();
            assert_eq!(read::<Profile>(&framed).unwrap(), row);
            assert_eq!(rows.to_json(&framed).unwrap(), rows.to_json(&row.bytes(false)).unwrap());
            assert!(rows.is_last(&framed));
        }
    }

    #[test]
    fn an_erased_row_is_recognised_in_both_formats() {
        let rows = Topic::Profiles.rows().unwrap();
        for erased in [true, false] {
            let row = Profile { profile_id: "p_1".into(), erased, ..Profile::default() };
            assert_eq!((rows.is_last(&row.bytes(false)), rows.is_last(&row.bytes(true))), (erased, erased));
        }
        assert!(!rows.is_last(b"\xff"));
    }
}
