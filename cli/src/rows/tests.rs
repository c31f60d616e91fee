use encoding_rs::GB18030;
use tributary_proto::kind::Kinds;

use super::*;

fn open(bytes: &[u8], declared: Declared) -> anyhow::Result<(Rows, Vec<Row>)> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), bytes)?;
    let decoder = Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default())?;
    let rows = Rows::open_as(file.path(), &decoder, declared)?;
    let mut all = Vec::new();
    rows.each(&mut |row| {
        all.push(row);
        Ok(())
    })?;
    Ok((rows, all))
}

fn rows(bytes: &[u8]) -> anyhow::Result<Vec<Row>> {
    open(bytes, Declared::default()).map(|(_, all)| all)
}

#[test]
fn encodings_and_delimiters_make_no_difference() {
    let text = "timestamp,campaign\n1,上海春季峰会展台邀请名单";
    let utf16: Vec<u8> =
        "\u{feff}timestamp\tcampaign\n1\t上海春季峰会展台邀请名单".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        GB18030.encode(text).0.into_owned(),
        utf16,
        text.replace(',', ";").into_bytes(),
    ] {
        let [Ok((2, record))] = &rows(&bytes).unwrap()[..] else { panic!("one row") };
        assert_eq!(record, r#"{"timestamp":"1","campaign":"上海春季峰会展台邀请名单"}"#);
    }
}

#[test]
fn a_bad_row_is_named_and_the_next_one_read() {
    let found = rows(b"timestamp,phone\n1\n\n,\n\"2\n2\",3\n4,5\n").unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].as_ref().unwrap_err().line, 2);
    assert_eq!(found[1].as_ref().unwrap().0, 5);
    assert_eq!(found[2], Ok((7, r#"{"timestamp":"4","phone":"5"}"#.to_owned())));
}

#[test]
fn a_bad_header_or_encoding_is_refused() {
    let refused = |bytes: &[u8]| rows(bytes).unwrap_err().downcast::<RowsError>().unwrap();
    assert!(matches!(refused(b"timestamp,phone,phone\n"), RowsError::Header { line: 1, .. }));
    assert!(matches!(refused(b""), RowsError::Header { .. }));
    assert!(matches!(refused(b"timestamp\n\xff\xff\n"), RowsError::Encoding(_)));
}

#[test]
fn bytes_that_are_not_of_the_declared_encoding_cost_their_row_only() {
    let declared = Declared { encoding: Some(encoding_rs::UTF_8), ..Declared::default() };
    let (_, found) = open(b"timestamp,campaign\n1,\xff\n2,x\n", declared).unwrap();
    assert!(found[0].as_ref().unwrap_err().reason.starts_with("utf8_invalid"));
    assert_eq!(found[1].as_ref().unwrap().0, 3);
}

#[test]
fn a_mapping_names_columns_and_constants() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[columns]\n'手机' = 'phone'\n'备注' = ''\n[constants]\nkind = 'touch'\n").unwrap();
    let mapping = Mapping::open(file.path()).unwrap();
    let declared = Declared { mapping, ..Declared::default() };
    let (rows, found) = open("手机,备注,timestamp\n1.38E+10,x,1\n13800001111,x,1\n1,2\n".as_bytes(), declared.clone()).unwrap();
    assert_eq!(found[0].as_ref().unwrap().1, r#"{"phone":"1.38E+10","timestamp":"1","kind":"touch"}"#);
    assert_eq!(found[1].as_ref().unwrap().1, r#"{"phone":"13800001111","timestamp":"1","kind":"touch"}"#);
    assert!(found[2].is_err());
    assert_eq!((rows.count(), rows.unknown_columns().count()), (3, 0));
    let error = open(b"phone,timestamp\n", declared).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("columns that the header does not have: 备注, 手机"), "{error}");
    fs::write(file.path(), "\n[colums]\n").unwrap();
    assert!(Mapping::open(file.path()).unwrap_err().contains(":2: unknown field `colums`"));
}

#[test]
fn a_renamed_column_keeps_its_unit_or_is_refused_with_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |mapping: &str, table: &str| {
        fs::write(file.path(), mapping).unwrap();
        let declared = Declared { mapping: Mapping::open(file.path()).unwrap(), ..Declared::default() };
        let opened = open(table.as_bytes(), declared).map_err(|error| error.to_string());
        opened.map(|(_, found)| found[0].as_ref().unwrap().1.clone())
    };
    let columns = "[columns]\n'金额（万元）' = 'value'\n";
    let usd = format!("{columns}[constants]\ncurrency = 'USD'\n");
    let in_full = format!("{columns}[constants]\ncurrency = 'HKD（万元）'\n");
    for (mapping, header, currency) in [
        (columns, "金额（万元）,timestamp", "万元"),
        (&usd, "金额（万元）,timestamp", "USD 万元"),
        (&in_full, "金额（万元）,timestamp", "HKD（万元）"),
        ("[columns]\n'Amount (USD)' = 'value'\n", "Amount (USD),timestamp", "USD"),
    ] {
        let expected = format!(r#"{{"value":"300","timestamp":"1","currency":"{currency}"}}"#);
        assert_eq!(read(mapping, &format!("{header}\n300,1\n")), Ok(expected), "{mapping}");
    }
    assert_eq!(
        read("[columns]\n'金额' = 'value'\n", "金额,timestamp\n300,1\n"),
        Ok(r#"{"value":"300","timestamp":"1"}"#.into())
    );
    for (mapping, table, why) in [
        ("[columns]\n'金额（万）' = 'value'\n", "金额（万）,timestamp\n3,1\n", "`currency = \"CNY（万元）\"`"),
        (columns, "金额（万元）,timestamp,currency\n3,1,USD\n", "another column their currency"),
        (
            "[columns]\n'金额（万元）' = 'value'\n'退款（元）' = 'refund'\n",
            "金额（万元）,退款（元）,timestamp\n3,1,1\n",
            "different units",
        ),
    ] {
        let refused = read(mapping, table).unwrap_err();
        assert!(refused.contains(why) && refused.contains("金额"), "{refused}");
    }
}

/// The remarks on a workbook with these sheets, and the number of rows read.
fn of_sheets(sheets: &[(&str, &str, &str)], sheet: Option<&str>) -> (Vec<String>, Vec<String>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.xlsx");
    workbook::write(&path, sheets);
    let decoder = Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default()).unwrap();
    let declared = Declared { sheet: sheet.map(str::to_owned), ..Declared::default() };
    let rows = Rows::open_as(&path, &decoder, declared).unwrap();
    (rows.told().to_vec(), rows.unread().to_vec(), rows.count())
}

#[test]
fn sheets_that_are_not_read_are_named() {
    let list = |count: usize| {
        let rows: Vec<&[&str]> =
            [&["timestamp", "phone"][..]].into_iter().chain(vec![&["2026-03-01", "13800001111"][..]; count]).collect();
        workbook::rows(&rows)
    };
    let (one, two, notes) = (list(1), list(2), workbook::rows(&[&["How to fill this in"]]));
    let march = ("March", "visible", one.as_str());
    let april = ("April", "visible", two.as_str());
    let (help, blank) = (("Help", "visible", notes.as_str()), ("Sheet3", "visible", ""));
    let both = "not read, though the header is known: the sheets April (--sheet NAME reads one)".to_owned();
    let other = "not read: the sheets Help (--sheet NAME reads one)".to_owned();
    for (sheets, told, unread, count) in [
        (vec![march], "March", vec![], 1),
        (vec![march, blank], "March", vec![], 1),
        (vec![march, april], "March", vec![both.clone()], 1),
        (vec![help, march, april], "March", vec![both.clone(), other.clone()], 1),
        (vec![help, april], "April", vec![other.clone()], 2),
        (vec![blank, help], "Help", vec![], 0),
        (vec![("April", "hidden", two.as_str()), march], "March", vec![both.clone()], 1),
        (vec![("Chart", "chart", ""), march], "March", vec![], 1),
    ] {
        assert_eq!(of_sheets(&sheets, None), (vec![format!("the sheet is {told}")], unread, count), "{sheets:?}");
    }
    // With a named sheet, there are no remarks on the others.
    assert_eq!(of_sheets(&[march, april], Some("April")), (vec![], vec![], 2));
}

#[test]
fn what_a_file_does_not_have_is_not_declared_of_it() {
    let sheet = Declared { sheet: Some("March".into()), ..Declared::default() };
    let encoding = Declared { encoding: Some(encoding_rs::GBK), ..Declared::default() };
    let delimiter = Declared { delimiter: Some(b';'), ..Declared::default() };
    let (csv, xlsx) = (Path::new("list.csv"), Path::new("list.XLSX"));
    assert!(sheet.unused(csv).is_some() && sheet.unused(xlsx).is_none());
    assert!(encoding.unused(csv).is_none() && encoding.unused(xlsx).is_some());
    assert!(delimiter.unused(csv).is_none() && delimiter.unused(xlsx).is_some());
}

#[test]
fn a_few_characters_that_fit_several_encodings_are_not_guessed() {
    let bytes = GB18030.encode("timestamp,campaign\n1,峰会").0.into_owned();
    let refused = rows(&bytes).unwrap_err().downcast::<RowsError>().unwrap();
    assert!(matches!(refused, RowsError::Encoding(_)) && refused.to_string().contains("--encoding"), "{refused}");
    let declared = Declared { encoding: Some(GB18030), ..Declared::default() };
    let (_, found) = open(&bytes, declared).unwrap();
    assert!(found[0].as_ref().unwrap().1.contains("峰会"));
}

#[test]
fn the_line_of_google_ads_names_the_zone() {
    let text =
        "Parameters:TimeZone=Europe/Berlin;\nGoogle Click ID,Conversion Name,Conversion Time\nCj0,MQL,2022-04-13 08:00:00\n";
    let [Ok((3, record))] = &rows(text.as_bytes()).unwrap()[..] else { panic!("one row") };
    assert!(record.contains(r#""timestamp":"2022-04-13T06:00:00Z""#), "{record}");
}
