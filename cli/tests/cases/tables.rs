//! Exports, titles above the header, sheets, encodings and ends of lines.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tributary_cli::import::{Import, Input, Report};
use tributary_cli::rows::{Declared, Rows};
use tributary_ingest::{Decoded, Decoder};
use tributary_pipeline::settings::Settings;
use tributary_proto::{Event, Source};

use crate::answer::{decoder, file};
use crate::support::RECEIVED_MS;
use crate::support::command::{out, tributary};

/// What a dry run of `import` reports.
fn report(name: &str, decoder: &Decoder) -> Report {
    let mut input = Input::open(&file(name), decoder, Declared::default(), 1 << 20).unwrap();
    Import::new(decoder, input.count(), None).run(&mut input).unwrap()
}

/// The lines that are refused, each with its column and why.
pub fn refused(name: &str) -> Vec<(u64, String, String)> {
    let report = report(name, &decoder());
    assert_eq!(report.refused, report.problems.len() as u64);
    report.problems.into_iter().map(|problem| (problem.line, problem.column, problem.reason)).collect()
}

/// The events of the rows that are taken, by line.
pub fn taken(name: &str) -> BTreeMap<u64, Event> {
    taken_by(name, &decoder())
}

fn taken_by(name: &str, decoder: &Decoder) -> BTreeMap<u64, Event> {
    let rows = Rows::open(&file(name), decoder).unwrap();
    let (mut taken, mut decoded) = (BTreeMap::new(), Decoded::default());
    rows.each(&mut |row| {
        let Ok((line, record)) = row else { return Ok(()) };
        decoded.clear();
        if decoder.decode(Source::Offline, record.as_bytes(), Some(RECEIVED_MS), &mut decoded).is_ok() {
            assert_eq!((decoded.events.len(), decoded.rejections.len()), (1, 0), "{name}:{line}");
            taken.insert(line, decoded.events.remove(0));
        }
        Ok(())
    })
    .unwrap();
    let report = report(name, decoder);
    assert_eq!((report.rows, report.kinds.values().sum()), (report.refused + taken.len() as u64, taken.len() as u64), "{name}");
    taken
}

/// The content of an event, and its id.
fn says(event: &Event) -> Value {
    let mut said = tributary_ingest::as_native(event);
    said.as_object_mut().unwrap().remove("event_id");
    said
}

/// The file, what is reported about it, and the rows that are accepted.
type Case = (&'static str, &'static [&'static str], &'static [&'static str], Vec<(u64, Value)>);

fn cases() -> Vec<Case> {
    let won = json!({"kind": "milestone", "milestone": "closed_won", "object_id": "Cj0w", "timestamp": "2026-03-01T06:00:00Z",
        "value": "100", "currency": "USD"});
    let guest = |more: Value| {
        let mut guest = json!({"kind": "touch", "channel": "offline_event", "source": "fair", "medium": "booth",
            "phone": "+8613800001111", "timestamp": "2026-03-01T06:00:00Z"});
        guest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        guest
    };
    let consent = &["Ad User Data", "Ad Personalization"];
    let named = |name: &str| guest(json!({"campaign": "c", "traits": {"name": name}}));
    let in_taiwan = guest(json!({"campaign": "c", "source": "展會", "traits": {"name": "陳先生"}}));
    // An offset is a time zone; a click that has only a WBRAID has that as its id.
    vec![
        ("13_exports/google_ads_offset.csv", &["read as UTF-8"], consent, vec![(3, won.clone())]),
        ("13_exports/google_ads_wbraid.csv", &["read as UTF-8"], &[], vec![(3, won)]),
        ("14_tables/big5.csv", &["read as Big5"], &[], vec![(2, in_taiwan)]),
        ("14_tables/title_row.csv", &["read as UTF-8", "the header is on line 2"], &[], vec![(3, named("Li"))]),
        ("14_tables/title_row.xlsx", &["the sheet is Sheet", "the header is on line 2"], &[], vec![(3, named("李"))]),
        (
            "14_tables/second_sheet.xlsx",
            &["the sheet is 数据", "not read: the sheets 说明 (--sheet NAME reads one)"],
            &[],
            vec![(2, guest(json!({})))],
        ),
    ]
}

#[test]
fn tables_are_read_as_they_are_and_the_findings_reported() {
    let decoder = decoder();
    for (name, found, unknown, rows) in cases() {
        let report = report(name, &decoder);
        assert_eq!((report.found, report.unknown_columns), (owned(found), owned(unknown)), "{name}");
        assert_eq!((report.refused, report.fields_ignored), (0, 0), "{name}: {:?}", report.problems);
        let taken: Vec<_> = taken(name).iter().map(|(line, event)| (*line, says(event))).collect();
        assert_eq!(taken, rows, "{name}");
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A purchase is a milestone only if it is configured; it is no visit in either case.
#[test]
fn a_purchase_is_the_configured_milestone() {
    let name = "13_exports/ga4_purchase.csv";
    let buyer = json!({"kind": "identify", "timestamp": "2026-03-01T14:00:00Z", "user_id": "u1", "anonymous_id": "123.456"});
    let mut bought = buyer.clone();
    for (field, value) in
        [("kind", "milestone"), ("milestone", "closed_won"), ("object_id", "T1"), ("value", "100"), ("currency", "CNY")]
    {
        bought[field] = value.into();
    }
    let viewed = json!({"kind": "touch", "channel": "paid_social", "source": "x", "medium": "cpc", "touch_type": "page_view",
        "timestamp": "2026-03-01T14:00:00Z", "anonymous_id": "123.457"});
    let mut settings = Settings::default();
    for purchase in [buyer, bought] {
        let decoder = Decoder::new(&settings.ingest, &settings.kinds.kinds()).unwrap();
        let taken: Vec<_> = taken_by(name, &decoder).iter().map(|(line, event)| (*line, says(event))).collect();
        assert_eq!(taken, [(2, purchase), (3, viewed.clone())]);
        settings.ingest.milestone_events.insert("purchase".into(), "closed_won".into());
    }
    let refused = refused(name);
    assert_eq!((refused.len(), refused[0].0, refused[0].1.as_str()), (1, 4, "timestamp_micros"));
    assert!(refused[0].2.starts_with("timestamp_missing"), "{refused:?}");
}

/// By the library, and by the command.
#[test]
fn a_line_has_one_number_however_lines_end() {
    for name in ["15_line_numbers/lf.csv", "15_line_numbers/crlf.csv"] {
        let refused = refused(name);
        assert_eq!((refused.len(), refused[0].0, refused[0].1.as_str()), (1, 3, "timestamp"), "{name}");
        assert_eq!(taken(name).into_keys().collect::<Vec<_>>(), [2], "{name}");
        let dry = tributary(&["import", "--dry-run", "--json", file(name).to_str().unwrap()]);
        assert_eq!(dry.status.code(), Some(1), "{name}");
        let report: Value = serde_json::from_str(&out(&dry)).unwrap();
        assert_eq!((&report["rows"], &report["problems"][0]["line"]), (&2.into(), &3.into()), "{name}");
    }
}
