//! JSON whose numbers keep their original text.

use serde_json::Value;
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use crate::scalar::json_rejection;

/// The JSON with every number as text: amounts and ids must not pass through a float.
pub(super) fn exact(json: &str) -> Result<Value, Rejection> {
    // Checks the original text first, because the conversion also accepts malformed JSON.
    serde_json::from_str::<&RawValue>(json).map_err(|error| json_rejection(&error))?;
    let mut out = String::with_capacity(json.len() + json.len() / 8);
    let (mut in_string, mut escaped, mut in_number) = (false, false, false);
    for c in json.chars() {
        let numeric = !in_string && (c.is_ascii_digit() || c == '-' || (in_number && matches!(c, '.' | 'e' | 'E' | '+')));
        if numeric != in_number {
            out.push('"');
            in_number = numeric;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(c);
    }
    if in_number {
        out.push('"');
    }
    serde_json::from_str(&out).map_err(|error| json_rejection(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_they_were_written() {
        let value = exact(r#"{"a":-1.50e+3,"b":[90071992547409931,0],"c":"1\"2","d":true,"e":null}"#).unwrap();
        assert_eq!(value, serde_json::json!({"a":"-1.50e+3","b":["90071992547409931","0"],"c":"1\"2","d":true,"e":null}));
        assert_eq!(exact("7").unwrap(), "7");
        assert!(exact("[1-2]").is_err());
    }
}
