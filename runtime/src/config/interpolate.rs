//! `${env:NAME}` and `${file:/path}` inside text values: how secrets stay out of configuration files.

use std::collections::BTreeMap;
use std::fs;

/// Largest file named in a value, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Replaces every `${env:NAME}` and `${file:/path}`; `$${` stands for a literal `${`. The line end at the end of a file is dropped.
///
/// # Errors
/// The error of the first reference that cannot be resolved. It never contains the value, nor a name that may be a secret written in place
/// of a name.
pub(super) fn interpolate(text: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let (reference, after) =
            after.split_once('}').ok_or("`${` without its `}` (write `$${` for the characters themselves)")?;
        out.push_str(&resolve(reference, environment)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve(reference: &str, environment: &BTreeMap<String, String>) -> Result<String, String> {
    match reference.split_once(':') {
        Some(("env", name)) => {
            let shown = if is_variable(name) { format!(" {name}") } else { String::new() };
            environment.get(name).cloned().ok_or_else(|| format!("the environment variable{shown} named here is not set"))
        }
        Some(("file", path)) => {
            let shown = if path.starts_with('/') { path } else { "the file named here" };
            let length = fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?.len();
            if length > FILE_BYTES_MAX {
                return Err(format!("{shown} is larger than {FILE_BYTES_MAX} bytes"));
            }
            let text = fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
        }
        _ => Err("expected `${env:NAME}` or `${file:/path}` (write `$${` for the characters themselves)".to_owned()),
    }
}

/// Whether a text has the usual form of a variable's name.
fn is_variable(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 128 && name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_') && name.bytes().all(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "s3cret\n").unwrap();
        let environment = BTreeMap::from([("HOST".to_owned(), "kafka-1".to_owned())]);
        let of = |text: &str| interpolate(text, &environment);
        assert_eq!(of("${env:HOST}:9092,${env:HOST}:9093"), Ok("kafka-1:9092,kafka-1:9093".into()));
        assert_eq!(of(&format!("${{file:{}}}", path.display())), Ok("s3cret".into()));
        assert_eq!(of("a $${env:HOST} costs $5"), Ok("a ${env:HOST} costs $5".into()));
        assert!(of("${env:NONE}").unwrap_err().contains("NONE"));
        assert!(of("${file:/no/such/file}").unwrap_err().contains("/no/such/file"));
        assert!(!of("${env:hunter2}").unwrap_err().contains("hunter2"));
        assert!(!of("${file:hunter2}").unwrap_err().contains("hunter2"));
        assert!(of("${HOST}").is_err());
        assert!(of("${env:HOST").is_err());
    }
}
