//! Files that were exported, read back.

use std::fs::File;
use std::path::Path;

use jiff::civil::date;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Value, json};

/// A cell as the rows' JSON would have it.
fn as_json(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Int(value) => json!(value),
        Field::Long(value) | Field::TimestampMillis(value) => json!(value),
        Field::UInt(value) => json!(value),
        Field::ULong(value) => json!(value),
        Field::Str(value) => json!(value),
        Field::Bytes(value) => json!(value.data()),
        Field::Date(days) => json!(date(1970, 1, 1).saturating_add(jiff::Span::new().days(*days)).to_string()),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => list.elements().iter().map(as_json).collect(),
        Field::MapInternal(map) => {
            let text = |field: &Field| as_json(field).as_str().unwrap().to_owned();
            Value::Object(map.entries().iter().map(|(name, value)| (text(name), as_json(value))).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn object(row: &Row) -> Value {
    row.get_column_iter().map(|(name, field)| (name.clone(), as_json(field))).collect()
}

/// The rows of a file.
pub fn read(path: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| object(&row.unwrap())).collect()
}
