use std::cell::RefCell;
use std::fmt::Write;
use std::fs;
use std::rc::Rc;
use tributary_proto::kind::Kinds;

use super::*;
use crate::resume::{CheckpointSink, NotedIn, Unfinished, Work};
use crate::sink::SinkError;

/// The stored records, with the checkpoint.
#[derive(Default)]
struct Stored {
    records: Vec<Vec<u8>>,
    checkpoint: Option<Vec<u8>>,
}

/// Stores committed records; fails at the given record.
struct Shelf {
    stored: Rc<RefCell<Stored>>,
    waiting: Vec<Vec<u8>>,
    breaks_at: Option<usize>,
}

impl CheckpointSink for Shelf {
    fn last(&mut self) -> Result<Option<Vec<u8>>, SinkError> {
        Ok(self.stored.borrow().checkpoint.clone())
    }

    fn send(&mut self, _: Topic, value: &[u8], _: i64) -> Result<(), SinkError> {
        if Some(self.stored.borrow().records.len() + self.waiting.len()) == self.breaks_at {
            return Err(SinkError::Embedded("the shelf breaks".into()));
        }
        self.waiting.push(value.to_vec());
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.waiting.len() >= 10_000
    }

    fn commit(&mut self, checkpoint: &[u8]) -> Result<(), SinkError> {
        let mut stored = self.stored.borrow_mut();
        stored.records.append(&mut self.waiting);
        stored.checkpoint = Some(checkpoint.to_vec());
        Ok(())
    }
}

fn import(file: &Path, how: &str, stored: &Rc<RefCell<Stored>>, breaks_at: Option<usize>) -> anyhow::Result<Report> {
    let decoder = Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default())?;
    let mut input = Input::open(file, &decoder, Declared::default(), 1 << 20)?;
    let work = Work::of(&[(Topic::Offline, file)], how, "shelf", ".imported").unwrap().unwrap();
    let shelf = Shelf { stored: Rc::clone(stored), waiting: Vec::new(), breaks_at };
    let mut sending = Sending::of(Box::new(shelf), Some(Unfinished::find_or_make(&work, &NotedIn::Beside)))?;
    let mut report = Report::default();
    sending.attempt(|sending| {
        report = Import::new(&decoder, input.count(), Some(sending)).run(&mut input)?;
        Ok(())
    })?;
    if let Some(unfinished) = sending.complete()? {
        unfinished.confirm();
    }
    Ok(report)
}

#[test]
fn an_interrupted_import_continues_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    let mut text = "timestamp,user_id\n".to_owned();
    for row in 0..50_000 {
        let time = if row == 7 { "never" } else { "2022-04-13" };
        writeln!(text, "{time},u{row}").unwrap();
    }
    fs::write(&file, &text).unwrap();
    let note = folder.path().join("list.csv.imported");

    let stored = Rc::default();
    assert!(import(&file, "", &stored, Some(45_000)).is_err());
    assert_eq!(stored.borrow().records.len(), 40_000, "the checkpoint is that of what was committed");
    assert!(note.exists());

    // With other options it is another piece of work, and replaces the unfinished one.
    let other = Rc::default();
    assert_eq!(import(&file, "GBK", &other, None).unwrap().resumed_after, 0);
    assert_eq!(other.borrow().records.len(), 49_999);
    assert!(!note.exists());

    let stored = Rc::default();
    assert!(import(&file, "", &stored, Some(45_000)).is_err());
    assert!(import(&file, "", &stored, Some(45_500)).is_err());
    let report = import(&file, "", &stored, None).unwrap();
    assert_eq!((report.rows, report.sent, report.refused, report.resumed_after), (50_000, 49_999, 1, 40_001));
    assert_eq!(stored.borrow().records, other.borrow().records, "each once, in order");
    assert!(!note.exists());

    // Finished and confirmed: the same command is a new run now.
    assert_eq!(import(&file, "", &stored, None).unwrap().resumed_after, 0);
    assert_eq!(stored.borrow().records.len(), 2 * 49_999);
}

#[test]
fn a_run_killed_before_its_report_sends_nothing_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    fs::write(&file, "timestamp,user_id\n2022-04-13,a\nnever,b\n").unwrap();
    let note = folder.path().join("list.csv.imported");
    let stored = Rc::default();
    let work = Work::of(&[(Topic::Offline, &file)], "", "shelf", ".imported").unwrap().unwrap();
    // As if the process was killed after its last commit: the file that marks it as unfinished is still there.
    drop(Unfinished::find_or_make(&work, &NotedIn::Beside));
    let kept = fs::read(&note).unwrap();
    import(&file, "", &stored, None).unwrap();
    fs::write(&note, kept).unwrap();
    let report = import(&file, "", &stored, None).unwrap();
    assert_eq!((report.rows, report.sent, report.refused, report.resumed_after), (2, 1, 1, 2));
    assert_eq!(stored.borrow().records.len(), 1);
    assert!(!note.exists());
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
    let decoder = Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default()).unwrap();
    let mut input = Input::open(&file, &decoder, Declared::default(), 1 << 20).unwrap();
    let report = Import::new(&decoder, None, None).run(&mut input).unwrap();
    assert_eq!((report.rows, report.refused, report.sent), (5, 3, 0));
    let at: Vec<(u64, &str)> =
        report.problems.iter().map(|found| (found.line, found.reason.split(':').next().unwrap())).collect();
    assert_eq!(at, [(2, "json_malformed"), (3, "utf8_invalid"), (4, "record_too_large")]);
    let shown = &report.shown[1];
    assert_eq!((shown.kind, shown.time.as_str(), shown.channel.as_str()), ("spend", "2022-04-13", "paid_search"));
    assert_eq!(shown.what, "1250 CNY (minor units) baidu / cpc / ");
}
