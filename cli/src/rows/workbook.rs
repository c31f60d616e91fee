//! Workbooks for tests.

use std::fs::File;
use std::io::Write;
use std::path::Path;

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// A cell with a text.
pub fn text(at: &str, text: &str) -> String {
    format!(r#"<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>"#)
}

/// Rows of texts, beginning at the first row.
pub fn rows(rows: &[&[&str]]) -> String {
    let cells = |line: usize, cells: &[&str]| {
        let cell = |(column, cell): (char, &&str)| text(&format!("{column}{line}"), cell);
        ('A'..).zip(cells).map(cell).collect::<String>()
    };
    (1..).zip(rows).map(|(line, row)| format!(r#"<row r="{line}">{}</row>"#, cells(line, row))).collect()
}

/// Writes a workbook; each sheet has a name, a visibility (`visible`, `hidden`, or `chart` for one without cells), and the XML of its rows.
pub fn write(path: &Path, sheets: &[(&str, &str, &str)]) {
    let numbered = || (1..).zip(sheets);
    let relation =
        |id: usize, kind: &str, target: &str| format!(r#"<Relationship Id="r{id}" Type="{OFFICE}/{kind}" Target="{target}"/>"#);
    let relations = |inside: &str| format!(r#"<Relationships xmlns="{PACKAGE}">{inside}</Relationships>"#);
    let listed: String = numbered()
        .map(|(id, (name, seen, _))| {
            let state = if *seen == "hidden" { r#" state="hidden""# } else { "" };
            format!(r#"<sheet name="{name}" sheetId="{id}"{state} r:id="r{id}"/>"#)
        })
        .collect();
    let related: String = numbered()
        .map(|(id, (_, seen, _))| match *seen {
            "chart" => relation(id, "chartsheet", &format!("chartsheets/sheet{id}.xml")),
            _ => relation(id, "worksheet", &format!("worksheets/sheet{id}.xml")),
        })
        .collect();
    let mut parts = vec![
        ("_rels/.rels".to_owned(), relations(&relation(1, "officeDocument", "xl/workbook.xml"))),
        (
            "xl/workbook.xml".to_owned(),
            format!(r#"<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>"#),
        ),
        ("xl/_rels/workbook.xml.rels".to_owned(), relations(&related)),
    ];
    for (id, (_, seen, rows)) in numbered() {
        parts.push(match *seen {
            "chart" => (format!("xl/chartsheets/sheet{id}.xml"), format!(r#"<chartsheet xmlns="{MAIN}"/>"#)),
            _ => {
                let sheet = format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>"#);
                (format!("xl/worksheets/sheet{id}.xml"), sheet)
            }
        });
    }
    let mut out = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, text) in parts {
        out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        out.write_all(text.as_bytes()).unwrap();
    }
    out.finish().unwrap();
}
