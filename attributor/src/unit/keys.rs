//! The sub-keys of a unit's state. Part of the stored format: do not change.
//!
//! | sub-key | value |
//! |---|---|
//! | `r`, identifier (16) | `ResidentState` |
//! | `t`, identifier (16), time (8), content (16) | `StoredTouch` |
//! | `m`, identifier (16), milestone (16) | `StoredTrack` |
//! | `g`, identifier (16), milestone (16), time (8) | `StoredTrack` without milestone: it is no longer tracked at that time |
//! | `s` | `UnitSummary` |
//! | `w` | the byte 1, while the unit is throttled |
//! | `d`, milestone (16) | `DeferredMilestone` |
//! | `p`, identifier (16) | `Extent`: between which times rows of its touches are published once the throttle ends |
//!
//! Identifier and milestone are the xxh3-128 of their keys, content is the xxh3-128 of the value: a touch is written without being
//! looked up, whether it is there already or not. Time is big-endian with the sign bit flipped, so that byte order is time order.

use tributary_proto::Hash128;
use tributary_runtime::state::ActorKey;

/// xxh3-128 of an identifier, big-endian.
pub type IdentifierHash = [u8; 16];

/// Tag of units among the stage's actors.
pub const TAG: u8 = b'u';

/// First byte of the key of a resident.
pub const RESIDENT: u8 = b'r';
/// First byte of the key of a touch.
pub const TOUCH: u8 = b't';
/// First byte of the key of a tracked milestone.
pub const TRACK: u8 = b'm';
/// First byte of the key of a mark: the milestone is no longer tracked at that time.
pub const GONE: u8 = b'g';
/// The key of the unit's summary.
pub const SUMMARY: [u8; 1] = [b's'];

/// The key that exists while the unit is throttled.
pub const THROTTLED: [u8; 1] = [b'w'];
/// First byte of the key of a deferred milestone.
pub const DEFERRED: u8 = b'd';

/// First byte of the key of deferred rows.
pub const DEFERRED_ROWS: u8 = b'p';

/// The actor of the unit with this key.
pub fn actor(key: &[u8]) -> ActorKey {
    ActorKey::new(TAG, Hash128::of(key))
}

/// `tag`, then the identifier: the key of a resident, and the prefix of what it brought.
pub fn of_identifier(tag: u8, identifier: &IdentifierHash) -> [u8; 17] {
    let mut key = [tag; 17];
    key[1..].copy_from_slice(identifier);
    key
}

/// The key of a tracked milestone.
pub fn track(identifier: &IdentifierHash, milestone_id: &str) -> [u8; 33] {
    let mut key = [TRACK; 33];
    key[1..17].copy_from_slice(identifier);
    key[17..].copy_from_slice(&Hash128::of(milestone_id.as_bytes()).to_bytes());
    key
}

/// The prefix of the marks of an identifier and a milestone that is no longer tracked.
pub fn gone_of(identifier: &IdentifierHash, milestone_id: &str) -> [u8; 33] {
    let mut key = track(identifier, milestone_id);
    key[0] = GONE;
    key
}

/// The key of the mark that an identifier no longer tracks a milestone at `at_ms`.
pub fn gone(identifier: &IdentifierHash, milestone_id: &str, at_ms: i64) -> [u8; 41] {
    let mut key = [GONE; 41];
    key[..33].copy_from_slice(&gone_of(identifier, milestone_id));
    key[33..].copy_from_slice(&ordered(at_ms));
    key
}

/// The key of a deferred milestone.
pub fn due(milestone_id: &str) -> [u8; 17] {
    of_identifier(DEFERRED, &Hash128::of(milestone_id.as_bytes()).to_bytes())
}

/// The first possible key of a touch of an identifier at `time_ms` or later.
pub fn touches_from(identifier: &IdentifierHash, time_ms: i64) -> [u8; 25] {
    let mut key = [TOUCH; 25];
    key[1..17].copy_from_slice(identifier);
    key[17..].copy_from_slice(&ordered(time_ms));
    key
}

/// The key of a touch with this content.
pub fn touch(identifier: &IdentifierHash, time_ms: i64, raw: &[u8]) -> [u8; 41] {
    let mut key = [TOUCH; 41];
    key[1..17].copy_from_slice(identifier);
    key[17..25].copy_from_slice(&ordered(time_ms));
    key[25..].copy_from_slice(&Hash128::of(raw).to_bytes());
    key
}

/// The identifier of a key of [`RESIDENT`], [`TOUCH`], [`TRACK`] or [`GONE`].
pub fn identifier(sub: &[u8]) -> Option<IdentifierHash> {
    sub.get(1..17)?.try_into().ok()
}

/// The time of a key of [`TOUCH`].
pub fn time_ms(sub: &[u8]) -> Option<i64> {
    let bytes: [u8; 8] = sub.get(17..25)?.try_into().ok()?;
    Some((u64::from_be_bytes(bytes) ^ SIGN).cast_signed())
}

const SIGN: u64 = 1 << 63;

fn ordered(time_ms: i64) -> [u8; 8] {
    (time_ms.cast_unsigned() ^ SIGN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_is_time_order() {
        let times = [i64::MIN, -1, 0, 1, i64::MAX];
        let keys: Vec<_> = times.iter().map(|time| touch(&[7; 16], *time, b"x")).collect();
        assert!(keys.is_sorted());
        for (key, time) in keys.iter().zip(times) {
            assert_eq!((time_ms(key), identifier(key)), (Some(time), Some([7; 16])));
            assert!(key.starts_with(&touches_from(&[7; 16], time)));
        }
    }
}
