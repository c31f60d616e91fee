//! When a message happened, by a clock that can be trusted.

use tributary_runtime::stage::Rejection;

use super::message::Message;
use crate::ignored::Ignored;
use crate::reason;
use crate::rules::Rules;
use crate::time::{CLOCK_SKEW_MS_MAX, OfDay};

/// The event's time, and when the message was received: `timestamp`, else `originalTimestamp` corrected by how far the sender's clock was off
/// when it sent the message. Of several times one that cannot be read is left out.
///
/// A library writes its own clock to `timestamp`; whoever receives the message corrects it and keeps that as `originalTimestamp`. So a
/// `timestamp` with `sentAt` and `receivedAt`, and without `originalTimestamp`, has not been corrected yet. It is where the clock is off
/// by more than [`CLOCK_SKEW_MS_MAX`].
///
/// # Errors
/// When no time can be read, or it lies in the future.
pub(super) fn time(
    rules: &Rules,
    message: &Message<'_>,
    of_day: OfDay,
    received_ms: Option<i64>,
    ignored: &mut Ignored,
) -> Result<(i64, Option<i64>), Rejection> {
    let received_at_ms = ignored.read(rules.times.of_json(message.received_at, "receivedAt", OfDay::Begin)).flatten();
    let received_ms = received_at_ms.or(received_ms);
    let sent_at_ms = ignored.read(rules.times.of_json(message.sent_at, "sentAt", OfDay::Begin)).flatten();
    let (own, original) = (
        rules.times.of_json(message.timestamp, "timestamp", of_day),
        rules.times.of_json(message.original_timestamp, "originalTimestamp", of_day),
    );
    let (own, original) = match (own, original) {
        (Err(wrong), Err(_)) | (Err(wrong), Ok(None)) | (Ok(None), Err(wrong)) => return Err(wrong),
        (own, original) => (ignored.read(own).flatten(), ignored.read(original).flatten()),
    };
    let skew_ms = received_at_ms.zip(sent_at_ms).map(|(received, sent)| received.abs_diff(sent));
    let right = original.is_some() || skew_ms.is_none_or(|skew_ms| skew_ms <= CLOCK_SKEW_MS_MAX);
    let (time_ms, field) = match (own, original) {
        (Some(own), _) if right => (own, "timestamp"),
        (Some(own), _) => (corrected(own, received_at_ms, sent_at_ms), "timestamp"),
        (None, Some(original)) => (corrected(original, received_at_ms, sent_at_ms), "originalTimestamp"),
        (None, None) => {
            return Err(Rejection::new(reason::TIMESTAMP_MISSING, "timestamp", "send timestamp, or originalTimestamp"));
        }
    };
    rules.times.check_future(time_ms, received_ms, field)?;
    Ok((time_ms, received_ms))
}

/// A time of the sender's clock by the receiver's.
fn corrected(time_ms: i64, received_at_ms: Option<i64>, sent_at_ms: Option<i64>) -> i64 {
    match (received_at_ms, sent_at_ms) {
        (Some(received), Some(sent)) => received.saturating_sub(sent.saturating_sub(time_ms)).max(0),
        _ => time_ms,
    }
}
