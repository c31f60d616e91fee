//! When a message happened, by a clock that can be trusted.

use tributary_runtime::stage::Rejection;

use super::message::Message;
use crate::reason;
use crate::rules::Rules;
use crate::scalar::Scalar;
use crate::time::CLOCK_SKEW_MS_MAX;

/// The event's time: `timestamp`, else `originalTimestamp` corrected by how far the sender's clock was off when it sent the message.
///
/// A library writes its own clock to `timestamp`; whoever receives the message corrects it and keeps that as `originalTimestamp`. So a
/// `timestamp` with `sentAt` and `receivedAt`, and without `originalTimestamp`, has not been corrected yet. It is where the clock is off
/// by more than [`CLOCK_SKEW_MS_MAX`].
pub(super) fn time(
    rules: &Rules,
    message: &mut Message<'_>,
    received_at_ms: Option<i64>,
    received_ms: Option<i64>,
) -> Result<i64, Rejection> {
    let timestamp = std::mem::take(&mut message.timestamp).text("timestamp")?;
    let original = std::mem::take(&mut message.original_timestamp).text("originalTimestamp")?;
    let sent_at_ms = rules.received_ms(std::mem::take(&mut message.sent_at), "sentAt")?;
    let skew_ms = received_at_ms.zip(sent_at_ms).map(|(received, sent)| received.abs_diff(sent));
    let right = original.is_some() || skew_ms.is_none_or(|skew_ms| skew_ms <= CLOCK_SKEW_MS_MAX);
    let (text, field) = match (timestamp, original) {
        (Some(text), _) if right => return rules.event_time(Scalar::Text(text), "timestamp", received_ms),
        (Some(text), _) => (text, "timestamp"),
        (None, Some(text)) => (text, "originalTimestamp"),
        (None, None) => {
            return Err(Rejection::new(reason::TIMESTAMP_MISSING, "timestamp", "send timestamp, or originalTimestamp"));
        }
    };
    let original_ms = rules.times.read(&text, field)?;
    let time_ms = match (received_at_ms, sent_at_ms) {
        (Some(received), Some(sent)) => received.saturating_sub(sent.saturating_sub(original_ms)).max(0),
        _ => original_ms,
    };
    rules.times.check_future(time_ms, received_ms, field)?;
    Ok(time_ms)
}
