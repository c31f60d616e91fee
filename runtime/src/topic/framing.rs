//! Schema Registry framing: before a row stands which schema it has, so that readers with a registry find it.
//!
//! A frame is a zero byte, the schema's id in four bytes, and for Protobuf the place of the message in its file. Source: Confluent
//! documentation, *Formats, Serializers, and Deserializers*, section *Wire format*. Part of the contract: do not change.

use std::collections::BTreeMap;

use super::{Role, Topic};

/// The first byte of a frame. No row begins with it: a Protobuf message has no field 0, and JSON begins with a brace.
const MAGIC: u8 = 0;
const ID_BYTES: usize = 4;

/// The bytes before the rows of each framed topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Framing(BTreeMap<Topic, Vec<u8>>);

impl Framing {
    /// Frames a topic with the schema of this id.
    pub fn set(&mut self, topic: Topic, id: u32, json: bool) {
        let mut head = vec![MAGIC];
        head.extend(id.to_be_bytes());
        if let Some(rows) = topic.rows().filter(|_| !json) {
            place(rows.index(), &mut head);
        }
        self.0.insert(topic, head);
    }

    /// A row in its frame; `None` if the topic is not framed.
    pub fn framed(&self, topic: Topic, row: &[u8]) -> Option<Vec<u8>> {
        Some([self.0.get(&topic)?.as_slice(), row].concat())
    }
}

/// Whether a topic can be framed: only topics for readers.
pub fn can_be_framed(topic: Topic) -> bool {
    topic.spec().role == Role::Output && topic != Topic::ErasureRequests
}

/// Writes the index of a top-level message: a list of one number, with a short form for the first message.
fn place(index: usize, head: &mut Vec<u8>) {
    if index == 0 {
        return head.push(0);
    }
    for number in [1, index] {
        // Zigzag encoding; the index is never negative.
        prost::encoding::encode_varint(number as u64 * 2, head);
    }
}

/// A row without its frame. Returned unchanged if it has none, or if it only begins like one.
pub fn unframed(bytes: &[u8]) -> &[u8] {
    match bytes.split_first() {
        Some((&MAGIC, rest)) => rest.get(ID_BYTES..).and_then(behind_place).unwrap_or(bytes),
        _ => bytes,
    }
}

/// The bytes after the message index; JSON has no index.
fn behind_place(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.first() == Some(&b'{') {
        return Some(bytes);
    }
    let mut rest = bytes;
    let count = prost::encoding::decode_varint(&mut rest).ok()? / 2;
    for _ in 0..count {
        prost::encoding::decode_varint(&mut rest).ok()?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(topic: Topic, id: u32, json: bool, row: &[u8]) -> Vec<u8> {
        let mut framing = Framing::default();
        framing.set(topic, id, json);
        framing.framed(topic, row).unwrap()
    }

    #[test]
    fn frames_are_the_literal_bytes_of_the_format() {
        assert_eq!(framed(Topic::Credits, 258, false, b"\x0a"), b"\0\0\0\x01\x02\0\x0a", "the first message");
        assert_eq!(framed(Topic::Touchpoints, 1, false, b"\x0a"), b"\0\0\0\0\x01\x02\x02\x0a", "the second one");
        assert_eq!(framed(Topic::Credits, 7, true, b"{}"), b"\0\0\0\0\x07{}");
        assert_eq!(Framing::default().framed(Topic::Credits, b""), None);
    }

    #[test]
    fn every_frame_is_taken_off_and_what_has_none_stays() {
        for topic in Topic::ALL.into_iter().filter(|topic| can_be_framed(*topic)) {
            for (json, row) in [(false, b"\x0a\x01x".as_slice()), (true, b"{\"a\":1}"), (false, b""), (false, b"\x0a")] {
                assert_eq!(unframed(row), row);
                assert_eq!(unframed(&framed(topic, u32::MAX, json, row)), row, "{topic:?}");
            }
        }
        for broken in [b"\0".as_slice(), b"\0\0\0\0", b"\0\0\0\0\x01", b"\0\0\0\0\x01\x04\x02"] {
            assert_eq!(unframed(broken), broken);
        }
    }

    #[test]
    fn what_only_tributary_reads_is_not_framed() {
        let framed: Vec<&str> = Topic::ALL.into_iter().filter(|topic| can_be_framed(*topic)).map(Topic::name).collect();
        assert_eq!(framed, ["credits", "touchpoints", "milestones", "profiles", "accounts", "spend"]);
    }
}
