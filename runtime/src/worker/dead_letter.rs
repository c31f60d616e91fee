//! What happens to a refused record.

use tributary_proto::DeadLetter;

use crate::stage::{Record, Rejection};

/// The dead letter of a record that this stage refuses, or an event of it.
pub(super) fn dead_letter(stage: &str, record: &Record<'_>, rejection: Rejection) -> DeadLetter {
    DeadLetter {
        reason: rejection.reason.code().to_owned(),
        detail: rejection.detail,
        field: rejection.field,
        stage: stage.to_owned(),
        topic: record.topic.name().to_owned(),
        partition: i32::try_from(record.partition).unwrap_or(i32::MAX),
        offset: i64::try_from(record.offset).unwrap_or(i64::MAX),
        index: rejection.index,
        key: record.key.to_vec(),
        payload: record.value.to_vec(),
        timestamp: record.timestamp_ms,
    }
}
