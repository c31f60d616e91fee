//! The committed configuration files: they load, and the reference is the whole truth.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tributary_pipeline::settings::Settings;
use tributary_runtime::config::{Sources, keys, load};

fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config").join(name)
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
