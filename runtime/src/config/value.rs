//! Values: parsed from text or TOML, and checked against the type that a key requires.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

/// The kind of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a section",
    }
}

/// Checks that `value` is of the kind of the default. The error does not contain the value.
pub(super) fn same_kind(value: &Value, default: Option<&Value>) -> Result<(), String> {
    let fits = match (default, value) {
        (None | Some(Value::Null), _) => true,
        (Some(Value::Number(want)), Value::Number(is)) => want.is_f64() || !is.is_f64(),
        (Some(want), is) => std::mem::discriminant(want) == std::mem::discriminant(is),
    };
    match default {
        Some(want) if !fits => Err(format!("expected {}, found {}", kind(want), kind(value))),
        _ => Ok(()),
    }
}

/// Parses text (from an environment variable or a flag) as a value of the default's kind.
pub(super) fn from_text(text: &str, default: Option<&Value>) -> Result<Value, String> {
    let text = text.trim();
    match default {
        Some(Value::String(_)) => Ok(Value::from(text)),
        Some(Value::Array(_)) if !text.starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect())
        }
        Some(Value::Array(_) | Value::Object(_)) => parse(text),
        Some(want @ (Value::Bool(_) | Value::Number(_))) => {
            parse(text).ok().filter(|value| same_kind(value, Some(want)).is_ok()).ok_or(format!("expected {}", kind(want)))
        }
        Some(Value::Null) | None => Ok(parse(text).unwrap_or_else(|_| Value::from(text))),
    }
}

fn parse(text: &str) -> Result<Value, String> {
    let parsed = DeValue::parse(text).map_err(|error| format!("not a TOML value: {}", error.message()))?;
    from_toml(parsed.get_ref(), &mut |text| Ok(Value::from(text)))
}

/// Converts a TOML value; `text` converts each string.
pub(super) fn from_toml(value: &DeValue<'_>, text: &mut dyn FnMut(&str) -> Result<Value, String>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(string) => text(string)?,
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            Value::from(number.map_err(|_| "the number does not fit 64 bits".to_owned())?)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or("the number is not finite")?)
        }
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(moment) => Value::from(moment.to_string()),
        DeValue::Array(items) => {
            items.iter().map(|item| from_toml(item.get_ref(), text)).collect::<Result<Vec<_>, _>>().map(Value::from)?
        }
        DeValue::Table(table) => table_from_toml(table, text)?,
    })
}

fn table_from_toml(table: &DeTable<'_>, text: &mut dyn FnMut(&str) -> Result<Value, String>) -> Result<Value, String> {
    let entries = table.iter().map(|(key, value)| Ok((key.get_ref().to_string(), from_toml(value.get_ref(), text)?)));
    Ok(Value::Object(entries.collect::<Result<_, String>>()?))
}

/// Sets `value` at `path`; creates missing tables.
pub(super) fn set(root: &mut Value, path: &[String], value: Value) {
    let mut at = root;
    for key in path {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(entries) = at else { return };
        at = entries.entry(key.clone()).or_insert(Value::Null);
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_takes_the_kind_of_the_default() {
        assert_eq!(from_text("0123", Some(&json!(""))), Ok(json!("0123")));
        assert_eq!(from_text(" 12 ", Some(&json!(1))), Ok(json!(12)));
        assert_eq!(from_text("1_000", Some(&json!(1))), Ok(json!(1000)));
        assert_eq!(from_text("3", Some(&json!(0.5))), Ok(json!(3)));
        assert_eq!(from_text("true", Some(&json!(false))), Ok(json!(true)));
        assert_eq!(from_text("a, b,", Some(&json!([]))), Ok(json!(["a", "b"])));
        assert_eq!(from_text("[1, 2]", Some(&json!([]))), Ok(json!([1, 2])));
        assert_eq!(from_text("12", None), Ok(json!(12)));
        assert_eq!(from_text("all", None), Ok(json!("all")));
        assert_eq!(from_text("1.5", Some(&json!(1))), Err("expected a whole number".into()));
        assert_eq!(from_text("yes", Some(&json!(true))), Err("expected true or false".into()));
    }
}
