//! The input offsets that a state stands for, as records of the changelog.
//!
//! A changelog record is a change of the state: key = actor key and sub-key, value, or a tombstone; its partition is the partition of the
//! state. The last record of a transaction, in each partition it touched, has the key [`INPUTS_KEY`](super::INPUTS_KEY) and the offsets of
//! the next records to read, one per input topic. A transaction may also change a partition of which it read no record, by messages that
//! another partition of the same worker has sent it directly. Such transactions are counted, so that no two states have the same inputs.
//! Part of the stored format: do not change.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message;

use crate::topic::Topic;

/// Key of the header with the format's version, on every record between stages and every [`INPUTS_KEY`](super::INPUTS_KEY) record.
pub const VERSION_HEADER: &str = "v";

/// Its value: [`tributary_proto::FORMAT_VERSION`] in decimal.
pub const VERSION: &[u8] = b"1";

/// Its value where transactions without a record read are counted: a version that does not count them must not take it for less.
const VERSION_COUNTED: &[u8] = b"2";

#[derive(Clone, PartialEq, Message)]
struct Encoded {
    #[prost(message, repeated, tag = "1")]
    inputs: Vec<Input>,
    /// See [`Inputs::direct`].
    #[prost(uint64, optional, tag = "2")]
    direct: Option<u64>,
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

/// The inputs of a partition that its state stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The offsets of the next records, by input topic; topics nothing was committed of are absent.
    pub next: BTreeMap<Topic, u64>,
    /// How many transactions have changed the state since, with no record read. `None`, which counts as none, where a message that the partition
    /// has sent to another one of its stage may still be unread in the log.
    pub direct: Option<u64>,
}

impl Inputs {
    /// These offsets, and nothing else.
    pub fn of(next: BTreeMap<Topic, u64>) -> Self {
        Self { next, direct: None }
    }

    /// Whether no message that the partition has sent to another one of its stage is unread in the log.
    pub fn is_settled(&self) -> bool {
        self.next.is_empty() || self.direct.is_some()
    }

    /// The inputs after a transaction that reads up to these offsets. `settled`: see [`Self::is_settled`].
    pub(super) fn after(&self, offsets: impl Iterator<Item = (Topic, u64)>, settled: bool) -> Self {
        let mut next = Self::of(self.next.clone());
        next.next.extend(offsets);
        let read = next.next.iter().any(|(topic, offset)| *offset > self.next.get(topic).copied().unwrap_or(0));
        next.direct = settled.then(|| if read { 0 } else { self.direct.unwrap_or(0) + 1 });
        next
    }

    /// The value of the header of the record that carries them.
    pub fn version(&self) -> &'static [u8] {
        if self.direct.unwrap_or(0) == 0 { VERSION } else { VERSION_COUNTED }
    }

    /// Whether this is a version that is understood.
    pub(super) fn is_known(version: &[u8]) -> bool {
        [VERSION, VERSION_COUNTED].contains(&version)
    }

    /// The value of the record that carries them.
    pub fn encode(&self) -> Vec<u8> {
        let inputs = self.next.iter().map(|(topic, next)| Input { topic: topic.name().to_owned(), next: *next }).collect();
        Encoded { inputs, direct: self.direct }.encode_to_vec()
    }

    /// Reads what [`Self::encode`] wrote; `None` when it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let encoded = Encoded::decode(bytes).ok()?;
        let next = encoded.inputs.iter().map(|input| Some((Topic::find(&input.topic)?, input.next))).collect::<Option<_>>();
        next.map(|next| Self { next, direct: encoded.direct })
    }

    /// Whether a state of these inputs is the one that was committed.
    pub fn is_at(&self, committed: &Self) -> bool {
        self.next == committed.next && self.direct.unwrap_or(0) == committed.direct.unwrap_or(0)
    }

    /// Whether some offset is beyond that of `committed`, or more transactions have followed on the same ones.
    pub fn is_ahead_of(&self, committed: &Self) -> bool {
        self.next.iter().any(|(topic, next)| committed.next.get(topic).is_none_or(|committed| next > committed))
            || self.next == committed.next && self.direct.unwrap_or(0) > committed.direct.unwrap_or(0)
    }
}

impl fmt::Display for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.next.is_empty() {
            return f.write_str("nothing");
        }
        for (index, (topic, next)) in self.next.iter().enumerate() {
            write!(f, "{}{} {next}", if index == 0 { "" } else { ", " }, topic.name())?;
        }
        match self.direct {
            None | Some(0) => Ok(()),
            Some(direct) => write!(f, " and {direct} transactions without a record read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(of: &[(Topic, u64)]) -> Inputs {
        Inputs::of(of.iter().copied().collect())
    }

    #[test]
    fn the_stored_bytes_do_not_change() {
        assert_eq!(
            inputs(&[(Topic::Sdk, 300), (Topic::Utm, 0)]).encode(),
            b"\x0a\x08\x0a\x03sdk\x10\xac\x02\x0a\x05\x0a\x03utm"
        );
        let direct = Inputs { direct: Some(5), ..inputs(&[(Topic::Utm, 0)]) };
        assert_eq!(direct.encode(), b"\x0a\x05\x0a\x03utm\x10\x05");
        assert_eq!((direct.version(), inputs(&[]).version()), (&b"2"[..], VERSION));
        assert_eq!(VERSION, tributary_proto::FORMAT_VERSION.to_string().as_bytes());
        assert_eq!(super::super::INPUTS_KEY.len(), crate::state::ACTOR_KEY_LEN + 6);
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let some = inputs(&[(Topic::IdentityInbox, u64::MAX), (Topic::Offline, 1)]);
        assert_eq!(Inputs::decode(&some.encode()), Some(some.clone()));
        let direct = Inputs { direct: Some(0), ..some };
        assert_eq!(Inputs::decode(&direct.encode()), Some(direct));
        assert_eq!(Inputs::decode(b""), Some(Inputs::default()));
        assert_eq!(Inputs::decode(b"\x0a\x05\x0a\x03xyz"), None);
        assert_eq!(Inputs::decode(b"garbage"), None);
    }

    #[test]
    fn ahead_is_any_offset_beyond_the_committed_one() {
        let committed = inputs(&[(Topic::Sdk, 5), (Topic::Utm, 5)]);
        assert!(!inputs(&[(Topic::Sdk, 5)]).is_ahead_of(&committed));
        let later = |direct| Inputs { direct, ..committed.clone() };
        assert!(later(Some(1)).is_ahead_of(&committed) && later(Some(2)).is_ahead_of(&later(Some(1))));
        assert!(
            !later(Some(0)).is_ahead_of(&committed) && later(Some(0)).is_at(&committed) && !later(Some(1)).is_at(&committed)
        );
        assert!(inputs(&[(Topic::Sdk, 6), (Topic::Utm, 1)]).is_ahead_of(&committed));
        assert!(inputs(&[(Topic::Webhook, 0)]).is_ahead_of(&committed));
    }

    #[test]
    fn no_two_states_have_the_same_inputs() {
        let (read, kept) = ([(Topic::IdentityInbox, 7)], [(Topic::IdentityInbox, 5)]);
        let state = inputs(&kept);
        let unread = state.after(kept.into_iter(), true);
        assert_eq!(unread, Inputs { direct: Some(1), ..state.clone() });
        assert_eq!(unread.after(kept.into_iter(), true).direct, Some(2));
        assert_eq!(unread.after(read.into_iter(), true), Inputs { direct: Some(0), ..inputs(&read) });
        assert_eq!(unread.after(read.into_iter(), false), inputs(&read), "it has sent a message through the log");
        let new = Inputs::default();
        assert!(new.is_settled() && unread.is_settled() && !state.is_settled());
        assert_eq!(new.after([(Topic::IdentityInbox, 0)].into_iter(), true).direct, Some(1));
    }
}
