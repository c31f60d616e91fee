//! Rows become columns. Rows come as JSON objects in the form of the outputs.

use std::io::Write;

use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;
use serde_json::{Map, Value};
use tributary_proto::dictionary::{Field, Form};

use crate::column::{Cell, CellError, Column, cell};
use crate::schema::{leaves, may_lack};

/// Rows that are not written yet, by columns.
pub struct Columns {
    fields: &'static [Field],
    columns: Vec<Column>,
    rows: u64,
    bytes: usize,
}

/// The position of a value in the nesting of lists.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Definition level: how many of the lists and optional cells around it are present.
    definition: i16,
    /// Repetition level: in which of the lists it is a further item; 0 at the beginning of a row.
    repetition: i16,
    /// The number of lists around it.
    depth: i16,
}

impl Columns {
    /// No rows, of a schema with these fields.
    pub fn new(fields: &'static [Field]) -> Self {
        Self { fields, columns: columns(fields), rows: 0, bytes: 0 }
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The memory they take, approximately, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a field does not match the data dictionary. Then the rows added before cannot be written, either.
    pub fn take(&mut self, row: &Map<String, Value>) -> Result<(), CellError> {
        self.message(0, self.fields, row, Place::default())?;
        self.rows += 1;
        Ok(())
    }

    /// Adds the fields of a message; its first column is number `at`.
    fn message(&mut self, mut at: usize, fields: &[Field], row: &Map<String, Value>, place: Place) -> Result<(), CellError> {
        for field in fields {
            let value = row.get(field.name).unwrap_or(&Value::Null);
            if field.form == Form::Map {
                self.map(at, field, value, place)?;
            } else if field.repeated {
                self.list(at, field, value, place)?;
            } else {
                self.single(at, field, value, place)?;
            }
            at += leaves(field.form);
        }
        Ok(())
    }

    fn list(&mut self, at: usize, field: &Field, value: &Value, place: Place) -> Result<(), CellError> {
        let items = items(field, value)?;
        if items.is_empty() {
            (at..at + leaves(field.form)).for_each(|at| self.put(at, None, place));
        }
        let mut inside = Place { definition: place.definition + 1, depth: place.depth + 1, ..place };
        for item in items {
            self.single(at, field, item, inside)?;
            inside.repetition = inside.depth;
        }
        Ok(())
    }

    fn map(&mut self, at: usize, field: &Field, value: &Value, place: Place) -> Result<(), CellError> {
        let mut entries = entries(field, value)?.peekable();
        if entries.peek().is_none() {
            (at..at + leaves(field.form)).for_each(|at| self.put(at, None, place));
        }
        let mut inside = Place { definition: place.definition + 1, depth: place.depth + 1, ..place };
        for entry in entries {
            for (at, text) in (at..).zip(entry?) {
                self.put(at, Some(Cell::Bytes(text.into())), inside);
            }
            inside.repetition = inside.depth;
        }
        Ok(())
    }

    fn single(&mut self, at: usize, field: &Field, value: &Value, place: Place) -> Result<(), CellError> {
        if let Form::Message(fields) = field.form {
            return self.message(at, fields, fields_of(field, value)?, place);
        }
        let cell = cell(field, value)?;
        let definition = place.definition + i16::from(may_lack(field.form) && cell.is_some());
        self.put(at, cell, Place { definition, ..place });
        Ok(())
    }

    fn put(&mut self, at: usize, cell: Option<Cell>, place: Place) {
        if let Some(column) = self.columns.get_mut(at) {
            self.bytes += column.put(cell, place.definition, place.repetition);
        }
    }

    /// Writes all rows as a row group.
    ///
    /// # Errors
    /// When the library cannot write them.
    pub fn write<W: Write + Send>(&mut self, mut group: SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        for column in std::mem::replace(&mut self.columns, columns(self.fields)) {
            let Some(mut writer) = group.next_column()? else { break };
            column.write(&mut writer)?;
            writer.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

/// Checks a row that is to be added later.
///
/// # Errors
/// As [`Columns::take`].
pub fn check(fields: &[Field], row: &Map<String, Value>) -> Result<(), CellError> {
    for field in fields {
        let value = row.get(field.name).unwrap_or(&Value::Null);
        if field.form == Form::Map {
            entries(field, value)?.try_for_each(|entry| entry.map(drop))?;
            continue;
        }
        let values = if field.repeated { items(field, value)? } else { std::slice::from_ref(value) };
        for value in values {
            match field.form {
                Form::Message(fields) => check(fields, fields_of(field, value)?)?,
                _ => drop(cell(field, value)?),
            }
        }
    }
    Ok(())
}

/// The items of a list; empty if the row lacks it.
fn items<'a>(field: &Field, value: &'a Value) -> Result<&'a [Value], CellError> {
    match value {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(&[]),
        _ => Err(CellError { field: field.name, expected: "a list" }),
    }
}

/// The entries of a map; empty if the row lacks it.
fn entries<'a>(
    field: &Field,
    value: &'a Value,
) -> Result<impl Iterator<Item = Result<[&'a str; 2], CellError>> + use<'a>, CellError> {
    let wrong = CellError { field: field.name, expected: "an object of texts" };
    let map = match value {
        Value::Object(map) => Some(map),
        Value::Null => None,
        _ => return Err(wrong),
    };
    Ok(map.into_iter().flatten().map(move |(name, text)| Ok([name.as_str(), text.as_str().ok_or_else(|| wrong.clone())?])))
}

/// The fields of a message.
fn fields_of<'a>(field: &Field, value: &'a Value) -> Result<&'a Map<String, Value>, CellError> {
    value.as_object().ok_or(CellError { field: field.name, expected: "an object" })
}

/// Empty columns for rows with these fields, in the order of the schema.
fn columns(fields: &[Field]) -> Vec<Column> {
    let of = |field: &Field| match field.form {
        Form::Message(fields) => columns(fields),
        Form::Map => vec![Column::new(Form::Text), Column::new(Form::Text)],
        form => vec![Column::new(form)],
    };
    fields.iter().flat_map(of).collect()
}
