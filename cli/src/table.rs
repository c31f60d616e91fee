//! Tables for people.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

/// A table with these column titles.
pub fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(titles.iter().copied());
    table
}

/// Prints a table to standard output.
///
/// # Errors
/// When it cannot be written.
pub fn print(table: &Table) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{table}")
}

/// Prints one JSON document, on one line, to standard output.
///
/// # Errors
/// When it cannot be written.
pub fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}
