//! Keys and values of the embedded log. Part of the stored format: do not change.

use super::high_water::End;
use crate::stage::Output;
use crate::topic::Topic;

pub(super) const FORMAT: &[u8] = b"format";
pub(super) const PARTITIONS: &[u8] = b"partitions";
pub(super) const SEQUENCE: &[u8] = b"sequence";
pub(super) const COUNT: &[u8] = b"count";

/// Bytes of the partition in a record's key.
const PARTITION_LEN: usize = 5;

/// The topic's number on disk.
pub(super) fn number(topic: Topic) -> u8 {
    topic.spec().number
}

/// The form of a topic's partition in keys.
pub(super) fn place(topic: Topic, partition: u32) -> [u8; PARTITION_LEN] {
    let [a, b, c, d] = partition.to_be_bytes();
    [number(topic), a, b, c, d]
}

/// Parses the form of [`place`].
pub(super) fn parse_place(bytes: &[u8]) -> Option<(Topic, u32)> {
    let (known, partition) = bytes.split_first()?;
    let topic = Topic::ALL.into_iter().find(|topic| number(*topic) == *known)?;
    Some((topic, u32::from_be_bytes(partition.try_into().ok()?)))
}

pub(super) fn record(topic: Topic, partition: u32, offset: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(PARTITION_LEN + 8);
    key.extend_from_slice(&place(topic, partition));
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// Parses the form of [`record`].
pub(super) fn parse_record(key: &[u8]) -> Option<(Topic, u32, u64)> {
    let (of, offset) = key.split_at_checked(PARTITION_LEN)?;
    let (topic, partition) = parse_place(of)?;
    Some((topic, partition, u64::from_be_bytes(offset.try_into().ok()?)))
}

pub(super) fn same_partition(a: &[u8], b: &[u8]) -> bool {
    a.get(..PARTITION_LEN) == b.get(..PARTITION_LEN)
}

pub(super) fn offset_of(key: &[u8]) -> u64 {
    key.last_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

pub(super) fn record_value(output: &Output, timestamp_ms: i64) -> Vec<u8> {
    let value = output.value.as_deref();
    let mut bytes = Vec::with_capacity(13 + output.key.len() + value.map_or(0, <[u8]>::len));
    bytes.extend_from_slice(&timestamp_ms.to_be_bytes());
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(&(output.key.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&output.key);
    bytes.extend_from_slice(value.unwrap_or_default());
    bytes
}

/// Timestamp, key and value.
pub(super) type Parsed<'a> = (i64, &'a [u8], Option<&'a [u8]>);

/// Parses the stored value of a record; `None` if it is malformed.
pub(super) fn parse_value(bytes: &[u8]) -> Option<Parsed<'_>> {
    let (timestamp, rest) = bytes.split_first_chunk::<8>()?;
    let (flag, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (key, value) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((i64::from_be_bytes(*timestamp), key, (*flag == 1).then_some(value)))
}

pub(super) fn offset(stage: &str, topic: Topic, partition: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(stage.len() + 6);
    key.extend_from_slice(stage.as_bytes());
    key.extend_from_slice(&[0, number(topic)]);
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// The key for the end of a partition.
pub(super) fn end(topic: Topic, partition: u32) -> Vec<u8> {
    let mut key = b"end\0".to_vec();
    key.push(number(topic));
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

pub(super) fn end_value(end: End) -> [u8; 16] {
    (u128::from(end.offset) << 64 | u128::from(end.hash)).to_be_bytes()
}

/// Parses the end of a partition; `None` if it is malformed.
pub(super) fn parse_end(bytes: &[u8]) -> Option<End> {
    let (offset, rest) = bytes.split_first_chunk::<8>()?;
    let hash = rest.try_into().ok()?;
    Some(End { offset: u64::from_be_bytes(*offset), hash: u64::from_be_bytes(hash) })
}

pub(super) fn state_prefix(stage: &str, partition: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(stage.len() + 5);
    key.extend_from_slice(stage.as_bytes());
    key.push(0);
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_literal_bytes_of_the_format() {
        assert_eq!(record(Topic::Credits, 2, 258), [7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(parse_record(&record(Topic::Credits, 2, 258)), Some((Topic::Credits, 2, 258)));
        assert_eq!((parse_record(&[7, 0]), parse_place(&[99, 0, 0, 0, 0])), (None, None));
        assert_eq!(end(Topic::Credits, 2), b"end\0\x07\0\0\0\x02");
        let place = End { offset: 258, hash: 1 };
        assert_eq!(end_value(place), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(parse_end(&end_value(place)), Some(place));
        assert_eq!(offset("identity", Topic::IdentityInbox, 1), b"identity\0\x05\0\0\0\x01");
        let output = Output { topic: Topic::Credits, key: b"k".to_vec(), value: Some(b"v".to_vec()) };
        let bytes = record_value(&output, 1);
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, b'k', b'v']);
        assert_eq!(parse_value(&bytes), Some((1, &b"k"[..], Some(&b"v"[..]))));
        assert_eq!(parse_value(&bytes[..12]), None);
        let tombstone = Output { value: None, ..output };
        assert_eq!(parse_value(&record_value(&tombstone, 1)), Some((1, &b"k"[..], None)));
    }

    #[test]
    fn topics_keep_their_numbers() {
        let numbers = Topic::ALL.map(|topic| (topic.name(), number(topic)));
        let stored = [
            ("sdk", 1),
            ("utm", 2),
            ("webhook", 3),
            ("offline", 4),
            ("identity-inbox", 5),
            ("attributor-inbox", 6),
            ("credits", 7),
            ("profiles", 8),
            ("accounts", 9),
            ("dead-letters", 10),
            ("identity-changelog", 11),
            ("attributor-changelog", 12),
            ("spend", 13),
            ("erasure-requests", 14),
            ("touchpoints", 15),
            ("milestones", 16),
            ("plans", 20),
        ];
        stored.iter().for_each(|topic| assert!(numbers.contains(topic), "{topic:?}"));
    }
}
