//! Rows of the trade-show spreadsheet as CSV.

use serde_json::Value;

use super::offline::COLUMNS;

/// The spreadsheet's header, with or without a column of dimensions.
pub fn header(dimensions: bool) -> &'static [&'static str] {
    match COLUMNS.split_last() {
        Some((_, plain)) if !dimensions => plain,
        _ => &COLUMNS,
    }
}

/// The cells of a record from a spreadsheet, in the order of the header; `None` for any other record.
pub fn row(record: &[u8], header: &[&str]) -> Option<Vec<String>> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let cell = |column: &&str| {
        let value = column.split('.').try_fold(&record, |at, key| at.get(key));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    record.is_object().then(|| header.iter().map(cell).collect())
}
