//! The golden journey: one buyer over four sources, with the profiles and the credit it must give; in any order, in any partitioning.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use support::{Raw, answer, golden, golden_folder, history};
use tributary_cli::raw_files::shuffle_records;
use tributary_runtime::topic::Topic;

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(golden_folder().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares a replay's text with the golden files: weights within 2 billionths, values within 1 minor unit, sums exact.
fn check_golden(text: &str) {
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (rows, profiles): (Vec<_>, Vec<_>) = found.into_iter().partition(|line| line.get("milestone_id").is_some());
    assert_eq!(profiles, lines("profiles.ndjson"));
    let wanted = lines("credit-table.ndjson");
    assert_eq!(rows.len(), wanted.len());
    let (mut weights, mut values) = (BTreeMap::new(), BTreeMap::new());
    for (row, wanted) in rows.iter().zip(&wanted) {
        for (name, expected) in wanted.as_object().unwrap() {
            let tolerance = match name.as_str() {
                "weight_nano" => 2,
                "value_minor" => 1,
                _ => 0,
            };
            let near =
                row[name].as_i64().zip(expected.as_i64()).is_some_and(|(found, wanted)| (found - wanted).abs() <= tolerance);
            assert!(row[name] == *expected || near, "{name}: {row} is not {wanted}");
        }
        let key = (row["milestone_id"].to_string(), row["model"].to_string());
        *weights.entry(key.clone()).or_insert(0) += row["weight_nano"].as_i64().unwrap();
        *values.entry(key).or_insert(0) += row["value_minor"].as_i64().unwrap();
    }
    assert!(weights.values().all(|sum| *sum == 1_000_000_000));
    for ((milestone, _), sum) in values {
        assert_eq!(sum, if milestone.contains("mql") { 0 } else { 30_000_000 });
    }
}

#[test]
fn the_four_files_give_the_golden_answer() {
    check_golden(&answer(&golden(), 1, usize::MAX));
}

#[test]
fn the_decoded_events_as_offline_records_give_the_same() {
    let text = fs::read_to_string(golden_folder().join("decoded.ndjson")).unwrap();
    let records: Vec<Raw> = text.lines().map(|line| (Topic::Offline, line.as_bytes().to_vec())).collect();
    check_golden(&answer(&records, 1, usize::MAX));
    assert_eq!(answer(&records, 1, usize::MAX), answer(&golden(), 1, usize::MAX));
}

/// The same answer, byte for byte, for every partitioning and 50 shuffles, in batches of every size.
fn check_orders(records: &[Raw]) {
    let expected = answer(records, 1, usize::MAX);
    for partitions in [1, 2, 3, 8] {
        assert!(answer(records, partitions, 100) == expected, "{partitions} partitions");
    }
    for seed in 0..50 {
        let mut shuffled = records.to_vec();
        shuffle_records(&mut shuffled, seed);
        let (partitions, batch) = ([1, 2, 3, 8][seed as usize % 4], [usize::MAX, 7, 300, 1][seed as usize / 4 % 4]);
        let found = answer(&shuffled, partitions, batch);
        assert!(
            found == expected,
            "shuffle {seed}, {partitions} partitions, batches of {batch}:\n{}",
            difference(&expected, &found)
        );
    }
}

fn difference(expected: &str, found: &str) -> String {
    let missing = expected.lines().filter(|line| !found.contains(line)).map(|line| format!("- {line}"));
    let extra = found.lines().filter(|line| !expected.contains(line)).map(|line| format!("+ {line}"));
    missing.chain(extra).take(20).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_golden_journey_does_not_depend_on_order_or_partitions() {
    check_orders(&golden());
}

#[test]
fn a_history_of_200_people_does_not_depend_on_order_or_partitions() {
    check_orders(&history(200, 11, false));
}

#[test]
fn a_messy_history_does_not_depend_on_order_or_partitions() {
    let records = history(60, 5, true);
    let expected = answer(&records, 1, usize::MAX);
    for seed in 0..12 {
        let mut shuffled = records.clone();
        shuffle_records(&mut shuffled, seed);
        let found = answer(&shuffled, 1 + seed as u32 % 5, 1 + seed as usize * 40);
        assert!(found == expected, "shuffle {seed}:\n{}", difference(&expected, &found));
    }
}
