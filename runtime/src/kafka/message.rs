//! Converts a Kafka message to a record, with the version that wrote it.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::exactly_once::{Admission, Ownership, VERSION, VERSION_HEADER};
use crate::log::{Batch, LogError};
use crate::stage::Record;
use crate::state::RocksStore;
use crate::topic::Topic;
use crate::trace::{HEADER, TraceContext};

/// Copies a message into the batch, if it fits; with its trace context if `traced`.
pub(super) fn take(
    owned: &mut Ownership<RocksStore>,
    inputs: &[(Topic, String)],
    traced: bool,
    message: &BorrowedMessage<'_>,
    batch: &mut Batch,
) -> Result<(), LogError> {
    const OPERATION: &str = "reading";
    let name = message.topic();
    let (Ok(partition), Ok(offset)) = (u32::try_from(message.partition()), u64::try_from(message.offset())) else {
        return Ok(());
    };
    let Some((topic, _)) = inputs.iter().find(|(_, known)| known == name) else { return Ok(()) };
    match owned.admit(*topic, partition, offset) {
        Admission::Take => {}
        Admission::Pass => return Ok(()),
        Admission::Back(next) => {
            return Err(LogError::recover(OPERATION, format!("{name}/{partition} went back from offset {next} to {offset}")));
        }
    }
    check_version(*topic, message)?;
    let timestamp_ms = message.timestamp().to_millis().unwrap_or(0);
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    batch.push(&Record { topic: *topic, partition, offset, timestamp_ms, key, value });
    if traced && let Some(context) = context_of(message) {
        batch.trace(*topic, partition, offset, context);
    }
    Ok(())
}

/// Checks the format version of a record between stages.
fn check_version(topic: Topic, message: &BorrowedMessage<'_>) -> Result<(), LogError> {
    if !has_version(topic) {
        return Ok(());
    }
    match version_of(message) {
        Some(version) if version != VERSION => Err(LogError::stop(
            "reading",
            format!(
                "the record at offset {} of {}/{} was written by a version this one does not know; update this process",
                message.offset(),
                message.topic(),
                message.partition()
            ),
        )),
        _ => Ok(()),
    }
}

/// The format version in a record's header; `None` if it has none.
pub(super) fn version_of<'a>(message: &'a BorrowedMessage<'_>) -> Option<&'a [u8]> {
    message.headers()?.iter().find(|header| header.key == VERSION_HEADER)?.value
}

/// The context of a record that is traced.
fn context_of(message: &BorrowedMessage<'_>) -> Option<TraceContext> {
    let found = message.headers()?.iter().find(|header| header.key == HEADER)?;
    TraceContext::parse(found.value?)
}

/// Whether the records of a topic have a header with the format version.
pub(super) fn has_version(topic: Topic) -> bool {
    matches!(topic, Topic::IdentityInbox | Topic::AttributorInbox)
}

/// Only for the age of a position: no decision about data uses it.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
