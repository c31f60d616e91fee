//! Events without the parts that cannot be read. What an event cannot be without refuses it: its time, whom it is of, what a milestone is of.

use std::borrow::Cow;

use tributary_proto::{Hash128, MilestoneVersion, Source, Touch};
use tributary_runtime::stage::Rejection;

use crate::content;
use crate::identifiers::Sorted;
use crate::ignored::Ignored;
use crate::limits::{ID_BYTES_MAX, URL_BYTES_MAX, URL_PAIRS_MAX};
use crate::milestone::{Given, MilestoneFields};
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::touch::TouchFields;
use crate::{money, reason};

/// The id of an event: the sender's, its hash where it is too long, else the hash of the record's content.
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

/// Builds a touch of those who are `named`; of a URL over the limits what cannot be used is left out.
///
/// # Errors
/// None but those of limits that other fields may come to have.
pub(crate) fn touch(
    rules: &Rules,
    fields: TouchFields<'_>,
    source: Source,
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
    rules.touches.touch(fields, source, &rules.identifiers, named)
}

/// Builds a version of a milestone. An amount goes with its currency: money is never guessed.
///
/// # Errors
/// When the milestone's kind or object is none.
pub(crate) fn milestone(
    rules: &Rules,
    fields: MilestoneFields<'_>,
    received_ms: Option<i64>,
    ignored: &mut Ignored,
) -> Result<MilestoneVersion, Rejection> {
    let mut fields = fields;
    plain_money(&mut fields);
    loop {
        let why = match rules.milestone(fields.clone(), received_ms) {
            Ok(version) => return Ok(version),
            Err(why) => why,
        };
        match why.field.as_str() {
            "value" if fields.value != Given::Nothing => fields.value = Given::Nothing,
            "refund" if fields.refund.is_some() => fields.refund = None,
            "currency" if fields.currency != Given::Nothing => {
                fields.currency = Given::Nothing;
                without_currency(&mut fields, ignored);
            }
            "occurred_at" if fields.occurred_at != Given::Nothing => fields.occurred_at = Given::Nothing,
            _ => return Err(why),
        }
        ignored.note(why);
    }
}

/// Makes plain what people write: `30万`, `RMB`. A currency that an amount names holds where no other is given.
fn plain_money(fields: &mut MilestoneFields<'_>) {
    if let Given::Is(code) = &fields.currency {
        fields.currency = Given::Is(Cow::Owned(money::written::currency(code).into_owned()));
    }
    let Given::Is(text) = &fields.value else { return };
    let Some((plain, named)) = money::written::amount(text) else { return };
    match (named, &fields.currency) {
        (None, _) => {}
        (Some(code), Given::Is(given)) if *given == code => {}
        (Some(code), Given::Nothing) => fields.currency = Given::Is(code.into()),
        // Two currencies: nobody knows which is meant, and the amount is refused as it is.
        _ => return,
    }
    fields.value = Given::Is(plain.into());
}

/// Leaves out an amount whose currency cannot be read.
pub(crate) fn without_currency(fields: &mut MilestoneFields<'_>, ignored: &mut Ignored) {
    let value = std::mem::take(&mut fields.value);
    if fields.refund.take().is_some() || matches!(value, Given::Is(_)) {
        ignored.note(Rejection::new(reason::CURRENCY_UNKNOWN, "value", "the amount is left out with its currency"));
    }
}
