//! The files that `tributary replay` leaves, read as records of the topics.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tributary_runtime::topic::Topic;

/// Why a file of results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The system returns an error.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A line is not a row.
    #[error("{}, line {line}: {why}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
        /// The reason.
        why: String,
    },
}

/// The file of a topic.
fn path(folder: &Path, topic: Topic) -> PathBuf {
    folder.join(format!("{}.ndjson", topic.name()))
}

/// Whether a replay has written the file of a topic.
pub fn has(folder: &Path, topic: Topic) -> bool {
    path(folder, topic).is_file()
}

/// Calls `hear` with every row of a topic: the number of its line, and the row as JSON in the form of the topic.
///
/// # Errors
/// When the file cannot be read or a line is not a row; errors of `hear`.
pub fn each(folder: &Path, topic: Topic, hear: &mut dyn FnMut(u64, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let path = path(folder, topic);
    let failed = |source| ResultsError::Read { path: path.clone(), source };
    let mut file = BufReader::new(File::open(&path).map_err(failed)?);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if file.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        let row = as_of_topic(topic, &text).map_err(|why| ResultsError::Line { path: path.clone(), line, why })?;
        hear(line, &row)?;
    }
    Ok(())
}

/// A line in the form of the topic: replay writes identifiers as `kind|scope|value`.
fn as_of_topic(topic: Topic, line: &[u8]) -> Result<Vec<u8>, String> {
    let line = line.trim_ascii();
    if !line.starts_with(b"{") || !line.ends_with(b"}") {
        return Err("is not a JSON object, or is incomplete".to_owned());
    }
    if !matches!(topic, Topic::Profiles | Topic::Accounts) {
        return Ok(line.to_vec());
    }
    let mut row: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    for identifier in row.get_mut("identifiers").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(text) = identifier.as_str() else { continue };
        let mut parts = text.splitn(3, '|');
        let [kind, scope, value] = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
        *identifier = json!({"kind": kind, "scope": scope, "value": value});
    }
    serde_json::to_vec(&row).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_as_the_topic_has_them() {
        let line = br#"{"profile_id": "p_1", "identifiers": ["email||a@b.example", "wechat_openid|wx1|o|X"]}"#;
        let row: Value = serde_json::from_slice(&as_of_topic(Topic::Profiles, line).unwrap()).unwrap();
        let expected = json!([
            {"kind": "email", "scope": "", "value": "a@b.example"},
            {"kind": "wechat_openid", "scope": "wx1", "value": "o|X"},
        ]);
        assert_eq!(row["identifiers"], expected);
    }

    #[test]
    fn a_file_that_ends_within_a_line_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("spend.ndjson"), "{\"spend_id\": \"1\"}\n{\"spend_id\":").unwrap();
        let mut rows = 0;
        let error = each(folder.path(), Topic::Spend, &mut |_, _| {
            rows += 1;
            Ok(())
        });
        assert!(rows == 1 && error.unwrap_err().to_string().contains("spend.ndjson, line 2: "));
    }
}
