//! The same history teaches the same, wherever its paths are read: from raw files, the state of a service, or the topics it writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::command::{err, out};
use support::service::Service;

/// An invented history in a folder, and the arguments that name its files.
struct Invented {
    files: Vec<String>,
    config: String,
}

fn invented(folder: &Path, service: &Service) -> Invented {
    let path = |name: &str| folder.join("history").join(name).to_str().unwrap().to_owned();
    service.ok(&["generate", "--out", &path(""), "--people", "120", "--seed", "8"]);
    let files = ["sdk", "utm", "webhook", "offline"];
    let files = files.iter().flat_map(|name| [format!("--{name}"), path(&format!("{name}.ndjson"))]).collect();
    Invented { files, config: path("market.toml") }
}

/// What `fit` writes, by the names of the files.
fn fitted(service: &Service, out: &Path, arguments: &[&str]) -> BTreeMap<String, String> {
    let fixed = ["fit", "--resamples", "3", "--patience-days", "60", "--order", "2", "--out", out.to_str().unwrap()];
    service.ok(&[&fixed, arguments].concat());
    let files = fs::read_dir(out).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap())).collect()
}

/// A service that has worked through the history, and what raw files teach.
fn taught(folder: &Path, service: &mut Service) -> BTreeMap<String, String> {
    let Invented { files, config } = invented(folder, service);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    service.config = Some(config);
    service.ok(&[&["send"], &files[..]].concat());
    service.drain();
    let by_files = fitted(service, &folder.join("by files"), &files);
    assert_eq!(by_files.len(), 5, "{:?}", by_files.keys());
    by_files
}

#[test]
fn files_state_and_topics_of_the_embedded_log_give_the_same_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 3);
    let by_files = taught(folder.path(), &mut service);
    assert_eq!(fitted(&service, &folder.path().join("by state"), &[]), by_files);
    assert_eq!(fitted(&service, &folder.path().join("by topics"), &["--topics"]), by_files);

    // Whoever objects and whoever is erased is left out of both alike.
    let profiles = service.ok(&["tail", "profiles", "--from-beginning", "--until-end"]);
    let names = profiles.lines().filter_map(|line| {
        let profile: Value = serde_json::from_str(line).unwrap();
        let identifiers = profile["identifiers"].as_array().cloned().unwrap_or_default();
        let email = identifiers.into_iter().find(|identifier| identifier["kind"] == "email")?;
        Some(format!("email:{}", email["value"].as_str().unwrap()))
    });
    let erased: Vec<String> = names.take(12).collect();
    for name in &erased {
        service.ok(&["erase", name]);
    }
    service.drain();
    let by_state = fitted(&service, &folder.path().join("erased, by state"), &["--label", "channel-source"]);
    let by_topics = fitted(&service, &folder.path().join("erased, by topics"), &["--label", "channel-source", "--topics"]);
    assert_eq!(by_topics, by_state);
    assert!(by_state != by_files);

    let old = folder.path().join("by files").join(by_files.keys().find(|name| name.contains("spm")).unwrap());
    let compared = service.ok(&["fit", "--topics", "--models", "spm", "--compare", old.to_str().unwrap(), "--json"]);
    let compared: Value = serde_json::from_str(&compared).unwrap();
    assert!(compared[0]["compared"][0]["channel"].is_string(), "{compared}");
    let proposed = |more: &[&str]| service.ok(&[&["propose-window", "--json"], more].concat());
    assert_eq!(proposed(&["--topics"]), proposed(&[]));
}

/// The shipped configuration of all sixteen models, with these sets; Markov's by another order, where that is given.
fn sixteen(folder: &Path, sets: &str, markov: Option<&str>) -> String {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config/sixteen-models.toml");
    let mut configuration = fs::read_to_string(shipped).unwrap();
    let files = |sets: &str| fs::read_dir(folder.join(sets)).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    for file in files(markov.unwrap_or(sets)).into_iter().chain(files(sets)) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let model = name.trim_start_matches("closed_won-").rsplit_once('-').unwrap().0;
        let model = model.trim_end_matches(|last: char| last.is_ascii_digit());
        configuration = configuration.replace(&format!("\"sets/{model}.json\""), &format!("{:?}", file.display().to_string()));
    }
    assert!(!configuration.contains("\"sets/"), "{configuration}");
    let file = folder.join(format!("sixteen of {}.toml", markov.unwrap_or(sets)));
    fs::write(&file, configuration).unwrap();
    file.to_str().unwrap().to_owned()
}

/// The latest row of each touch under a model.
fn rows_of(service: &Service, model: &str) -> BTreeMap<(String, String), Value> {
    let credits = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    let rows = credits.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|row| row["model"] == model);
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let mut latest: BTreeMap<_, Value> = rows.map(|row| ((text(&row, "milestone_id"), text(&row, "touch_id")), row)).collect();
    latest.retain(|_, row| row["weight_nano"].as_i64() > Some(0));
    latest
}

#[test]
fn a_pinned_set_remodels_everything_with_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 2);
    taught(folder.path(), &mut service);
    let market = service.config.clone().unwrap();
    fitted(&service, &folder.path().join("other"), &["--models", "markov", "--topics", "--label", "campaign"]);
    let mut versions = Vec::new();
    for markov in [None, Some("other")] {
        service.config = Some(format!("{market},{}", sixteen(folder.path(), "by files", markov)));
        service.drain();
        let rows = rows_of(&service, "markov");
        assert!(rows.len() > 20 && rows.values().all(|row| row["reason"] == "remodelled"), "{rows:?}");
        let told: BTreeSet<String> = rows.values().map(|row| row["model_version"].as_str().unwrap().to_owned()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        versions.extend(told);
    }
    assert_ne!(versions[0], versions[1], "the digest of the set is part of the version");

    for (model, reason) in [
        ("markov", "removal effect of"),
        ("shapley", "in equal parts"),
        ("shapley_rate", "in the game of conversion rates"),
        ("spm", "conversion rate with"),
        ("blr", "with a deviation of"),
        ("apriori", "rules: "),
    ] {
        let rows = rows_of(&service, model);
        let deals: BTreeSet<&String> = rows.keys().map(|(milestone, _)| milestone).collect();
        let says = |deal: &&String| service.ok(&["explain", deal.as_str(), "--model", model]).contains(reason);
        assert!(deals.into_iter().take(20).any(|deal| says(&deal)), "no deal is explained by {reason:?}");
    }
}

#[test]
fn topics_that_are_not_written_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let refused = |sets: &[&str], why: &str| {
        let found = service.command(&[&["fit", "--topics"], sets].concat());
        assert_eq!(found.status.code(), Some(2), "{}{}", out(&found), err(&found));
        assert!(err(&found).contains(why), "{}", err(&found));
    };
    refused(&["--set", "outputs.touchpoints=false"], "outputs.touchpoints = false, so nothing is written to");
    refused(&["--set", "outputs.milestones=false"], "outputs.milestones = false");
    refused(&["--target", "won"], "is no kind of milestone");
    refused(&["--offline", "a.ndjson"], "cannot be used with");
}

#[test]
fn topics_on_kafka_give_the_same_parameters_as_files() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 4);
    service.sets.extend([format!("kafka.brokers={brokers}"), "worker.formats.touchpoints=json".into()]);
    service.ok(&["topics", "create"]);
    let by_files = taught(folder.path(), &mut service);
    assert_eq!(fitted(&service, &folder.path().join("by topics"), &["--topics"]), by_files);
    assert_eq!(fitted(&service, &folder.path().join("by state"), &[]), by_files);

    // From a machine that has no state.
    service.sets.push(format!("state.path={}", folder.path().join("elsewhere").display()));
    assert_eq!(fitted(&service, &folder.path().join("by topics, elsewhere"), &["--topics"]), by_files);
    let found = service.command(&["fit", "--topics", "--set", "topics.prefix=nothing"]);
    assert_eq!(found.status.code(), Some(1));
    assert!(err(&found).contains("there is no topic nothing.milestones"), "{}", err(&found));
}
