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
    /// As the header has it, or its mapping.
    header: String,
    /// Field of the native record; empty for a column without a name, which is not read.
    field: String,
    form: Form,
    /// Whether `;` separates values.
    list: bool,
    /// Whether its numbers are names, of which no digit may be lost.
    id: bool,
    /// How many digits its ids have, where some begin with 0.
    digits: Digits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    /// None that was looked at begins with 0.
    Unknown,
    Always(usize),
    Various,
}

impl CsvRows {
    /// Reads the header. Names are trimmed and, but for what follows `traits.`, taken without case; a byte order mark is dropped. The
    /// columns of GA4's offline events and of Google Ads' click conversions are known too. Columns that the native record does not know
    /// are kept: they are part of the row's content.
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

    /// How many names of a header are known: of the native record, or of a table of another program.
    pub fn known<T: AsRef<str>>(decoder: &Decoder, header: impl IntoIterator<Item = T>) -> usize {
        let names: Vec<String> = header.into_iter().map(|name| field_name(name.as_ref())).collect();
        let layout = Layout::of(&names, decoder);
        let known = names
            .iter()
            .map(|name| layout.column(name))
            .filter(|(field, form)| *form != Form::Plain || is_field(field) || is_list(field, &decoder.rules.identifiers));
        known.count()
    }

    /// The zone of local times of Google Ads' files, which name it in a line of its own.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when there is no such IANA zone.
    pub fn in_zone(mut self, zone: &str) -> Result<Self, Rejection> {
        self.layout.set_zone(zone)?;
        Ok(self)
    }

    /// Looks at a row before any is read: where ids of a column begin with 0 and all have as many digits, a shorter one has lost its
    /// zeros.
    pub fn survey<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = T>) {
        for (column, cell) in self.columns.iter_mut().zip(row) {
            let cell = content(cell.as_ref());
            // Phone numbers have zeros in front or not, as people like.
            if column.id && column.field != "phone" && cell.starts_with('0') && is_digits(cell) && cell.len() > 1 {
                column.digits = match column.digits {
                    Digits::Unknown => Digits::Always(cell.len()),
                    Digits::Always(digits) if digits == cell.len() => column.digits,
                    _ => Digits::Various,
                };
            }
        }
    }

    /// How many columns the header has.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The header's name of the column that gives a field; the field itself where none does.
    pub fn column_of<'a>(&'a self, field: &'a str) -> &'a str {
        let wanted = if field == "crm_account" { "account" } else { field };
        let of = |column: &&Column| column.field == field || column.field == wanted;
        self.columns.iter().find(of).map_or(field, |column| &column.header)
    }

    /// Columns that the native record does not know: they are kept and have no effect.
    pub fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        let named = self.columns.iter().filter(|column| !column.field.is_empty() && column.form == Form::Plain);
        named.filter(|column| !column.list && !is_field(&column.field)).map(|column| column.field.as_str())
    }

    /// The row as a native JSON record; empty cells are left out. An id that a spreadsheet has made a number (`7.0`, lost zeros) is written as
    /// one: no field takes it for an id.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when the row has more or fewer cells than the header, and when a cell of a known layout is not what it
    /// should be.
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
    /// The number that a spreadsheet has made of an id: it wrote decimals, or dropped the zeros that other rows have.
    fn made_a_number(&self, value: &str) -> Option<String> {
        // Phone numbers are read all the same.
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

    /// The values of a cell; full-width semicolons come from Chinese input methods.
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

/// What is in a cell: also of a formula that only says that it is a text, `="007"`.
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
    // The string form of serde_json's Value escapes; a str cannot fail to be written.
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests;
