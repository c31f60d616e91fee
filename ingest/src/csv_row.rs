//! CSV rows as native records: what `import` sends and `replay` reads.

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use crate::decoder::Decoder;
use crate::native;
use crate::normalise::text::clean;
use crate::reason;

/// Turns the rows of one file into native JSON records.
///
/// ```
/// use tributary_ingest::{CsvRows, Decoder, Settings};
///
/// let decoder = Decoder::new(&Settings::default())?;
/// let rows = CsvRows::new(&decoder, ["timestamp", "email", "traits.name"])?;
/// let record = rows.record(["2022-04-13 14:00", "li@b-corp.example;li@b.example", "李"])?;
/// assert_eq!(record, r#"{"timestamp":"2022-04-13 14:00","email":["li@b-corp.example","li@b.example"],"traits.name":"李"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct CsvRows {
    columns: Vec<Column>,
}

#[derive(Debug, Clone)]
struct Column {
    /// Field of the native record; empty for a column without a name, which is not read.
    field: String,
    /// Whether `;` separates values.
    list: bool,
}

impl CsvRows {
    /// Reads the header. Names are trimmed and, but for what follows `traits.`, taken without case; a byte order mark is dropped.
    /// Columns that the native record does not know are kept: they are part of the row's content.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when a column is named twice, or none is named.
    pub fn new<T: AsRef<str>>(decoder: &Decoder, header: impl IntoIterator<Item = T>) -> Result<Self, Rejection> {
        let mut columns: Vec<Column> = Vec::new();
        for name in header {
            let field = field_name(name.as_ref());
            if !field.is_empty() && columns.iter().any(|known| known.field == field) {
                return Err(Rejection::new(reason::CSV_MALFORMED, field, "the header names the column twice"));
            }
            let list = native::is_list(&field, &decoder.identifiers);
            columns.push(Column { field, list });
        }
        if columns.iter().all(|column| column.field.is_empty()) {
            return Err(Rejection::new(reason::CSV_MALFORMED, "", "the file has no header"));
        }
        Ok(Self { columns })
    }

    /// Columns that the native record does not know: they are kept and have no effect.
    pub fn unknown_columns(&self) -> impl Iterator<Item = &str> {
        let named = self.columns.iter().filter(|column| !column.field.is_empty());
        named.filter(|column| !column.list && !native::is_field(&column.field)).map(|column| column.field.as_str())
    }

    /// The row as a native JSON record; empty cells are left out.
    ///
    /// # Errors
    /// [`reason::CSV_MALFORMED`] when the row has more or fewer cells than the header.
    pub fn record<T: AsRef<str>>(&self, row: impl IntoIterator<Item = T>) -> Result<String, Rejection> {
        let mut out = String::from("{");
        let mut cells = row.into_iter();
        for (at, column) in self.columns.iter().enumerate() {
            let Some(cell) = cells.next() else {
                let detail = format!("the row has {at} cells, the header names {} columns", self.columns.len());
                return Err(Rejection::new(reason::CSV_MALFORMED, "", detail));
            };
            let cell = cell.as_ref().trim();
            if !column.field.is_empty() && !cell.is_empty() {
                column.write(cell, &mut out);
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
    fn write(&self, cell: &str, out: &mut String) {
        if out.len() > 1 {
            out.push(',');
        }
        quote(&self.field, out);
        out.push(':');
        // Full-width semicolons come from Chinese input methods.
        if !self.list || !cell.contains([';', '；']) {
            quote(cell, out);
            return;
        }
        out.push('[');
        for (at, value) in cell.split([';', '；']).map(str::trim).filter(|value| !value.is_empty()).enumerate() {
            if at > 0 {
                out.push(',');
            }
            quote(value, out);
        }
        out.push(']');
    }
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
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn rows(header: &str) -> Result<CsvRows, Rejection> {
        CsvRows::new(&Decoder::new(&Settings::default()).unwrap(), header.split(','))
    }

    #[test]
    fn cells_become_fields() {
        let rows = rows("\u{feff}Timestamp, Email,traits.Full Name,,note").unwrap();
        let record = rows.record(["2022-04-13", "a@b.cn；c@b.cn;", "a;b \"x\"", "dropped", ""]).unwrap();
        assert_eq!(record, r#"{"timestamp":"2022-04-13","email":["a@b.cn","c@b.cn"],"traits.Full Name":"a;b \"x\""}"#);
        assert_eq!(rows.record(["", "", "", "", ""]).unwrap(), "{}");
    }

    #[test]
    fn rows_and_headers_must_agree() {
        assert_eq!(rows("a,A").unwrap_err().reason, reason::CSV_MALFORMED);
        assert_eq!(rows(" ,").unwrap_err().reason, reason::CSV_MALFORMED);
        let rows = rows("a,b").unwrap();
        assert_eq!(rows.record(["1"]).unwrap_err().reason, reason::CSV_MALFORMED);
        assert_eq!(rows.record(["1", "2", "3"]).unwrap_err().reason, reason::CSV_MALFORMED);
    }
}
