//! Tables as other programs and people write them: cost exports of advertising networks, titles above the header, sheets, encodings.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use tributary_cli::import::{Import, Input, Report};
use tributary_cli::rows::{Declared, Format, Rows};
use tributary_ingest::{Decoded, Decoder, Settings};
use tributary_proto::kind::Kinds;
use tributary_proto::{Source, Spend};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(format!("{name}.csv"))
}

fn decoder() -> Decoder {
    Decoder::new(&Settings::default(), &Kinds::default()).unwrap()
}

fn spends(file: &Path, name: &str) -> Vec<Spend> {
    let decoder = decoder();
    let declared = Declared { format: Some(Format::find(name).unwrap()), ..Declared::default() };
    let rows = Rows::open_as(file, &decoder, declared).unwrap();
    let mut decoded = Decoded::default();
    let mut count = 0;
    rows.each(&mut |row| {
        let (line, record) = row.unwrap_or_else(|problem| panic!("{problem:?}"));
        count += 1;
        let read = decoder.decode(Source::Offline, record.as_bytes(), None, &mut decoded);
        read.unwrap_or_else(|why| panic!("{name}:{line}: {why}"));
        Ok(())
    })
    .unwrap();
    assert_eq!(count, rows.count(), "{name}");
    assert!(decoded.ignored.is_empty() && decoded.events.is_empty());
    decoded.spends
}

#[test]
fn cost_exports_are_read_and_their_sums_left_out() {
    let networks = [
        ("google_ads", "paid_search", "USD", vec!["Brand", "Generic"]),
        ("meta_ads", "paid_social", "USD", vec!["Lookalike"]),
        ("linkedin_ads", "paid_social", "USD", vec!["CIO whitepaper"]),
        ("baidu_ads", "paid_search", "CNY", vec!["品牌词", "通用词"]),
        ("tencent_ads", "paid_social", "CNY", vec!["朋友圈-白皮书"]),
        ("ocean_engine", "paid_social", "CNY", vec!["试用线索"]),
    ];
    assert_eq!(networks.len(), Format::all().count());
    for (name, channel, currency, campaigns) in networks {
        let spends = spends(&sample(name), name);
        // Each sample costs 1,500 in all.
        assert_eq!(spends.iter().map(|spend| spend.value_minor).sum::<i64>(), 150_000, "{name}: {spends:#?}");
        for spend in &spends {
            assert!(["2026-03-01", "2026-03-02"].contains(&spend.day.as_str()), "{spend:?}");
            assert_eq!((spend.channel.as_str(), spend.currency.as_str()), (channel, currency), "{name}");
            assert!(campaigns.contains(&spend.campaign.as_str()), "{spend:?}");
        }
        let mut ids: Vec<&str> = spends.iter().map(|spend| spend.spend_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), spends.len(), "{name}: rows of one day are told apart");
    }
}

/// A day that is exported again, with a corrected cost, replaces the former rows.
#[test]
fn a_corrected_cost_has_the_id_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("again.csv");
    let text = fs::read_to_string(sample("tencent_ads")).unwrap();
    fs::write(&file, text.replace("300.00", "310.00")).unwrap();
    let (first, again) = (spends(&sample("tencent_ads"), "tencent_ads"), spends(&file, "tencent_ads"));
    assert_eq!((first[1].value_minor, again[1].value_minor), (30_000, 31_000));
    assert_eq!(first[1].spend_id, again[1].spend_id);
}

/// Refunds are subtracted from the cost, total rows are counted, and rows that cannot be distinguished are reported.
#[test]
fn refunds_totals_and_rows_of_one_id_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credits.csv");
    let text = "Invalid Activity Credit Report\nDay,Campaign,Network,Currency code,Cost,Credited amount\n\
        2026-03-01,Brand,Google search,USD,\"1,000.00\",25.50\n\
        2026-03-01,Brand,Search partners,USD,10.00, --\n\
        2026-03-01,--,,USD,-3.00,0\n\
        2026-03-01,Brand,Search partners,USD,11.00,0\n\
        Total: Account, --,,USD,\"1,018.00\",25.50\n";
    fs::write(&file, text).unwrap();
    let spends = spends(&file, "google_ads");
    let minor: Vec<i64> = spends.iter().map(|spend| spend.value_minor).collect();
    assert_eq!(minor, [97_450, 1_000, -300, 1_100]);
    assert_eq!((spends[1].spend_id == spends[3].spend_id, spends[2].campaign.as_str()), (true, ""));
    let declared = Declared { format: Some(Format::find("google_ads").unwrap()), ..Declared::default() };
    let rows = Rows::open_as(&file, &decoder(), declared).unwrap();
    assert!(rows.told().iter().any(|told| told.starts_with("1 rows of sums")), "{:?}", rows.told());
    assert!(rows.told().iter().any(|told| told.starts_with("1 rows have the same day")), "{:?}", rows.told());
}

#[test]
fn another_table_is_no_export() {
    let declared = Declared { format: Some(Format::find("baidu_ads").unwrap()), ..Declared::default() };
    let error = Rows::open_as(&sample("google_ads"), &decoder(), declared).err().unwrap().to_string();
    assert!(error.contains("baidu_ads") && error.contains("消费"), "{error}");
}

fn import(name: &str, bytes: &[u8]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, bytes).unwrap();
    let decoder = decoder();
    let mut input = Input::open(&file, &decoder, Declared::default(), 1 << 20).unwrap();
    Import::new(&decoder, input.count(), None).run(&mut input).unwrap()
}

#[test]
fn title_rows_encodings_and_unreadable_parts_are_reported() {
    let rows = "timestamp,phone,source,medium\n2026-03-01 14:00,13800001111,fair,booth\n";
    for (text, line) in [
        (rows.to_owned(), None),
        (format!("2026春季展会签到表,,,\n{rows}"), Some("the header is on line 2")),
        (format!("Guests\n\n,,\n{rows}"), Some("the header is on line 4")),
    ] {
        let report = import("list.csv", text.as_bytes());
        assert_eq!((report.rows, report.refused), (1, 0), "{text}");
        assert_eq!(report.found.first().map(String::as_str), Some("read as UTF-8"));
        assert_eq!(report.found.get(1).map(String::as_str), line);
    }
    let named = "timestamp,phone,source,traits.name\n2026-03-01,13800001111,臺北資訊展覽會,陳先生\n";
    let big5 = encoding_rs::BIG5.encode(named).0.into_owned();
    assert_eq!(import("list.csv", &big5).found, ["read as Big5"]);

    let masked = "timestamp,phone,email\n2026-03-01,138****1111,li@b.example\n2026-03-01,138****1111,\n";
    let report = import("list.csv", masked.as_bytes());
    assert_eq!((report.rows, report.refused, report.fields_ignored), (2, 1, 1));
    assert_eq!((report.ignored[0].line, report.ignored[0].column.as_str()), (2, "phone"));
    assert_eq!((report.problems[0].line, report.problems[0].column.as_str()), (3, "phone"));
    for end in ["\n", "\r\n"] {
        let report = import("list.csv", ["timestamp,user_id,source", "2026-03-01,u1,x", "bad,u2,x", ""].join(end).as_bytes());
        assert_eq!(report.problems[0].line, 3, "{end:?}");
    }
}

/// People write the same thing in many ways; what they mean is one.
#[test]
fn cells_as_people_write_them() {
    let decoder = decoder();
    let names = |phone: &str| {
        let record = serde_json::json!({"timestamp": "2026年3月1日 下午2:05", "phone": phone, "user_id": "u"}).to_string();
        let mut decoded = Decoded::default();
        decoder.decode(Source::Offline, record.as_bytes(), None, &mut decoded).unwrap();
        assert_eq!(decoded.events[0].time_ms, 1_772_345_100_000);
        decoded.events[0].identifiers.iter().filter(|id| id.kind == "phone").count()
    };
    for (phone, count) in [("13800001111/13900002222", 2), ("手机：13800001111（李）", 1), ("010-88886666转8001", 0), ("无", 0)]
    {
        assert_eq!(names(phone), count, "{phone}");
    }
}
