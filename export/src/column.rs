//! One column of values, and what a field's text becomes in it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::civil::{Date, date};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;
use serde_json::Value;
use tributary_proto::dictionary::{Field, Form};

/// Day 0 of Parquet's dates.
const FIRST_DAY: Date = date(1970, 1, 1);
/// Memory for a text beside its bytes.
const TEXT_OVERHEAD: usize = 64;
/// Memory for any value with its levels.
const VALUE_OVERHEAD: usize = 12;

/// Why a field cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its field {field} should be {expected}")]
pub struct CellError {
    /// The field's name.
    pub field: &'static str,
    /// The form in the data dictionary.
    pub expected: &'static str,
}

/// A value of a column.
pub(crate) enum Cell {
    Flag(bool),
    Int32(i32),
    Int64(i64),
    Bytes(Vec<u8>),
}

/// The values of one column, with the definition and repetition levels by which Parquet marks where lists begin and values are missing.
pub(crate) struct Column {
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

enum Values {
    Flags(Vec<bool>),
    Int32s(Vec<i32>),
    Int64s(Vec<i64>),
    Bytes(Vec<ByteArray>),
}

impl Column {
    /// No values yet.
    pub fn new(form: Form) -> Self {
        let values = match form {
            Form::Flag => Values::Flags(Vec::new()),
            Form::Int32 | Form::Uint32 | Form::Day => Values::Int32s(Vec::new()),
            Form::Int64 | Form::Uint64 | Form::Time => Values::Int64s(Vec::new()),
            Form::Text | Form::Bytes | Form::Map | Form::Message(_) => Values::Bytes(Vec::new()),
        };
        Self { values, definitions: Vec::new(), repetitions: Vec::new() }
    }

    /// Adds a value, or a missing one. Returns the memory it takes, in bytes.
    pub fn put(&mut self, cell: Option<Cell>, definition: i16, repetition: i16) -> usize {
        self.definitions.push(definition);
        self.repetitions.push(repetition);
        match (&mut self.values, cell) {
            (Values::Flags(values), Some(Cell::Flag(value))) => values.push(value),
            (Values::Int32s(values), Some(Cell::Int32(value))) => values.push(value),
            (Values::Int64s(values), Some(Cell::Int64(value))) => values.push(value),
            (Values::Bytes(values), Some(Cell::Bytes(value))) => {
                let cost = VALUE_OVERHEAD + TEXT_OVERHEAD + value.len();
                values.push(ByteArray::from(value));
                return cost;
            }
            // A missing value; a cell of another form cannot occur here.
            _ => {}
        }
        VALUE_OVERHEAD
    }

    /// Writes the values.
    ///
    /// # Errors
    /// When the library cannot write them.
    pub fn write(&self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let (definitions, repetitions) = (Some(self.definitions.as_slice()), Some(self.repetitions.as_slice()));
        match &self.values {
            Values::Flags(values) => writer.typed::<BoolType>().write_batch(values, definitions, repetitions),
            Values::Int32s(values) => writer.typed::<Int32Type>().write_batch(values, definitions, repetitions),
            Values::Int64s(values) => writer.typed::<Int64Type>().write_batch(values, definitions, repetitions),
            Values::Bytes(values) => writer.typed::<ByteArrayType>().write_batch(values, definitions, repetitions),
        }?;
        Ok(())
    }
}

/// The value of a field in a row; `None` for a time or a day that is not set. A missing field is the default of its form.
pub(crate) fn cell(field: &Field, value: &Value) -> Result<Option<Cell>, CellError> {
    let wrong = |expected| CellError { field: field.name, expected };
    let lacks = value.is_null();
    let whole = || if lacks { Some(0) } else { integer(value) };
    Ok(Some(match field.form {
        Form::Text if lacks => Cell::Bytes(Vec::new()),
        Form::Text => Cell::Bytes(value.as_str().ok_or_else(|| wrong("a text"))?.into()),
        Form::Bytes => {
            let bytes = BASE64_STANDARD.decode(value.as_str().unwrap_or_default());
            Cell::Bytes(bytes.map_err(|_| wrong("base64"))?)
        }
        Form::Flag if lacks => Cell::Flag(false),
        Form::Flag => Cell::Flag(value.as_bool().ok_or_else(|| wrong("true or false"))?),
        Form::Int32 => Cell::Int32(whole().and_then(|of| of.try_into().ok()).ok_or_else(|| wrong("an integer of 32 bits"))?),
        Form::Uint32 => {
            let of: Option<u32> = whole().and_then(|of| of.try_into().ok());
            Cell::Int32(of.ok_or_else(|| wrong("a positive integer of 32 bits"))?.cast_signed())
        }
        Form::Int64 => Cell::Int64(whole().and_then(|of| of.try_into().ok()).ok_or_else(|| wrong("an integer of 64 bits"))?),
        Form::Uint64 => {
            let of: Option<u64> = whole().and_then(|of| of.try_into().ok());
            Cell::Int64(of.ok_or_else(|| wrong("a positive integer of 64 bits"))?.cast_signed())
        }
        Form::Time => {
            let at: Option<i64> = whole().and_then(|of| of.try_into().ok());
            match at.ok_or_else(|| wrong("milliseconds"))? {
                0 => return Ok(None),
                at => Cell::Int64(at),
            }
        }
        Form::Day => match value.as_str().unwrap_or_default() {
            "" => return Ok(None),
            text => {
                let day: Date = text.parse().map_err(|_| wrong("a day like 2024-03-01"))?;
                Cell::Int32(day.duration_since(FIRST_DAY).as_hours().div_euclid(24).try_into().unwrap_or_default())
            }
        },
        Form::Map | Form::Message(_) => return Ok(None),
    }))
}

/// An integer; JSON has large ones as text.
fn integer(value: &Value) -> Option<i128> {
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    number.or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(form: Form, value: &Value) -> Result<String, CellError> {
        let cell = cell(&Field { name: "x", form, repeated: false }, value)?;
        Ok(match cell {
            None => "none".into(),
            Some(Cell::Flag(value)) => value.to_string(),
            Some(Cell::Int32(value)) => value.to_string(),
            Some(Cell::Int64(value)) => value.to_string(),
            Some(Cell::Bytes(value)) => String::from_utf8_lossy(&value).into_owned(),
        })
    }

    #[test]
    fn values_have_the_types_of_the_dictionary() {
        for (form, value, expected) in [
            (Form::Text, json!("a"), "a"),
            (Form::Text, Value::Null, ""),
            (Form::Bytes, json!("YWI="), "ab"),
            (Form::Flag, json!(true), "true"),
            (Form::Flag, Value::Null, "false"),
            (Form::Int64, json!("-9223372036854775808"), "-9223372036854775808"),
            (Form::Uint64, json!("18446744073709551615"), "-1"),
            (Form::Uint32, json!(4_294_967_295_u32), "-1"),
            (Form::Int32, json!(-5), "-5"),
            (Form::Time, json!(5), "5"),
            (Form::Time, json!(0), "none"),
            (Form::Day, json!("1970-01-02"), "1"),
            (Form::Day, json!("1969-12-31"), "-1"),
            (Form::Day, json!("2024-03-01"), "19783"),
            (Form::Day, json!(""), "none"),
        ] {
            assert_eq!(of(form, &value).unwrap(), expected, "{form:?} {value}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_reported_with_its_field() {
        for (form, value) in [
            (Form::Text, json!(1)),
            (Form::Bytes, json!("?")),
            (Form::Flag, json!("yes")),
            (Form::Uint64, json!(-1)),
            (Form::Int32, json!(4_294_967_295_u32)),
            (Form::Time, json!(1.5)),
            (Form::Day, json!("1.3.2024")),
        ] {
            let said = of(form, &value).unwrap_err().to_string();
            assert!(said.starts_with("its field x should be "), "{said}");
        }
    }
}
