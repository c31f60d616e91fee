//! The JSON form of the outputs, read back.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::{CreditUpdate, DeadLetter, Reason};

/// An integer, as a number or, where it is too large for one, as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer<T> {
    Number(T),
    Text(String),
}

fn integer<'de, D: Deserializer<'de>, T: Deserialize<'de> + std::str::FromStr>(from: D) -> Result<T, D::Error> {
    match Integer::deserialize(from)? {
        Integer::Number(number) => Ok(number),
        Integer::Text(text) => text.parse().map_err(|_| D::Error::custom("expected an integer")),
    }
}

fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.decode(String::deserialize(from)?).map_err(|_| D::Error::custom("expected base64"))
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    let name = String::deserialize(from)?;
    let found = (0..).map_while(|number| Reason::try_from(number).ok()).find(|reason| reason.name() == name);
    found.map(i32::from).ok_or_else(|| D::Error::custom("expected the reason of a credit update"))
}

#[derive(Deserialize)]
#[serde(remote = "CreditUpdate")]
struct CreditUpdateJson {
    milestone_id: String,
    milestone_kind: String,
    model: String,
    model_version: String,
    touch_id: String,
    account_id: String,
    profile_id: String,
    channel: String,
    source: String,
    medium: String,
    campaign: String,
    content: String,
    term: String,
    #[serde(deserialize_with = "integer")]
    touch_time: i64,
    #[serde(deserialize_with = "integer")]
    milestone_time: i64,
    #[serde(deserialize_with = "integer")]
    weight_nano: i64,
    #[serde(deserialize_with = "integer")]
    value_minor: i64,
    currency: String,
    #[serde(deserialize_with = "integer")]
    delta_weight_nano: i64,
    #[serde(deserialize_with = "integer")]
    delta_value_minor: i64,
    #[serde(deserialize_with = "integer")]
    revision: u64,
    #[serde(deserialize_with = "reason")]
    reason: i32,
}

#[derive(Deserialize)]
#[serde(remote = "DeadLetter")]
struct DeadLetterJson {
    reason: String,
    detail: String,
    field: String,
    stage: String,
    topic: String,
    partition: i32,
    #[serde(deserialize_with = "integer")]
    offset: i64,
    index: u32,
    #[serde(deserialize_with = "base64")]
    key: Vec<u8>,
    #[serde(deserialize_with = "base64")]
    payload: Vec<u8>,
    #[serde(deserialize_with = "integer")]
    timestamp: i64,
}

impl<'de> Deserialize<'de> for CreditUpdate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        CreditUpdateJson::deserialize(from)
    }
}

impl<'de> Deserialize<'de> for DeadLetter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        DeadLetterJson::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
