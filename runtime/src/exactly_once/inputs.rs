//! The input offsets that a state stands for, as records of the changelog.
//!
//! A changelog record is a change of the state: key = actor key and sub-key, value, or a tombstone; its partition is the partition of the
//! state. The last record of a transaction, in each partition it touched, has the key [`INPUTS_KEY`](super::INPUTS_KEY) and the offsets of
//! the next records to read, one per input topic. Part of the stored format: do not change.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message;

use crate::topic::Topic;

/// Key of the header with the format's version, on every record between stages and every [`INPUTS_KEY`](super::INPUTS_KEY) record.
pub const VERSION_HEADER: &str = "v";

/// Its value: [`tributary_proto::FORMAT_VERSION`] in decimal.
pub const VERSION: &[u8] = b"1";

#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(message, repeated, tag = "1")]
    inputs: Vec<Input>,
}

#[derive(Clone, PartialEq, Message)]
struct Input {
    /// The topic's role.
    #[prost(string, tag = "1")]
    topic: String,
    /// The offset of the next record to read.
    #[prost(uint64, tag = "2")]
    next: u64,
}

/// The offsets of the next records of a partition, by input topic; topics nothing was committed of are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(pub BTreeMap<Topic, u64>);

impl Inputs {
    /// The value of the record that carries them.
    pub fn encode(&self) -> Vec<u8> {
        let inputs = self.0.iter().map(|(topic, next)| Input { topic: topic.name().to_owned(), next: *next }).collect();
        Encoded { inputs }.encode_to_vec()
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let encoded = Encoded::decode(bytes).ok()?;
        encoded.inputs.iter().map(|input| Some((Topic::find(&input.topic)?, input.next))).collect::<Option<_>>().map(Self)
    }

    /// Whether some offset is beyond that of `committed`.
    pub fn is_ahead_of(&self, committed: &Self) -> bool {
        self.0.iter().any(|(topic, next)| committed.0.get(topic).is_none_or(|committed| next > committed))
    }
}

impl fmt::Display for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, (topic, next)) in self.0.iter().enumerate() {
            write!(f, "{}{} {next}", if index == 0 { "" } else { ", " }, topic.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(of: &[(Topic, u64)]) -> Inputs {
        Inputs(of.iter().copied().collect())
    }

    #[test]
    fn the_stored_bytes_do_not_change() {
        assert_eq!(
            inputs(&[(Topic::Sdk, 300), (Topic::Utm, 0)]).encode(),
            b"\x0a\x08\x0a\x03sdk\x10\xac\x02\x0a\x05\x0a\x03utm"
        );
        assert_eq!(VERSION, tributary_proto::FORMAT_VERSION.to_string().as_bytes());
        assert_eq!(super::super::INPUTS_KEY.len(), crate::state::ACTOR_KEY_LEN + 6);
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let some = inputs(&[(Topic::IdentityInbox, u64::MAX), (Topic::Offline, 1)]);
        assert_eq!(Inputs::decode(&some.encode()), Some(some));
        assert_eq!(Inputs::decode(b""), Some(Inputs::default()));
        assert_eq!(Inputs::decode(b"\x0a\x05\x0a\x03xyz"), None);
        assert_eq!(Inputs::decode(b"garbage"), None);
    }

    #[test]
    fn ahead_is_any_offset_beyond_the_committed_one() {
        let committed = inputs(&[(Topic::Sdk, 5), (Topic::Utm, 5)]);
        assert!(!inputs(&[(Topic::Sdk, 5)]).is_ahead_of(&committed));
        assert!(inputs(&[(Topic::Sdk, 6), (Topic::Utm, 1)]).is_ahead_of(&committed));
        assert!(inputs(&[(Topic::Webhook, 0)]).is_ahead_of(&committed));
    }
}
