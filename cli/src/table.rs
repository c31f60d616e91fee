//! Tables for people.

use std::io::{self, Write};
use std::ops::RangeBounds;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use tributary_proto::WHOLE_NANO;

use crate::stdout::{self, outln};

/// A table with these column titles.
pub fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(titles.iter().copied());
    table
}

/// A table whose long texts are wrapped to the width of the terminal, or to 160 columns if there is none.
pub fn wrapped(titles: &[&str]) -> Table {
    let mut table = table(titles);
    let columns = console::Term::stdout().size_checked().map_or(160, |(_, columns)| columns.max(80));
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    table
}

/// Prints a table to standard output.
///
/// # Errors
/// When it cannot be written.
pub fn print(table: &Table) -> io::Result<()> {
    outln!("{table}")
}

/// Prints one JSON document, on one line, to standard output.
///
/// # Errors
/// When it cannot be written.
pub fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = stdout::text();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}

/// Billionths as tenths of a percent.
pub fn percent(weight_nano: i64) -> String {
    let tenths = (i128::from(weight_nano) * 1_000 + i128::from(WHOLE_NANO) / 2) / i128::from(WHOLE_NANO);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A number's digits with thousands separated.
pub fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Aligns the columns at these positions to the right.
pub fn align_right(rows: &mut Table, positions: impl RangeBounds<usize>) {
    for (_, column) in rows.column_iter_mut().enumerate().filter(|(position, _)| positions.contains(position)) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
