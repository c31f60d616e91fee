//! Which columns a file has: those of the data dictionary, under the same names.
//!
//! Times are `TIMESTAMP` (milliseconds, UTC) and days `DATE`, both empty (NULL) where there is none; all else is always there, a text that
//! says nothing is empty. Integers stay integers: weights are billionths, money is in minor units. Lists are lists.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};
use tributary_proto::dictionary::{Field, Form};

/// The name of a list's item in Parquet.
const ELEMENT: &str = "element";

/// The schema of rows with these fields.
///
/// # Errors
/// When the library refuses it.
pub fn of(name: &str, fields: &[Field]) -> Result<TypePtr, ParquetError> {
    let columns = fields.iter().map(column).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder(name).with_fields(columns).build()?))
}

fn column(field: &Field) -> Result<TypePtr, ParquetError> {
    if !field.repeated {
        return single(field.name, field.form);
    }
    let element = single(ELEMENT, field.form)?;
    let items = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]).build()?;
    let list = Type::group_type_builder(field.name).with_repetition(Repetition::REQUIRED);
    Ok(Arc::new(list.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(items)]).build()?))
}

fn single(name: &str, form: Form) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match form {
        Form::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Form::Bytes => (Physical::BYTE_ARRAY, None),
        Form::Flag => (Physical::BOOLEAN, None),
        Form::Int32 => (Physical::INT32, None),
        Form::Int64 => (Physical::INT64, None),
        Form::Uint32 => (Physical::INT32, Some(LogicalType::integer(32, false))),
        Form::Uint64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Form::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Form::Day => (Physical::INT32, Some(LogicalType::Date)),
        Form::Map => return map(name),
        Form::Message(fields) => {
            let columns = fields.iter().map(column).collect::<Result<_, _>>()?;
            let group = Type::group_type_builder(name).with_repetition(Repetition::REQUIRED).with_fields(columns);
            return Ok(Arc::new(group.build()?));
        }
    };
    let repetition = if may_lack(form) { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Ok(Arc::new(Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical).build()?))
}

/// A map in Parquet: a list of keys and values. Every key has a value.
fn map(name: &str) -> Result<TypePtr, ParquetError> {
    let entry = vec![single("key", Form::Text)?, single("value", Form::Text)?];
    let entries = Type::group_type_builder("key_value").with_repetition(Repetition::REPEATED).with_fields(entry).build()?;
    let map = Type::group_type_builder(name).with_repetition(Repetition::REQUIRED);
    Ok(Arc::new(map.with_logical_type(Some(LogicalType::Map)).with_fields(vec![Arc::new(entries)]).build()?))
}

/// Whether a column of this form can have missing cells.
pub(crate) fn may_lack(form: Form) -> bool {
    matches!(form, Form::Time | Form::Day)
}

/// How many leaf columns a field has.
pub(crate) fn leaves(form: Form) -> usize {
    match form {
        Form::Map => 2,
        Form::Message(fields) => fields.iter().map(|field| leaves(field.form)).sum(),
        _ => 1,
    }
}
