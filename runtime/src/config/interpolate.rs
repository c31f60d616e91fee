//! `${env:NAME}` and `${file:/path}` inside text values: how secrets stay out of configuration files.

use std::collections::BTreeMap;
use std::fs;

/// The most that a file named in a value may hold, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Replaces every `${env:NAME}` and `${file:/path}`; `$${` stands for `${` itself. A file's last line end is dropped.
///
/// # Errors
/// What is wrong with the first reference that cannot be resolved; never what it would have resolved to.
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
            environment.get(name).cloned().ok_or_else(|| format!("the environment variable {name} named here is not set"))
        }
        Some(("file", path)) => {
            let length = fs::metadata(path).map_err(|error| format!("cannot read {path}: {error}"))?.len();
            if length > FILE_BYTES_MAX {
                return Err(format!("{path} is larger than {FILE_BYTES_MAX} bytes"));
            }
            let text = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
        }
        _ => Err("expected `${env:NAME}` or `${file:/path}` (write `$${` for the characters themselves)".to_owned()),
    }
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
        assert!(of("${HOST}").is_err());
        assert!(of("${env:HOST").is_err());
    }
}
