use std::fmt::Write;
use std::fs;

use super::*;
use crate::sink::SinkError;

/// Stores what is flushed; breaks down at the given record.
#[derive(Default)]
struct Shelf {
    waiting: Vec<Vec<u8>>,
    stored: Vec<Vec<u8>>,
    breaks_at: Option<usize>,
}

impl RawSink for Shelf {
    fn send(&mut self, _: Topic, _: &[u8], value: &[u8], _: i64) -> Result<(), SinkError> {
        if Some(self.stored.len() + self.waiting.len()) == self.breaks_at {
            return Err(SinkError::Embedded("the shelf breaks".into()));
        }
        self.waiting.push(value.to_vec());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.stored.append(&mut self.waiting);
        Ok(())
    }
}

fn import(file: &Path, how: &str, shelf: &mut Shelf) -> anyhow::Result<Report> {
    let decoder = Decoder::new(&tributary_ingest::Settings::default())?;
    let mut input = Input::open(file, &decoder, Declared::default(), 1 << 20)?;
    Import::sending(&decoder, input.count(), shelf, (file, how, "shelf"))?.run(&mut input)
}

#[test]
fn an_interrupted_import_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    let mut text = "timestamp,user_id\n".to_owned();
    for row in 0..50_000 {
        let time = if row == 7 { "never" } else { "2022-04-13" };
        writeln!(text, "{time},u{row}").unwrap();
    }
    fs::write(&file, &text).unwrap();
    let mark = folder.path().join("list.csv.imported");

    let mut shelf = Shelf { breaks_at: Some(45_000), ..Shelf::default() };
    assert!(import(&file, "", &mut shelf).is_err());
    assert_eq!(shelf.stored.len(), 39_999, "what was flushed is marked");
    assert!(mark.exists());

    // Read in another way, or changed, it is another file.
    let mut other = Shelf::default();
    assert_eq!(import(&file, "GBK", &mut other).unwrap().resumed_after, 0);
    assert!(!mark.exists());
    let mut shelf = Shelf { breaks_at: Some(45_000), ..Shelf::default() };
    assert!(import(&file, "", &mut shelf).is_err());

    let mut rest = Shelf { stored: std::mem::take(&mut shelf.stored), ..Shelf::default() };
    let report = import(&file, "", &mut rest).unwrap();
    assert_eq!((report.rows, report.sent, report.refused, report.resumed_after), (50_000, 49_999, 1, 40_000));
    assert_eq!(rest.stored, other.stored, "each once, in order");
    assert!(!mark.exists());
}

#[test]
fn lines_are_checked_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.ndjson");
    let spend = r#"{"kind":"spend","day":"2022-04-13","source":"baidu","medium":"cpc","value":"12.50"}"#;
    let text =
        [br#"{"timestamp":"2022-04-13","user_id":"u"}"#.as_slice(), b"{", b"\xff", &vec![b'x'; 2 << 20], spend.as_bytes()]
            .join(&b'\n');
    fs::write(&file, text).unwrap();
    let decoder = Decoder::new(&tributary_ingest::Settings::default()).unwrap();
    let mut input = Input::open(&file, &decoder, Declared::default(), 1 << 20).unwrap();
    let report = Import::dry(&decoder, None).run(&mut input).unwrap();
    assert_eq!((report.rows, report.refused, report.sent), (5, 3, 0));
    let at: Vec<(u64, &str)> =
        report.problems.iter().map(|found| (found.line, found.reason.split(':').next().unwrap())).collect();
    assert_eq!(at, [(2, "json_malformed"), (3, "utf8_invalid"), (4, "record_too_large")]);
    let shown = &report.shown[1];
    assert_eq!((shown.kind, shown.time.as_str(), shown.channel.as_str()), ("spend", "2022-04-13", "paid_search"));
    assert_eq!(shown.what, "1250 CNY (minor units) baidu / cpc / ");
}
