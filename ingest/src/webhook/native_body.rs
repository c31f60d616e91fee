//! Native records: one, or an array of records that are accepted or refused separately.

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::body::{self, elements};
use super::records::placed;
use crate::decoded::Decoded;
use crate::native;
use crate::receipt::Receipt;
use crate::rules::Rules;

/// Decodes the records in the body.
///
/// # Errors
/// When the body is neither an object nor an array, or is one record that is refused; nothing was added to `out` then.
pub(super) fn decode(rules: &Rules, raw: &RawValue, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let body = body::json(raw)?;
    if body.starts_with('{') {
        return native::decode(rules, &body, receipt, out);
    }
    for (index, record) in (0u32..).zip(elements(&body)?) {
        if let Err(rejection) = native::decode(rules, record.get(), receipt, out) {
            out.rejections.push(placed(rejection, index, &format!("body[{index}]")));
        }
    }
    Ok(())
}
