//! The time of a message, corrected for the sender's clock.

use tributary_runtime::stage::Rejection;

use super::message::Message;
use crate::ignored::Ignored;
use crate::reason;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::time::{CLOCK_SKEW_MS_MAX, OfDay};

/// The event's time, and when the message was received. The time is `timestamp`; else `originalTimestamp`, corrected by the error of the
/// sender's clock when it sent the message; else when it was received; else when it was sent. An unreadable time is left out if there is
/// another.
///
/// A library writes its own clock's time to `timestamp`; the receiver of the message corrects it, and keeps the original as
/// `originalTimestamp`. So a `timestamp` with `sentAt` and `receivedAt`, and without `originalTimestamp`, is not corrected yet. It is
/// corrected here if the clock is wrong by more than [`CLOCK_SKEW_MS_MAX`].
///
/// # Errors
/// When no time can be read, or it is in the future, or, for a public message, too far in the past.
pub(super) fn time(
    rules: &Rules,
    message: &Message<'_>,
    of_day: OfDay,
    receipt: Receipt,
    ignored: &mut Ignored,
) -> Result<(i64, Receipt), Rejection> {
    let received_at_ms = ignored.read(rules.times.of_json(message.received_at, "receivedAt", OfDay::Begin)).flatten();
    let receipt = receipt.at(received_at_ms);
    let sent_at_ms = ignored.read(rules.times.of_json(message.sent_at, "sentAt", OfDay::Begin)).flatten();
    let (own, original) = (
        rules.times.of_json(message.timestamp, "timestamp", of_day),
        rules.times.of_json(message.original_timestamp, "originalTimestamp", of_day),
    );
    let came_ms = received_at_ms.or(sent_at_ms);
    let (own, original) = match (own, original) {
        (Err(wrong), Err(_) | Ok(None)) | (Ok(None), Err(wrong)) if came_ms.is_none() => return Err(wrong),
        (own, original) => (ignored.read(own).flatten(), ignored.read(original).flatten()),
    };
    let skew_ms = received_at_ms.zip(sent_at_ms).map(|(received, sent)| received.abs_diff(sent));
    let right = original.is_some() || skew_ms.is_none_or(|skew_ms| skew_ms <= CLOCK_SKEW_MS_MAX);
    let (time_ms, field) = match (own, original) {
        (Some(own), _) if right => (own, "timestamp"),
        (Some(own), _) => (corrected(own, received_at_ms, sent_at_ms), "timestamp"),
        (None, Some(original)) => (corrected(original, received_at_ms, sent_at_ms), "originalTimestamp"),
        // A message without its own time happened when it arrived.
        (None, None) => match came_ms {
            Some(came_ms) => (came_ms, if received_at_ms.is_some() { "receivedAt" } else { "sentAt" }),
            None => {
                return Err(Rejection::new(reason::TIMESTAMP_MISSING, "timestamp", "send timestamp, or originalTimestamp"));
            }
        },
    };
    rules.check_time(time_ms, &receipt, field)?;
    Ok((time_ms, receipt))
}

/// A time of the sender's clock, corrected to the receiver's.
fn corrected(time_ms: i64, received_at_ms: Option<i64>, sent_at_ms: Option<i64>) -> i64 {
    match (received_at_ms, sent_at_ms) {
        (Some(received), Some(sent)) => received.saturating_sub(sent.saturating_sub(time_ms)).max(0),
        _ => time_ms,
    }
}
