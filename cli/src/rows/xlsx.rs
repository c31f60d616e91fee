//! Rows of a worksheet.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxError, open_workbook};

/// Largest unpacked size of a workbook, because its texts are held in memory.
pub const UNPACKED_BYTES_MAX: u64 = 512 << 20;
/// Most columns of a sheet, Excel's own limit.
const COLUMNS_MAX: usize = 16_384;
/// Excel keeps 15 digits of a number: larger ones were rounded.
const EXACT_MAX: f64 = 1e15;

/// Refuses a workbook that unpacks to more than [`UNPACKED_BYTES_MAX`], whatever its directory says.
///
/// # Errors
/// When it is too large, or is not a ZIP file.
pub fn check_size(path: &Path) -> io::Result<()> {
    let invalid = |error: zip::result::ZipError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut archive = zip::ZipArchive::new(BufReader::new(File::open(path)?)).map_err(invalid)?;
    let mut unpacked = 0;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(invalid)?;
        unpacked += io::copy(&mut entry.take(UNPACKED_BYTES_MAX + 1 - unpacked), &mut io::sink())?;
        if unpacked > UNPACKED_BYTES_MAX {
            let why = format!("the workbook unpacks to more than {UNPACKED_BYTES_MAX} bytes; split it, or save it as CSV");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    }
    Ok(())
}

/// The names of a workbook's sheets with cells, visible ones before hidden ones.
///
/// # Errors
/// When it cannot be read.
pub fn sheets(path: &Path) -> anyhow::Result<Vec<String>> {
    let workbook: Xlsx<_> = open_workbook(path).map_err(|error: XlsxError| anyhow::anyhow!("{}: {error}", path.display()))?;
    let sheets = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let (seen, hidden): (Vec<_>, Vec<_>) = sheets.partition(|sheet| sheet.visible == SheetVisible::Visible);
    Ok(seen.into_iter().chain(hidden).map(|sheet| sheet.name.clone()).collect())
}

/// Calls `take` with the line and the cells of every row of a sheet (the first, if none is named) that is not blank.
///
/// # Errors
/// When the workbook cannot be read or has no such sheet; errors of `take`.
pub fn each(
    path: &Path,
    sheet: Option<&str>,
    take: &mut dyn FnMut(u64, &[String]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut workbook: Xlsx<_> =
        open_workbook(path).map_err(|error: XlsxError| anyhow::anyhow!("{}: {error}", path.display()))?;
    let names = workbook.sheet_names();
    let name = match sheet {
        None => names.first().cloned().ok_or_else(|| anyhow::anyhow!("{}: has no sheet", path.display()))?,
        Some(name) if names.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => anyhow::bail!("{}: has no sheet `{name}`; it has {}", path.display(), names.join(", ")),
    };
    let mut cells = workbook.worksheet_cells_reader(&name)?;
    let mut row: Vec<String> = Vec::new();
    let mut line = 0;
    while let Some(cell) = cells.next_cell()? {
        let (at, column) = cell.get_position();
        if u64::from(at) + 1 != line {
            give(line, &mut row, take)?;
            line = u64::from(at) + 1;
        }
        let column = column as usize;
        if column < COLUMNS_MAX {
            row.resize(row.len().max(column + 1), String::new());
            if let Some(place) = row.get_mut(column) {
                *place = text(cell.get_value());
            }
        }
    }
    give(line, &mut row, take)
}

fn give(line: u64, row: &mut Vec<String>, take: &mut dyn FnMut(u64, &[String]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if row.iter().any(|cell| !cell.trim().is_empty()) {
        take(line, row)?;
    }
    row.clear();
    Ok(())
}

/// A cell as in a CSV file: whole numbers without a point, times as local times. A number with more digits than Excel keeps is written as
/// Excel does (1.38E+15), which is refused where an id is expected.
fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) if number.abs() >= EXACT_MAX => format!("{number:E}").replacen('E', "E+", 1),
        DataRef::Float(number) => number.to_string(),
        DataRef::Bool(flag) => flag.to_string(),
        DataRef::DateTime(time) => {
            let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
            // Excel has no type for a day without a time: midnight counts as a day.
            if (hour, minute, second, milli) == (0, 0, 0, 0) {
                return format!("{year:04}-{month:02}-{day:02}");
            }
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}")
        }
        DataRef::Error(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::workbook;

    #[test]
    fn cells_are_written_as_people_see_them() {
        for (value, expected) in [
            (DataRef::Float(13_800_001_111.0), "13800001111"),
            (DataRef::Float(0.5), "0.5"),
            (DataRef::Float(6.222_021e18), "6.222021E+18"),
            (DataRef::SharedString("0012"), "0012"),
            (DataRef::Bool(true), "true"),
            (DataRef::Empty, ""),
        ] {
            assert_eq!(text(&value), expected);
        }
    }

    #[test]
    fn rows_of_a_sheet_have_their_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.xlsx");
        let rows = [
            format!(r#"<row r="1">{}{}</row>"#, workbook::text("A1", "phone"), workbook::text("B1", "campaign")),
            format!(r#"<row r="4"><c r="A4"><v>13800001111</v></c>{}</row>"#, workbook::text("B4", "峰会")),
            r#"<row r="5"><c r="A5"><v>1.38E+16</v></c></row>"#.to_owned(),
        ];
        workbook::write(&path, &[("List", "visible", &rows.concat())]);
        check_size(&path).unwrap();
        let mut found = Vec::new();
        let mut take = |line, cells: &[String]| {
            found.push((line, cells.join("|")));
            Ok(())
        };
        each(&path, None, &mut take).unwrap();
        let expected = [(1, "phone|campaign"), (4, "13800001111|峰会"), (5, "1.38E+16")];
        assert_eq!(found, expected.map(|(line, cells)| (line, cells.to_owned())));
        let error = each(&path, Some("Other"), &mut |_, _| Ok(())).unwrap_err().to_string();
        assert!(error.contains("has no sheet `Other`; it has List"), "{error}");
    }

    #[test]
    fn what_is_no_workbook_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "phone,campaign\n").unwrap();
        assert!(check_size(file.path()).is_err());
    }
}
