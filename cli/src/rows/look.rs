//! The first pass over a table: finds the sheet with the rows, and the header row.

use std::path::Path;
use std::sync::Arc;

use tributary_ingest::{CsvRows, Decoder};

use super::{Content, Declared, RowsError, each_row, header, xlsx};

/// A row of a table: the line, and the cells.
type Line = (u64, Vec<String>);

/// Ends the reading of a table after its first rows.
#[derive(Debug, thiserror::Error)]
#[error("enough rows were read")]
struct Enough;

/// What is known of a table before its rows are read.
pub(super) struct Look {
    pub content: Content,
    /// The number of rows that are not blank before the header.
    pub before: usize,
    /// What was detected, in words.
    pub told: Vec<String>,
    /// Which sheets of a workbook have rows and are not read, in words.
    pub unread: Vec<String>,
}

/// The survey of a text or a sheet.
struct Seen {
    content: Content,
    /// The header's position among its rows that are not blank, and its line.
    header: Option<(usize, u64)>,
    /// Whether it has no rows.
    blank: bool,
}

/// Finds the header, in a workbook on every sheet.
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
    let mut told = Vec::new();
    if let Content::Text { encoding, .. } = &content {
        told.push(format!("read as {}", encoding.name()));
    }
    let (taken, unread) = match content {
        Content::Sheet { name: None } => {
            let (taken, unread) = sheet(path, decoder, declared)?;
            told.extend(taken.content.sheet().map(|name| format!("the sheet is {name}")));
            (taken, unread)
        }
        content => (see(path, given, content, decoder, declared)?, Vec::new()),
    };
    let before = match taken.header {
        Some((place @ 1.., line)) => {
            told.push(format!("the header is on line {line}"));
            place
        }
        _ => 0,
    };
    Ok(Look { content: taken.content, before, told, unread })
}

/// The sheet to be read: the first with a known header, else the first with rows. Also returns remarks on the others.
fn sheet(path: &Path, decoder: &Decoder, declared: &Declared) -> anyhow::Result<(Seen, Vec<String>)> {
    let (mut sheets, mut broken) = (Vec::new(), Vec::new());
    for name in xlsx::sheets(path)? {
        match see(path, None, Content::Sheet { name: Some(name.clone()) }, decoder, declared) {
            Ok(seen) => sheets.push(seen),
            Err(error) => broken.push(format!("the sheet {name} cannot be read: {error}")),
        }
    }
    let with_header = sheets.iter().position(|seen| seen.header.is_some());
    let at = with_header.or_else(|| sheets.iter().position(|seen| !seen.blank)).unwrap_or_default();
    if sheets.is_empty() {
        let problem = broken.into_iter().next().unwrap_or_else(|| "it has no sheet".into());
        anyhow::bail!(RowsError::Header { path: path.to_owned(), line: 1, problem });
    }
    let taken = sheets.remove(at);
    let unread = unread(&sheets).chain(broken).collect();
    Ok((taken, unread))
}

/// Remarks on the sheets that are not read, and how to read one of them.
fn unread(others: &[Seen]) -> impl Iterator<Item = String> {
    let names = |with_header: bool| {
        let such = others.iter().filter(|seen| !seen.blank && seen.header.is_some() == with_header);
        such.filter_map(|seen| seen.content.sheet()).collect::<Vec<_>>().join(", ")
    };
    [("not read, though the header is known: the sheets ", names(true)), ("not read: the sheets ", names(false))]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}{names} (--sheet NAME reads one)"))
}

fn see(
    path: &Path,
    given: Option<&Arc<[u8]>>,
    content: Content,
    decoder: &Decoder,
    declared: &Declared,
) -> anyhow::Result<Seen> {
    let (lines, rows): (Vec<u64>, Vec<Vec<String>>) = first_rows(path, given, &content)?.into_iter().unzip();
    let place = header::find(&rows, |cells| known(cells, decoder, declared));
    let header = place.and_then(|place| Some((place, *lines.get(place)?)));
    Ok(Seen { content, header, blank: rows.is_empty() })
}

/// How many names in a row are known.
fn known(cells: &[String], decoder: &Decoder, declared: &Declared) -> usize {
    if let Some(format) = &declared.format {
        return format.open(cells).map_or(0, |_| usize::MAX);
    }
    match declared.mapping.header(cells) {
        Err(_) => 0,
        // All columns of the mapping are present.
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
