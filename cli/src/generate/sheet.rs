//! Rows of the trade-show spreadsheet as CSV.

use serde_json::Value;

use super::offline::COLUMNS;

/// The spreadsheet's header.
pub fn header() -> &'static [&'static str] {
    &COLUMNS
}

/// The cells of a record that came as a row, in the order of the header; `None` for a record that is none.
pub fn row(record: &[u8]) -> Option<Vec<String>> {
    let record: Value = serde_json::from_slice(record).ok()?;
    let cell = |column: &&str| {
        let value = column.split('.').try_fold(&record, |at, key| at.get(key));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    record.is_object().then(|| COLUMNS.iter().map(cell).collect())
}
