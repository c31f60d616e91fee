//! Files of paths: CSV with a column of paths, or NDJSON, each row with the number of journeys.
//!
//! | form | a row |
//! |---|---|
//! | CSV | `path` (`email > search > email`), `converting` (or `total_conversions`), `null` (or `total_null`) |
//! | NDJSON | `{"path": ["email", "search"], "converting": 1, "null": 0}` |

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use csv::ByteRecord;
use serde::Deserialize;
use tributary_learn::paths::{ChannelId, Outcomes, Paths};

use crate::lines::Lines;
use crate::outcome::Usage;

/// Longest line of these files, bytes.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Separates the channels of a path.
const SEPARATOR: u8 = b'>';

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    path: Vec<String>,
    #[serde(default)]
    converting: u64,
    #[serde(default)]
    null: u64,
}

/// Adds the paths of a file; `tick` is called for each row.
///
/// # Errors
/// When it cannot be read; the error has the line.
pub fn read(path: &Path, paths: &mut Paths, tick: &mut dyn FnMut()) -> anyhow::Result<()> {
    let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if is_csv { read_csv(path, paths, tick) } else { read_ndjson(path, paths, tick) }
}

fn read_ndjson(path: &Path, paths: &mut Paths, tick: &mut dyn FnMut()) -> anyhow::Result<()> {
    let mut lines = Lines::open(path, LINE_BYTES_MAX)?;
    let mut ids = Vec::new();
    while let Some(line) = lines.next_line()? {
        let Some(Ok(row)) = line.whole().map(serde_json::from_slice::<Row>) else {
            let form = r#"expected {"path": ["email", "search"], "converting": 1, "null": 0}"#;
            bail!(Usage(format!("{}:{}: {form}", path.display(), lines.line())));
        };
        ids.clear();
        for label in &row.path {
            ids.push(paths.label(label)?);
        }
        paths.add(&ids, Outcomes { converting: row.converting, null: row.null });
        tick();
    }
    Ok(())
}

/// The positions of the columns.
struct Columns {
    path: usize,
    converting: usize,
    null: usize,
}

fn read_csv(path: &Path, paths: &mut Paths, tick: &mut dyn FnMut()) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 20).from_reader(file);
    let columns = columns(reader.byte_headers().with_context(|| path.display().to_string())?)
        .map_err(|why| Usage(format!("{}:1: {why}", path.display())))?;
    let (mut record, mut ids) = (ByteRecord::new(), Vec::new());
    while reader.read_byte_record(&mut record).with_context(|| path.display().to_string())? {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |why: &str| Usage(format!("{}:{line}: {why}", path.display()));
        let cell = |at: usize| record.get(at).unwrap_or_default();
        ids.clear();
        add_labels(cell(columns.path), paths, &mut ids, &wrong)?;
        let count = |at: usize, name: &str| {
            count(cell(at)).ok_or_else(|| wrong(&format!("{name}: expected a whole number that is not negative")))
        };
        let (converting, null) = (count(columns.converting, "converting")?, count(columns.null, "null")?);
        paths.add(&ids, Outcomes { converting, null });
        tick();
    }
    Ok(())
}

fn columns(header: &ByteRecord) -> Result<Columns, String> {
    let find = |names: [&str; 2]| {
        let is = |cell: &[u8]| names.iter().any(|name| cell.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
        header.iter().position(is).ok_or_else(|| format!("there is no column {}", names[0]))
    };
    Ok(Columns {
        path: find(["path", "path"])?,
        converting: find(["converting", "total_conversions"])?,
        null: find(["null", "total_null"])?,
    })
}

fn add_labels(cell: &[u8], paths: &mut Paths, ids: &mut Vec<ChannelId>, wrong: &dyn Fn(&str) -> Usage) -> anyhow::Result<()> {
    for label in cell.split(|byte| *byte == SEPARATOR).map(<[u8]>::trim_ascii) {
        let label = std::str::from_utf8(label).map_err(|_| wrong("path: is not UTF-8"))?;
        if label.is_empty() {
            bail!(wrong("path: expected channels with > between, such as email > search"));
        }
        ids.push(paths.label(label)?);
    }
    Ok(())
}

/// A count; statistics programs write whole numbers as `3.0`, too.
fn count(cell: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(cell.trim_ascii()).ok()?;
    let whole =
        text.split_once('.').map_or(text, |(whole, part)| if part.bytes().all(|byte| byte == b'0') { whole } else { text });
    whole.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Vec<(Vec<String>, Outcomes)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let mut paths = Paths::default();
        read(&path, &mut paths, &mut || {}).map_err(|error| error.to_string().replace(&path.display().to_string(), name))?;
        let counted = paths.counted();
        let labels = |at: usize| counted.path(at).iter().map(|id| counted.labels[usize::from(*id)].clone()).collect();
        Ok((0..counted.len()).map(|at| (labels(at), counted.outcomes()[at])).collect())
    }

    #[test]
    fn a_table_and_lines_give_the_same_paths() {
        let table = read_text(
            "a.csv",
            "path,total_conversions,total_conversion_value,total_null\nb > a,1,0.5,3.0\na,0,0,2\nb>a,1,,0\n",
        );
        let lines =
            read_text("a.ndjson", "{\"path\":[\"b\",\"a\"],\"converting\":2,\"null\":3}\n{\"path\":[\"a\"],\"null\":2}\n");
        assert_eq!(table.as_ref().unwrap().len(), 2);
        assert_eq!(table, lines);
    }

    #[test]
    fn errors_name_file_line_and_column() {
        for (name, text, expected) in [
            ("a.csv", "path,null\n", "a.csv:1: there is no column converting"),
            ("a.csv", "path,converting,null\na,1,0\na > ,1,0\n", "a.csv:3: path: expected channels"),
            ("a.csv", "path,converting,null\na,-1,0\n", "a.csv:2: converting: expected a whole number"),
            ("a.ndjson", "{\"path\":[]}\n{\"path\":3}\n", "a.ndjson:2: expected {"),
        ] {
            let error = read_text(name, text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
