//! Output records as JSON, for topics that are configured so and for people.

use serde::de::DeserializeOwned;
use tributary_proto::{Account, CreditUpdate, DeadLetter, Message, Profile, Spend};

use crate::stage::Output;
use crate::topic::Topic;

/// Why a record cannot be shown as JSON.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It is not a message of its topic.
    #[error("a record of {topic} is not the message it should be: {why}")]
    Malformed {
        /// The topic's role.
        topic: &'static str,
        /// What the decoder said.
        why: String,
    },
}

/// The JSON form of an encoded record of an output topic, on one line. Records of other topics are texts already, or internal: they are
/// shown as a JSON text.
///
/// # Errors
/// When the bytes are not such a message.
pub fn to_json(topic: Topic, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    match topic {
        Topic::Credits => convert::<CreditUpdate>(topic, bytes),
        Topic::Profiles => convert::<Profile>(topic, bytes),
        Topic::Accounts => convert::<Account>(topic, bytes),
        Topic::Spend => convert::<Spend>(topic, bytes),
        Topic::DeadLetters => convert::<DeadLetter>(topic, bytes),
        _ => Ok(serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string().into_bytes()),
    }
}

/// A record of a topic whose records may be Protobuf or JSON, whichever it is: the setting may have changed, the records before have not.
///
/// # Errors
/// When the bytes are neither.
pub fn read<M: Message + Default + DeserializeOwned>(topic: Topic, bytes: &[u8]) -> Result<M, FormatError> {
    let malformed = |why: String| FormatError::Malformed { topic: topic.name(), why };
    // No message begins so: it would be a group, which proto3 does not have.
    if bytes.first() == Some(&b'{') {
        return serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()));
    }
    M::decode(bytes).map_err(|error| malformed(error.to_string()))
}

fn convert<M: Message + Default + serde::Serialize>(topic: Topic, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let malformed = |why: String| FormatError::Malformed { topic: topic.name(), why };
    let message = M::decode(bytes).map_err(|error| malformed(error.to_string()))?;
    serde_json::to_vec(&message).map_err(|error| malformed(error.to_string()))
}

/// The record of a dead letter: its key is that of the record that was refused.
pub fn dead_letter(letter: &DeadLetter, json: bool) -> Output {
    // A letter can always be written as JSON; were it not so, it must not be lost for that.
    let text = json.then(|| serde_json::to_vec(letter).ok()).flatten();
    let value = text.unwrap_or_else(|| letter.encode_to_vec());
    Output { topic: Topic::DeadLetters, key: letter.key.clone(), value: Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credit_update_has_every_field_and_integers_are_numbers() {
        let update = CreditUpdate { milestone_id: "mql:1".into(), weight_nano: 1, reason: 2, ..CreditUpdate::default() };
        let json: serde_json::Value =
            serde_json::from_slice(&to_json(Topic::Credits, &update.encode_to_vec()).unwrap()).unwrap();
        assert_eq!(json["weight_nano"], 1);
        assert_eq!(json["reason"], "late_touch");
        assert_eq!(json.as_object().unwrap().len(), 22);
        assert!(to_json(Topic::Credits, b"\xff").is_err());
    }
}
