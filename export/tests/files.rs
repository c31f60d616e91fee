//! Files that were exported are read back, and hold what the topics held.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "support/parquet.rs"]
mod read_back;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::printer::print_schema;
use read_back::read;
use serde_json::{Value, json};
use tributary_export::ExportError;
use tributary_export::file::RowsFile;
use tributary_export::table::{Table, Which, Written};
use tributary_proto::dictionary::Described;
use tributary_proto::{
    Account, AccountPerson, CreditUpdate, DeadLetter, Identifier, MilestoneRow, Profile, Spend, StageMoment, TouchpointRow,
    Trait,
};
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::Row;

/// What a file should hold of a row.
fn expected<R: Row>(row: &R) -> Value {
    let mut value: Value = serde_json::from_slice(&row.bytes(true)).unwrap();
    typed(R::FIELDS, &mut value);
    value
}

/// Gives values the types of their columns; times and days that are not there are empty.
fn typed(fields: &[tributary_proto::dictionary::Field], value: &mut Value) {
    use tributary_proto::dictionary::Form;
    for field in fields {
        let cell = &mut value[field.name];
        match field.form {
            Form::Map if cell.is_null() => *cell = json!({}),
            Form::Time if *cell == 0 => *cell = Value::Null,
            Form::Day if *cell == "" => *cell = Value::Null,
            // JSON has large integers as texts.
            Form::Int64 | Form::Uint64 | Form::Time if cell.is_string() => {
                *cell = serde_json::from_str(cell.as_str().unwrap()).unwrap()
            }
            Form::Message(inner) => cell.as_array_mut().unwrap().iter_mut().for_each(|item| typed(inner, item)),
            _ => {}
        }
    }
}

fn export<R: Row>(folder: &Path, which: Which, rows: &[R], json: bool) -> Written {
    let mut table = Table::begin(folder, R::TOPIC, which).unwrap();
    for row in rows {
        table.take(row.key(), Some(&row.bytes(json))).unwrap();
    }
    table.finish(&mut |_| {}).unwrap()
}

fn milestones() -> Vec<MilestoneRow> {
    let moment = |kind: &str, time| StageMoment { kind: kind.into(), time };
    let of = |id: &str, stages, dimensions: &[&str]| MilestoneRow {
        milestone_id: id.into(),
        dimensions: dimensions.iter().map(|name| ((*name).to_owned(), format!("{name} of {id}"))).collect(),
        milestone_time: -5,
        value_minor: i64::MIN,
        occurrence: u32::MAX,
        stages,
        revision: u64::MAX,
        withdrawn: true,
        ..MilestoneRow::default()
    };
    let many = (1..=30).map(|at| moment("lead", at)).collect();
    vec![
        of("a", Vec::new(), &[]),
        of("b", vec![moment("lead", 0), moment("峰会", i64::MAX)], &["region", "team"]),
        of("c", many, &["product"]),
        of("d", vec![moment("", 7)], &[]),
    ]
}

#[test]
fn the_exported_rows_are_those_published_in_either_format() {
    for json in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let rows = milestones();
        let written = export(folder.path(), Which::Latest, &rows, json);
        assert_eq!((written.records, written.rows), (4, 4));
        assert_eq!(read(&written.file), rows.iter().map(expected).collect::<Vec<_>>());
        let accounts = vec![
            Account { account_id: "001".into(), people_count: 2, ..Account::default() },
            Account {
                account_id: "002".into(),
                identifiers: vec![Identifier::new("domain", "", "b.example"), Identifier::new("crm_account", "", "002")],
                traits: vec![Trait { name: "city".into(), value: "上海".into() }],
                people: (0..3).map(|at| AccountPerson { to_ms: at, role: "cfo".into(), ..AccountPerson::default() }).collect(),
                ..Account::default()
            },
        ];
        let written = export(folder.path(), Which::All, &accounts, json);
        assert_eq!(read(&written.file), accounts.iter().map(expected).collect::<Vec<_>>());
        let spend = vec![
            Spend { spend_id: "1".into(), day: "2024-02-29".into(), value_minor: -7, ..Spend::default() },
            Spend { spend_id: "2".into(), ..Spend::default() },
        ];
        let written = export(folder.path(), Which::Latest, &spend, json);
        assert_eq!(read(&written.file), spend.iter().map(expected).collect::<Vec<_>>());
        let letters = vec![DeadLetter { payload: vec![0, 255], offset: 3, ..DeadLetter::default() }; 2];
        let written = export(folder.path(), Which::Latest, &letters, json);
        let found = read(&written.file);
        assert_eq!((found.len(), &found[0]["payload"], &found[0]["offset"]), (2, &json!([0, 255]), &json!(3)));
    }
}

/// The history of three rows, in order: amended, retracted, and erased.
fn updates() -> Vec<CreditUpdate> {
    let of = |touch: &str, revision, weight_nano, delta_weight_nano| CreditUpdate {
        milestone_id: "mql:1".into(),
        model: "linear".into(),
        touch_id: touch.into(),
        weight_nano,
        delta_weight_nano,
        revision,
        ..CreditUpdate::default()
    };
    vec![of("x", 1, 10, 10), of("y", 1, 5, 5), of("x", 2, 0, -10), of("y", 3, 9, 4), of("y", 3, 9, 4)]
}

#[test]
fn credit_is_folded_to_the_rows_that_have_it_or_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let latest = export(folder.path(), Which::Latest, &updates(), false);
    assert_eq!((latest.records, latest.rows), (5, 1));
    assert_eq!(read(&latest.file), [expected(&updates()[3])]);
    let all = export(folder.path(), Which::All, &updates(), false);
    assert_eq!((&all.file, all.rows), (&latest.file, 5));
    assert_eq!(read(&all.file), updates().iter().map(expected).collect::<Vec<_>>());
}

#[test]
fn what_was_erased_is_left_out_and_so_is_what_a_tombstone_takes_back() {
    let folder = tempfile::tempdir().unwrap();
    let touch =
        |id: &str, revision, erased| TouchpointRow { touchpoint_id: id.into(), revision, erased, ..TouchpointRow::default() };
    let said = [touch("a", 1, false), touch("a", 2, true), touch("b", 1, false)];
    let written = export(folder.path(), Which::Latest, &said, true);
    assert_eq!(read(&written.file), [expected(&said[2])]);
    let mut table = Table::begin(folder.path(), Topic::Profiles, Which::Latest).unwrap();
    for id in ["p_1", "p_2"] {
        let profile = Profile { profile_id: id.into(), ..Profile::default() };
        table.take(id.as_bytes(), Some(&profile.bytes(false))).unwrap();
    }
    table.take(b"p_1", None).unwrap();
    let written = table.finish(&mut |_| {}).unwrap();
    assert_eq!((written.records, read(&written.file).len(), &read(&written.file)[0]["profile_id"]), (3, 1, &json!("p_2")));
}

#[test]
fn row_groups_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = RowsFile::create(folder.path(), "spend", Spend::FIELDS, &[]).unwrap();
    let Value::Object(row) = serde_json::to_value(Spend { campaign: "c".repeat(1_000), ..Spend::default() }).unwrap() else {
        panic!()
    };
    (0..130_000).for_each(|_| file.add("spend", &row).unwrap());
    let (path, rows, _) = file.finish().unwrap();
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!((groups.iter().sum::<i64>(), rows), (130_000, 130_000));
    assert!(groups.len() > 2 && groups.iter().all(|rows| *rows < 60_000), "{groups:?}");
}

#[test]
fn a_file_is_there_whole_or_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let found = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        found.collect::<Vec<_>>()
    };
    let written = export(folder.path(), Which::Latest, &updates(), false);
    let before = std::fs::read(&written.file).unwrap();
    let mut table = Table::begin(folder.path(), Topic::Credits, Which::All).unwrap();
    table.take(b"", Some(&updates()[0].bytes(false))).unwrap();
    assert!(matches!(Table::begin(folder.path(), Topic::Credits, Which::All), Err(ExportError::Busy(_))));
    let error = table.take(b"", Some(b"{\"weight_nano\": \"much\"}")).unwrap_err();
    assert_eq!(error.to_string(), "a row of credits: its field weight_nano should be an integer of 64 bits");
    drop(table);
    assert_eq!((names(), std::fs::read(&written.file).unwrap()), (vec!["credits.parquet".to_owned()], before));
    // What a run that was killed has left is in nobody's way.
    std::fs::write(folder.path().join("credits.parquet.part"), "half").unwrap();
    let written = export(folder.path(), Which::Latest, &updates(), false);
    assert_eq!((names(), written.rows), (vec!["credits.parquet".to_owned()], 1));
}

/// What readers of files have built upon: fields are added, none changes its type.
#[test]
fn the_columns_are_those_of_schema_txt() {
    let folder = tempfile::tempdir().unwrap();
    let mut found = BTreeMap::new();
    for topic in Topic::public() {
        let written = Table::begin(folder.path(), topic, Which::Latest).unwrap().finish(&mut |_| {}).unwrap();
        let reader = SerializedFileReader::new(File::open(&written.file).unwrap()).unwrap();
        let mut text = Vec::new();
        print_schema(&mut text, reader.metadata().file_metadata().schema());
        found.insert(topic.name(), String::from_utf8(text).unwrap());
    }
    let text: String = found.iter().map(|(name, schema)| format!("{name}: {schema}\n")).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema.txt");
    if std::env::var_os("TRIBUTARY_WRITE_PAGES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(path).unwrap_or_default(), "TRIBUTARY_WRITE_PAGES=1 writes it anew");
}
