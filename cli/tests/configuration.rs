//! The committed configuration files: they load, and the reference is the whole truth.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "configuration/deployed.rs"]
mod deployed;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tributary_pipeline::settings::Settings;
use tributary_runtime::config::{Sources, keys, load};

fn deploy(name: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

fn deployed(name: &str) -> PathBuf {
    deploy("config").join(name)
}

fn settings(name: &str) -> Settings {
    load(&Sources { files: vec![deployed(name)], ..Sources::default() }).unwrap()
}

/// The dotted keys of a file; tables without entries count as keys.
fn keys_of(table: &toml::Table, path: &str, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(table) if !table.is_empty() => keys_of(table, &path, found),
            _ => drop(found.insert(path)),
        }
    }
}

#[test]
fn the_minimal_file_loads() {
    assert_eq!(settings("minimal.toml").kafka.brokers, "localhost:9092");
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    assert_eq!(settings("reference.toml"), Settings::default());
    let text = std::fs::read_to_string(deployed("reference.toml")).unwrap();
    let mut named = BTreeSet::new();
    keys_of(&text.parse().unwrap(), "", &mut named);
    assert_eq!(named, keys::<Settings>().into_iter().collect());
}

/// Kinds were declared twice each, in two sections that had to agree.
#[test]
fn keys_that_are_no_more_say_which_took_their_place() {
    let moved = [
        ("ingest.identifier_kinds", "kinds.identifiers"),
        ("identity.custom_kinds", "kinds.identifiers"),
        ("ingest.milestone_kinds", "kinds.milestones"),
        ("attribution.custom_kinds", "kinds.milestones"),
    ];
    for (key, now) in moved {
        let sources = Sources { flags: vec![format!("{key}=badge")], ..Sources::default() };
        let said = load::<Settings>(&sources).unwrap_err().to_string();
        assert!(said.contains(&format!("set `{now}`")), "{said}");
    }
}

#[test]
fn a_kind_is_declared_once_for_all_parts() {
    let flags = ["kinds.identifiers=badge", "kinds.milestones=poc_passed", "identity.limits.badge=1"].map(str::to_owned);
    let event = "ingest.milestone_events.Done=POC_Passed".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("milestones.toml");
    std::fs::write(&file, "[attribution.milestones.PoC_Passed]\nmodels = [\"linear\"]\n").unwrap();
    let sources = Sources { files: vec![file], flags: flags.into_iter().chain([event]).collect(), ..Sources::default() };
    let settings: Settings = load(&sources).unwrap();
    let pipeline = tributary_pipeline::stages::Pipeline::compile(&settings).unwrap();
    assert_eq!(pipeline.plan().models_of("poc_passed").count(), 1);
}

#[test]
fn a_kind_that_is_none_is_told_with_those_that_are() {
    let sources = Sources { flags: vec!["ingest.milestone_events.Won=closed".into()], ..Sources::default() };
    let said = load::<Settings>(&sources).unwrap_err().to_string();
    assert!(said.contains("closed_won, closed_lost"), "{said}");
}
