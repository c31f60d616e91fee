//! Output records as JSON, for topics that are configured so and for people.

use tributary_proto::{Account, AttributorMessage, CreditUpdate, DeadLetter, IdentityMessage, Message, Profile};

use crate::topic::Topic;

/// Why a record cannot be shown as JSON.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It is not a message of its topic.
    #[error("a record of {topic} is not the Protobuf message it should be: {why}")]
    Malformed {
        /// The topic's role.
        topic: &'static str,
        /// What the decoder said.
        why: String,
    },
}

/// The JSON form of an encoded record of an output topic, on one line. Of internal topics it is the debug form, as a JSON text.
///
/// # Errors
/// When the bytes are not such a message.
pub fn to_json(topic: Topic, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    match topic {
        Topic::Credits => convert::<CreditUpdate>(topic, bytes),
        Topic::Profiles => convert::<Profile>(topic, bytes),
        Topic::Accounts => convert::<Account>(topic, bytes),
        Topic::DeadLetters => convert::<DeadLetter>(topic, bytes),
        Topic::IdentityInbox => show::<IdentityMessage>(topic, bytes),
        Topic::AttributorInbox => show::<AttributorMessage>(topic, bytes),
        _ => Ok(serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string().into_bytes()),
    }
}

fn decode<M: Message + Default>(topic: Topic, bytes: &[u8]) -> Result<M, FormatError> {
    M::decode(bytes).map_err(|error| FormatError::Malformed { topic: topic.name(), why: error.to_string() })
}

fn convert<M: Message + Default + serde::Serialize>(topic: Topic, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let message: M = decode(topic, bytes)?;
    serde_json::to_vec(&message).map_err(|error| FormatError::Malformed { topic: topic.name(), why: error.to_string() })
}

fn show<M: Message + Default + std::fmt::Debug>(topic: Topic, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    let message: M = decode(topic, bytes)?;
    Ok(serde_json::Value::from(format!("{message:?}")).to_string().into_bytes())
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
