//! What whoever sums the deltas of `credits.ndjson` finds, by any column, beside the latest rows of `credit-table.ndjson`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::{RECEIVED_MS, Raw, history, settings};
use tributary_cli::raw_files::shuffle_records;
use tributary_pipeline::replay::Replay;
use tributary_runtime::log::BatchLimits;
use tributary_runtime::topic::Topic;

/// Two people of an account, a touch each, and a deal won in March.
const BASE: [&str; 3] = [
    r#"{"event_id": "t1", "timestamp": "2024-03-01T10:00:00+08:00", "email": "a@qq.com", "account": "001", "channel": "email", "campaign": "spring"}"#,
    r#"{"event_id": "t2", "timestamp": "2024-03-02T10:00:00+08:00", "anonymous_id": "c1", "account": "001", "channel": "paid_search", "campaign": "brand"}"#,
    r#"{"event_id": "m1", "timestamp": "2024-03-20T10:00:00+08:00", "kind": "milestone", "milestone": "closed_won", "object_id": "D", "value": "1000.00", "currency": "CNY", "account": "001"}"#,
];
const LINK: &str =
    r#"{"event_id": "l", "timestamp": "2024-03-21T10:00:00+08:00", "kind": "link", "email": "a@qq.com", "anonymous_id": "c1"}"#;
const UNLINK: &str = r#"{"event_id": "u", "timestamp": "2024-03-22T10:00:00+08:00", "kind": "unlink", "email": "a@qq.com", "anonymous_id": "c1"}"#;

/// A later version of the deal, with these fields.
fn amended(fields: &str) -> String {
    format!(
        r#"{{"event_id": "m2", "timestamp": "2024-04-02T10:00:00+08:00", "kind": "milestone", "milestone": "closed_won", "object_id": "D", "amends": true, {fields}}}"#
    )
}

/// The lines of `credits.ndjson` and of `credit-table.ndjson`.
struct Files {
    credits: Vec<Value>,
    table: Vec<Value>,
}

fn replayed(records: &[Raw], batch: usize) -> Files {
    let limits = BatchLimits { records_max: batch, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let mut replay = Replay::with_limits(&settings(), 2, limits).unwrap_or_else(|problems| panic!("{problems:?}"));
    let credits = Arc::new(Mutex::new(Vec::new()));
    let lines = credits.clone();
    replay.on_update(move |update| lines.lock().unwrap().push(serde_json::to_value(update).unwrap()));
    for (at, (topic, record)) in records.iter().enumerate() {
        replay.append(*topic, RECEIVED_MS, record);
        if (at + 1) % batch == 0 {
            replay.run().unwrap();
        }
    }
    let results = replay.finish().unwrap();
    assert_eq!(results.table().imbalances(), []);
    let folder = tempfile::tempdir().unwrap();
    results.write(folder.path()).unwrap();
    let table = fs::read_to_string(folder.path().join("credit-table.ndjson")).unwrap();
    let table = table.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let credits = std::mem::take(&mut *credits.lock().unwrap());
    Files { credits, table }
}

/// The records one after the other, each processed to its end before the next one comes.
fn one_by_one(records: &[&str]) -> Files {
    let raw: Vec<Raw> = records.iter().map(|record| (Topic::Offline, record.as_bytes().to_vec())).collect();
    replayed(&raw, 1)
}

fn month(row: &Value) -> String {
    let time = jiff::Timestamp::from_millisecond(row["milestone_time"].as_i64().unwrap()).unwrap();
    time.to_string()[..7].to_owned()
}

fn column(row: &Value, name: &str) -> String {
    if name == "month" { month(row) } else { row[name].to_string().trim_matches('"').to_owned() }
}

/// Weights and values by model and a column; those of nothing are left out.
fn sums<'a>(
    rows: impl IntoIterator<Item = &'a Value>,
    by: &str,
    [weight, value]: [&str; 2],
) -> BTreeMap<(String, String), (i64, i64)> {
    let mut sums: BTreeMap<_, (i64, i64)> = BTreeMap::new();
    for row in rows {
        let sum = sums.entry((column(row, "model"), column(row, by))).or_default();
        *sum = (sum.0 + row[weight].as_i64().unwrap(), sum.1 + row[value].as_i64().unwrap());
    }
    sums.retain(|_, sum| *sum != (0, 0));
    sums
}

/// By every column the deltas are the latest rows, and these are the table.
fn check(files: &Files) {
    let mut latest: BTreeMap<[String; 3], &Value> = BTreeMap::new();
    for update in &files.credits {
        let key = ["milestone_id", "model", "touch_id"].map(|name| column(update, name));
        let known = latest.entry(key).or_insert(update);
        if known["revision"].as_u64() <= update["revision"].as_u64() {
            *known = update;
        }
    }
    latest.retain(|_, row| row["weight_nano"] != 0);
    assert_eq!(latest.len(), files.table.len());
    for (row, expected) in latest.values().zip(&files.table) {
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(row[name], *value, "{name} of {row}");
        }
    }
    let columns = [
        "milestone_id",
        "milestone_kind",
        "month",
        "milestone_time",
        "currency",
        "account_id",
        "profile_id",
        "touch_id",
        "touch_time",
        "channel",
        "source",
        "medium",
        "campaign",
        "content",
        "term",
    ];
    for by in columns {
        let deltas = sums(&files.credits, by, ["delta_weight_nano", "delta_value_minor"]);
        assert_eq!(deltas, sums(latest.values().copied(), by, ["weight_nano", "value_minor"]), "by {by}");
    }
}

/// Sums of the value's deltas under `linear`, by a column.
fn linear(files: &Files, by: &str) -> BTreeMap<String, i64> {
    let all = sums(&files.credits, by, ["delta_weight_nano", "delta_value_minor"]);
    all.into_iter().filter(|((model, _), _)| model == "linear").map(|((_, of), (_, value))| (of, value)).collect()
}

fn sum_of<const N: usize>(pairs: [(&str, i64); N]) -> BTreeMap<String, i64> {
    pairs.into_iter().map(|(of, value)| (of.to_owned(), value)).collect()
}

#[test]
fn a_deal_that_moves_from_march_to_april_leaves_nothing_in_march() {
    let before = one_by_one(&BASE);
    check(&before);
    assert_eq!(linear(&before, "month"), sum_of([("2024-03", 100_000)]));

    let april = amended(r#""occurred_at": "2024-04-10T10:00:00+08:00""#);
    let after = one_by_one(&[&BASE[..], &[april.as_str()]].concat());
    check(&after);
    assert_eq!(linear(&after, "month"), sum_of([("2024-04", 100_000)]));
    assert_eq!(linear(&after, "campaign"), sum_of([("brand", 50_000), ("spring", 50_000)]));
    let of_first: Vec<_> = after.credits.iter().filter(|row| row["model"] == "linear" && row["touch_id"] == "t1").collect();
    let said = |name: &str| of_first.iter().map(|row| row[name].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(said("delta_value_minor"), [50_000, -50_000, 50_000]);
    assert_eq!(said("weight_nano"), [500_000_000, 0, 500_000_000]);
    let months: Vec<_> = of_first.iter().map(|row| month(row)).collect();
    assert_eq!(months, ["2024-03", "2024-03", "2024-04"]);
    let revisions = said("revision");
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
}

#[test]
fn another_currency_takes_the_value_out_of_the_first() {
    let dollars = amended(r#""value": "140.00", "currency": "USD""#);
    let files = one_by_one(&[&BASE[..], &[dollars.as_str()]].concat());
    check(&files);
    assert_eq!(linear(&files, "currency"), sum_of([("USD", 14_000)]));
}

#[test]
fn another_account_takes_the_deal_away_from_the_first() {
    let other = amended(r#""account": "002""#);
    let files = one_by_one(&[&BASE[..], &[other.as_str()]].concat());
    check(&files);
    assert_eq!(linear(&files, "account_id"), sum_of([("002", 100_000)]));
    assert_eq!(linear(&files, "touch_id"), sum_of([("unattributed", 100_000)]));
}

#[test]
fn people_who_are_merged_and_split_take_their_credit_along() {
    let (apart, merged) = (one_by_one(&BASE), one_by_one(&[&BASE[..], &[LINK]].concat()));
    let split = one_by_one(&[&BASE[..], &[LINK, UNLINK]].concat());
    for files in [&apart, &merged, &split] {
        check(files);
    }
    let two = linear(&apart, "profile_id");
    assert_eq!(two.values().collect::<Vec<_>>(), [&50_000, &50_000]);
    let one = linear(&merged, "profile_id");
    assert!(one.len() == 1 && one.iter().all(|(id, value)| *value == 100_000 && two.contains_key(id)), "{one:?}");
    assert_eq!(linear(&split, "profile_id"), two);
}

#[test]
fn a_second_version_of_a_touch_takes_its_campaign_along() {
    // Which of two versions counts is decided by their content: in one of the two orders the campaign changes.
    let second = BASE[1].replace("brand", "other").replace("paid_search", "events");
    let orders = [one_by_one(&[BASE[0], BASE[1], BASE[2], &second]), one_by_one(&[BASE[0], &second, BASE[2], BASE[1]])];
    orders.iter().for_each(check);
    let [first, last] = orders.each_ref().map(|files| linear(files, "campaign"));
    assert_eq!(first, last);
    assert_eq!(first.values().sum::<i64>(), 100_000);
    let taken_back = |files: &Files| files.credits.iter().any(|row| row["model"] == "linear" && row["weight_nano"] == 0);
    assert_eq!(orders.iter().filter(|files| taken_back(files)).count(), 1);
}

#[test]
fn a_deal_that_is_withdrawn_leaves_nothing_anywhere() {
    let gone = amended(r#""withdrawn": true, "currency": "USD", "occurred_at": "2024-04-10T10:00:00+08:00""#);
    let files = one_by_one(&[&BASE[..], &[gone.as_str()]].concat());
    check(&files);
    assert_eq!(files.table, Vec::<Value>::new());
    assert_eq!(linear(&files, "month"), sum_of([]));
}

#[test]
fn of_an_invented_history_in_any_order_the_sums_are_the_table() {
    for seed in [3, 7] {
        let mut records = history(60, seed, true);
        shuffle_records(&mut records, seed);
        for batch in [40, 1_000] {
            check(&replayed(&records, batch));
        }
    }
}
