//! Table rows as native records: what `import` sends and `replay` reads.

mod layout;

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use crate::decoder::Decoder;
use crate::native::record::{is_field, is_list};
use crate::normalise::text::clean;
use crate::reason;
use layout::{Form, Layout, OBJECT_ID};

/// Turns the rows of one file into native JSON records.
///
/// ```
/// use tributary_ingest::{CsvRows, Decoder, Settings};
/// use tributary_proto::kind::Kinds;
///
/// let decoder = Decoder::new(&Settings::default(), &Kinds::default())?;
/// let rows = CsvRows::new(&decoder, ["timestamp", "email", "traits.name"])?;
/// let record = rows.record(["2022-04-13 14:00", "li@b-corp.example;li@b.example", "李"])?;
/// assert_eq!(record, r#"{"timestamp":"2022-04-13 14:00","email":["li@b-corp.example","li@b.example"],"traits.name":"李"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CsvRows {
    columns: Vec<Column>,
    layout: Layout,
}

#[derive(Debug, Clone)]
struct Column {
    /// The name in the header, or in the mapping.
    header: String,
    /// The field of the native record; empty for a column without a name, which is skipped.
    field: String,
    form: Form,
    /// Whether `;` separates values.
    list: bool,
    /// Whether the values are ids, of which no digit may get lost.
    id: bool,
    /// The number of digits of its ids, if some begin with 0.
    digits: Digits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    /// No id seen so far begins with 0.
    Unknown,
    Always(usize),
    Various,
}

impl CsvRows {
    /// Reads the header. Names are trimmed and case is ignored, except after `traits.`; a byte order mark is dropped. Columns of GA4's
    /// offline events and of Google Ads' click conversions are recognised, too. Columns that are not fields of the native record are kept,
    /// because they are part of the row's content.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when a column is named twice, or none is named.
    pub fn new<T: AsRef<str>>(decoder: &Decoder, header: impl IntoIterator<Item = T>) -> Result<Self, Rejection> {
        let names: Vec<String> = header.into_iter().map(|name| field_name(name.as_ref())).collect();
        let layout = Layout::of(&names, decoder);
        let mut columns: Vec<Column> = Vec::new();
        for header in names {
            let (field, form) = layout.column(&header);
            if !field.is_empty() && columns.iter().any(|known| known.field == field) {
                return Err(Rejection::new(reason::CSV_MALFORMED, header, "the header names the column twice"));
            }
            let list = is_list(&field, &decoder.rules.identifiers);
            let id = list || matches!(field.as_str(), "object_id" | "event_id");
            columns.push(Column { header, field, form, list, id, digits: Digits::Unknown });
        }
        if columns.iter().all(|column| column.field.is_empty()) {
            return Err(Rejection::new(reason::CSV_MALFORMED, "", "the file has no header"));
        }
        Ok(Self { columns, layout })
    }

    /// How many names of a header are recognised: as fields of the native record, or of another program's table.
    pub fn known<T: AsRef<str>>(decoder: &Decoder, header: impl IntoIterator<Item = T>) -> usize {
        let names: Vec<String> = header.into_iter().map(|name| field_name(name.as_ref())).collect();
        let layout = Layout::of(&names, decoder);
        let known = names
            .iter()
            .map(|name| layout.column(name))
            .filter(|(field, form)| *form != Form::Plain || is_field(field) || is_list(field, &decoder.rules.identifiers));
        known.count()
    }

    /// Sets the time zone of local times, which Google Ads' files name in a line of their own.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when it is not an IANA zone.
    pub fn in_zone(mut self, zone: &str) -> Result<Self, Rejection> {
        self.layout.set_zone(zone)?;
        Ok(self)
    }

    /// Looks at a row before the rows are read: if some ids of a column begin with 0 and all have the same length, shorter ones have lost
    /// their zeros.
    pub fn survey<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = T>) {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            let cell = content(cell.as_ref());
            // Phone numbers are written with or without leading zeros, so this says nothing about them.
            if column.id && column.field != "phone" && cell.starts_with('0') && is_digits(cell) && cell.len() > 1 {
                column.digits = match column.digits {
                    Digits::Unknown => Digits::Always(cell.len()),
                    Digits::Always(digits) if digits == cell.len() => column.digits,
                    _ => Digits::Various,
                };
            }
        }
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The header's name for the column of a field; if there is none, the field itself.
    pub fn column_of<'a>(&'a self, field: &'a str) -> &'a str {
        let wanted = if field == "crm_account" { "account" } else { field };
        let of = |column: &&Column| column.field == field || column.field == wanted;
        self.columns.iter().find(of).map_or(field, |column| &column.header)
    }

    /// Columns that are not fields of the native record: they are kept but have no effect.
    pub fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        let named = self.columns.iter().filter(|column| !column.field.is_empty() && column.form == Form::Plain);
        named.filter(|column| !column.list && !is_field(&column.field)).map(|column| column.field.as_str())
    }

    /// The row as a native JSON record; empty cells are left out. An id that a spreadsheet has changed to a number (`7.0`, lost zeros) is
    /// written as a number, which no identifier field accepts.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when the row has more or fewer cells than the header, or a cell of a recognised table has the wrong form.
    pub fn record<T: AsRef<str>>(&self, row: impl IntoIterator<Item = T>) -> Result<String, Rejection> {
        let mut out = String::from("{");
        let mut has_object = false;
        let mut cells = row.into_iter();
        for (at, column) in self.columns.iter().enumerate() {
            let Some(cell) = cells.next() else {
                let detail = format!("the row has {at} cells, the header names {} columns", self.columns.len());
                return Err(Rejection::new(reason::CSV_MALFORMED, "", detail));
            };
            let cell = content(cell.as_ref());
            if column.field.is_empty() || cell.is_empty() {
                continue;
            }
            match column.form {
                Form::Plain => column.write(cell, &mut out),
                form => {
                    for (field, value) in self.layout.read(form, cell, &column.header)? {
                        let again = field == OBJECT_ID && std::mem::replace(&mut has_object, true);
                        if !again {
                            write_pair(field, &value, &mut out);
                        }
                    }
                }
            }
        }
        if cells.next().is_some() {
            let detail = format!("the row has more cells than the header's {} columns", self.columns.len());
            return Err(Rejection::new(reason::CSV_MALFORMED, "", detail));
        }
        out.push('}');
        Ok(out)
    }
}

impl Column {
    /// The number that a spreadsheet has made of an id: with decimals, or without the leading zeros of other rows.
    fn made_a_number(&self, value: &str) -> Option<String> {
        // Phone numbers are normalised anyway.
        if !self.id || self.field == "phone" {
            return None;
        }
        let whole = match value.split_once('.') {
            Some((front, zeros)) if is_digits(zeros) && zeros.bytes().all(|byte| byte == b'0') => Some(front),
            None if matches!(self.digits, Digits::Always(digits) if value.len() < digits) => Some(value),
            _ => None,
        };
        let whole = whole.filter(|whole| is_digits(whole))?.trim_start_matches('0');
        Some(format!("{}.0", if whole.is_empty() { "0" } else { whole }))
    }

    /// The values in a cell. Full-width semicolons come from Chinese input methods.
    fn values<'a>(&self, cell: &'a str) -> impl Iterator<Item = &'a str> {
        let separators: &[char] = if self.list { &[';', '；'] } else { &[] };
        cell.split(separators).map(str::trim).filter(|value| !value.is_empty())
    }

    fn write(&self, cell: &str, out: &mut String) {
        if !self.list || !cell.contains([';', '；']) {
            write_name(&self.field, out);
            return self.write_value(cell, out);
        }
        write_name(&self.field, out);
        out.push('[');
        for (at, value) in self.values(cell).enumerate() {
            if at > 0 {
                out.push(',');
            }
            self.write_value(value, out);
        }
        out.push(']');
    }

    fn write_value(&self, value: &str, out: &mut String) {
        match self.made_a_number(value) {
            Some(number) => out.push_str(&number),
            None => quote(value, out),
        }
    }
}

fn write_name(field: &str, out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
    quote(field, out);
    out.push(':');
}

fn write_pair(field: &str, value: &str, out: &mut String) {
    write_name(field, out);
    quote(value, out);
}

/// The content of a cell, also if it is a formula that only marks a text: `="007"`.
fn content(cell: &str) -> &str {
    let cell = cell.trim();
    let text = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).filter(|text| !text.contains('"'));
    text.map_or(cell, str::trim)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn field_name(name: &str) -> String {
    let name: Cow<'_, str> = clean(name);
    match name.split_at_checked("traits.".len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("traits.") => format!("traits.{rest}"),
        _ => name.to_lowercase(),
    }
}

fn quote(text: &str, out: &mut String) {
    // serde_json escapes the string; writing a str cannot fail.
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests;
