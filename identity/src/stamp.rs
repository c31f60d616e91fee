//! The time and the event of a statement.

use tributary_proto::{Hash128, Stamp};

/// The order of statements: by event time, then event hash.
pub fn stamp_key(stamp: Option<&Stamp>) -> (i64, &[u8]) {
    stamp.map_or((i64::MIN, &[]), |stamp| (stamp.time_ms, stamp.event_hash.as_slice()))
}

/// The first 8 bytes of an event's hash.
pub(crate) fn head_of(at: &Stamp) -> Option<u64> {
    Some(Hash128::from_bytes(&at.event_hash)?.head())
}
