//! Events without their unreadable parts. An event is refused if an essential part is missing: its time, its person or account, the
//! identity of a milestone.

use std::borrow::Cow;

use tributary_proto::{Hash128, Touch};
use tributary_runtime::stage::Rejection;

use crate::content;
use crate::identifiers::Sorted;
use crate::ignored::Ignored;
use crate::limits::{ID_BYTES_MAX, URL_BYTES_MAX, URL_PAIRS_MAX};
use crate::native::kind::RECORD_FIELD;
use crate::reason;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::touch::TouchFields;

/// The id of an event: the sender's; its hash if it is too long; else the hash of the record's content.
///
/// # Errors
/// When the record is not well-formed JSON.
pub(crate) fn event_id(
    given: Scalar<'_>,
    field: &'static str,
    record: &str,
    not_content: &[&str],
    ignored: &mut Ignored,
) -> Result<String, Rejection> {
    match ignored.read(given.text(field)).flatten() {
        Some(id) if id.len() > ID_BYTES_MAX => {
            let detail = format!("an event id has at most {ID_BYTES_MAX} bytes: its hash stands for it");
            ignored.note(Rejection::new(reason::VALUE_INVALID, field, detail));
            Ok(Hash128::of(id.as_bytes()).to_string())
        }
        Some(id) => Ok(id.into_owned()),
        None => content::hash(record, not_content).map_err(|error| json_rejection(&error)),
    }
}

/// The id of the CRM record that is reported; an invalid one is left out.
pub(crate) fn record_id(given: Scalar<'_>, rules: &Rules, ignored: &mut Ignored) -> Option<String> {
    let id = ignored.read(given.text(RECORD_FIELD)).flatten().filter(|id| !rules.identifiers.is_blocked(id))?;
    if id.len() > ID_BYTES_MAX {
        let detail = format!("the id of a record has at most {ID_BYTES_MAX} bytes");
        ignored.note(Rejection::new(reason::VALUE_INVALID, RECORD_FIELD, detail));
        return None;
    }
    Some(id.into_owned())
}

/// Builds a touch of the identifiers in `named`. If a URL exceeds limits, what cannot be used of it is left out.
///
/// # Errors
/// None at present; limits of other fields may be added.
pub(crate) fn touch(
    rules: &Rules,
    fields: TouchFields<'_>,
    receipt: &Receipt,
    named: &mut Sorted,
    ignored: &mut Ignored,
) -> Result<Touch, Rejection> {
    let mut fields = fields;
    if fields.url.len() > URL_BYTES_MAX {
        let detail = format!("the URL has {} bytes, at most {URL_BYTES_MAX} are read", fields.url.len());
        ignored.note(Rejection::new(reason::URL_TOO_LONG, "url", detail));
        fields.url = Cow::Borrowed("");
    }
    if fields.url.bytes().filter(|byte| *byte == b'&').count() >= URL_PAIRS_MAX {
        let detail = format!("of the URL's query pairs only the first {URL_PAIRS_MAX} are read");
        ignored.note(Rejection::new(reason::URL_PAIRS_TOO_MANY, "url", detail));
    }
    rules.touches.touch(fields, receipt, &rules.identifiers, named)
}

/// Whether a user agent is a bot's; a missing one is not.
pub(crate) fn is_bot(rules: &Rules, agent: Scalar<'_>, field: &'static str, ignored: &mut Ignored) -> bool {
    ignored.read(agent.text(field)).flatten().is_some_and(|agent| rules.bots.is_bot(&agent))
}
