//! The first look at a table: which sheet its rows are on, and which row is the header.

use std::path::Path;
use std::sync::Arc;

use tributary_ingest::{CsvRows, Decoder};

use super::{Content, Declared, RowsError, each_row, header, xlsx};

/// A row of a table: the line, and the cells.
type Line = (u64, Vec<String>);

/// The first rows of a table were read: its reading is broken off.
#[derive(Debug, thiserror::Error)]
#[error("enough rows were read")]
struct Enough;

/// What is known of a table before its rows are read.
pub(super) struct Look {
    pub content: Content,
    /// How many rows that are not blank stand before the header.
    pub before: usize,
    /// What was found and not declared, in words.
    pub told: Vec<String>,
}

/// Looks for the header, in a workbook on every sheet.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn look(
    path: &Path,
    given: Option<&Arc<[u8]>>,
    content: Content,
    decoder: &Decoder,
    declared: &Declared,
) -> anyhow::Result<Look> {
    let known = |cells: &[String]| known(cells, decoder, declared);
    let mut told = Vec::new();
    let contents = match content {
        Content::Text { encoding, preamble } => {
            told.push(format!("read as {}", encoding.name()));
            vec![Content::Text { encoding, preamble }]
        }
        Content::Sheet { name: Some(name) } => vec![Content::Sheet { name: Some(name) }],
        Content::Sheet { name: None } => {
            let sheets = xlsx::sheets(path)?;
            sheets.into_iter().map(|name| Content::Sheet { name: Some(name) }).collect()
        }
    };
    let mut first = None;
    for content in contents {
        let rows = first_rows(path, given, &content)?;
        let cells: Vec<Vec<String>> = rows.iter().map(|(_, cells)| cells.clone()).collect();
        let place = header::find(&cells, known);
        let line = place.and_then(|place| rows.get(place)).map(|(line, _)| *line);
        if let (Some(place), Some(line)) = (place, line) {
            if let Content::Sheet { name: Some(name) } = &content {
                told.push(format!("the sheet is {name}"));
            }
            if place > 0 {
                told.push(format!("the header is on line {line}"));
            }
            return Ok(Look { content, before: place, told });
        }
        first = first.or(Some(content));
    }
    let content =
        first.ok_or_else(|| RowsError::Header { path: path.to_owned(), line: 1, problem: "it has no sheet".into() })?;
    Ok(Look { content, before: 0, told })
}

/// How many names of a row are known.
fn known(cells: &[String], decoder: &Decoder, declared: &Declared) -> usize {
    if let Some(format) = &declared.format {
        return format.open(cells).map_or(0, |_| usize::MAX);
    }
    match declared.mapping.header(cells) {
        Err(_) => 0,
        // All of a mapping's columns are there.
        Ok(_) if declared.mapping.names_columns() => usize::MAX,
        Ok(names) => CsvRows::known(decoder, &names),
    }
}

fn first_rows(path: &Path, given: Option<&Arc<[u8]>>, content: &Content) -> anyhow::Result<Vec<Line>> {
    let mut rows: Vec<Line> = Vec::new();
    let read = each_row(path, given, content, &mut |row| {
        if let Ok((line, cells)) = row {
            rows.push((line, cells.to_vec()));
        }
        if rows.len() == header::ROWS_MAX { Err(Enough.into()) } else { Ok(()) }
    });
    match read {
        Err(error) if !error.is::<Enough>() => Err(error),
        _ => Ok(rows),
    }
}
