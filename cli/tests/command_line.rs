//! The binary as its users see it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::fs;

use support::command::{err, out, tributary};

/// The commands that `--help` lists.
fn commands() -> Vec<String> {
    let help = out(&tributary(&["--help"]));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names =
        listed.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   ")));
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_has_help_with_an_example() {
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let help = tributary(&[&command, "--help"]);
        assert!(help.status.success(), "{command}");
        assert!(out(&help).contains("Example") && out(&help).contains(&format!("tributary {command}")), "{command}");
    }
}

#[test]
fn configuration_errors_exit_with_2_and_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    fs::write(&file, "[topics]\npartition = 3\n\n[http]\nlisten = \"here\"\n").unwrap();
    let found = tributary(&["check", "--config", file.to_str().unwrap(), "--set", "worker.batch_ms=0"]);
    assert_eq!(found.status.code(), Some(2));
    let text = err(&found);
    assert!(text.contains("t.toml:2: topics.partition: unknown key; did you mean `topics.partitions`?"), "{text}");
    assert!(text.contains("t.toml:5: http.listen: "), "{text}");
    assert!(text.contains("--set worker.batch_ms: worker.batch_ms: expected 1 to 60000 milliseconds"), "{text}");
}

#[test]
fn a_visit_is_classified_with_its_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    fs::write(&file, "[[rule]]\nchannel = 'ours'\nsource = ['partner']\n").unwrap();
    let set = format!("ingest.channels_file={}", file.display());
    let url = "https://a.example/?utm_source=partner&gclid=1";
    let found = tributary(&["classify", url, "https://www.google.com/", "--json", "--set", &set]);
    let found: serde_json::Value = serde_json::from_str(&out(&found)).unwrap();
    assert_eq!((&found["channel"], &found["source"], &found["medium"]), (&"ours".into(), &"partner".into(), &"cpc".into()));
    assert_eq!(found["rule"], format!("{}:1", file.display()));
    assert_eq!(found["parameters"][1]["tells"], "click id of google");
    let text = out(&tributary(&["classify", url]));
    assert!(text.contains("channel   paid_other") && text.contains("medium = @paid"), "{text}");

    fs::write(&file, "\n[[rule]]\nchannel = 'ours'\nsource_site = ['nowhere']\n").unwrap();
    let wrong = tributary(&["check", "--set", &set]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(err(&wrong).contains("rules.toml:2: source_site: no site is of category `nowhere`"), "{}", err(&wrong));
}

#[test]
fn usage_errors_exit_with_2() {
    for args in [&["no-such-command"][..], &["send"], &["tail", "credit"], &["topics", "plan"], &["generate"]] {
        assert_eq!(tributary(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn without_brokers_check_is_about_the_embedded_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("state.path={}", folder.path().display());
    let found = tributary(&["check", "--json", "--set", &path, "--set", "http.listen=127.0.0.1:0"]);
    assert_eq!(found.status.code(), Some(0), "{}", err(&found));
    let rows: serde_json::Value = serde_json::from_str(&out(&found)).unwrap();
    assert_eq!(rows.as_array().unwrap().iter().map(|row| row["ok"] == true).collect::<Vec<_>>(), [true; 6]);
}

#[test]
fn brokers_that_do_not_answer_are_a_failed_check() {
    let found = tributary(&["check", "--set", "kafka.brokers=127.0.0.1:1", "--timeout", "1", "--log-level", "error"]);
    assert_eq!(found.status.code(), Some(1));
    assert!(out(&found).contains("FAILED  brokers"), "{}", out(&found));
}

#[test]
fn a_history_is_written_the_same_twice_and_its_sheet_can_be_imported() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |name: &str| {
        let path = folder.path().join(name);
        let found =
            tributary(&["generate", "--out", path.to_str().unwrap(), "--people", "60", "--seed", "3", "--json", "--messy"]);
        assert!(found.status.success(), "{}", err(&found));
        let summary: serde_json::Value = serde_json::from_str(&out(&found)).unwrap();
        assert_eq!((&summary["records"], &summary["people"]), (&1_200.into(), &60.into()));
        path
    };
    let (first, second) = (generate("a"), generate("b"));
    for file in ["sdk.ndjson", "utm.ndjson", "webhook.ndjson", "offline.ndjson", "offline.csv", "truth.ndjson"] {
        let text = fs::read(first.join(file)).unwrap();
        assert!(!text.is_empty() && text == fs::read(second.join(file)).unwrap(), "{file}");
    }
    let import = tributary(&["import", first.join("offline.csv").to_str().unwrap(), "--dry-run", "--json"]);
    assert!(import.status.success(), "{}", err(&import));
    let report: serde_json::Value = serde_json::from_str(&out(&import)).unwrap();
    assert!(report["rows"].as_u64().unwrap() > 0 && report["problems"] == serde_json::json!([]), "{report}");
}

#[test]
fn sixteen_models_are_compared_with_what_channels_have_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let ok = |args: &[&str]| {
        let found = tributary(args);
        assert!(found.status.success(), "{args:?}: {}", err(&found));
        out(&found)
    };
    ok(&["generate", "--out", &path("history"), "--people", "3000", "--seed", "1", "--effects", "saturating"]);
    let offline = path("history/offline.ndjson");
    let (sets, until) = (path("sets"), "2030-01-01T00:00:00Z");
    let fitted = ok(&["fit", "--offline", &offline, "--until", until, "--out", &sets, "--resamples", "0", "--json"]);
    let fitted: Vec<serde_json::Value> = serde_json::from_str(&fitted).unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config/sixteen-models.toml");
    let mut configuration = fs::read_to_string(shipped).unwrap();
    for set in fitted.iter().filter(|set| !set["file"].is_null()) {
        let name = set["name"].as_str().unwrap();
        let model = name.trim_start_matches("closed_won-").rsplit_once('-').unwrap().0;
        let placed = format!("\"sets/{}.json\"", model.trim_end_matches('1'));
        assert!(configuration.contains(&placed), "{placed}");
        configuration = configuration.replace(&placed, &set["file"].to_string());
    }
    fs::write(path("sixteen.toml"), configuration).unwrap();
    ok(&["replay", "--config", &path("sixteen.toml"), "--offline", &offline, "--out", &path("results")]);
    let (truth, credits) = (path("history/effects.json"), path("results/credit-table.ndjson"));
    let asked = ["quality", "--models", "--truth", &truth, "--credits", &credits];
    let found: Vec<serde_json::Value> = serde_json::from_str(&ok(&[&asked[..], &["--json"]].concat())).unwrap();
    assert_eq!(found.len(), 16);
    for model in &found {
        let (distance, interval) = (model["distance"].as_f64().unwrap(), &model["interval"]);
        assert!((0.0..2.0).contains(&distance) && interval[0].as_f64().unwrap() <= interval[1].as_f64().unwrap(), "{model}");
        let shares = model["channels"].as_array().unwrap().iter().map(|channel| channel["share"].as_f64().unwrap());
        assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{model}");
    }
    // Direct visits do nothing, and come first as often as any.
    let place = |name: &str| found.iter().position(|model| model["model"] == name).unwrap();
    assert!(place("last_non_direct") < place("first_touch"), "{found:?}");
    assert!(ok(&asked).contains("(the truth)"));
}

#[test]
fn rows_that_cannot_be_used_are_listed_with_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    fs::write(&file, "timestamp,phone,colour\n2023-01-01 10:00,13800001111,red\nnever,13800001112,red\n").unwrap();
    let found = tributary(&["import", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(found.status.code(), Some(1));
    let text = out(&found);
    assert!(
        text.contains("timestamp_invalid") && text.contains("column colour") && text.contains("1 cannot be used"),
        "{text}"
    );
    assert!(!text.contains("13800001112"), "{text}");
}

#[test]
fn dead_letters_can_be_written_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.ndjson");
    fs::write(&file, "{\"phone\": \"13800001111\"}\n").unwrap();
    let state = format!("state.path={}", folder.path().join("state").display());
    let sets = ["--set", &state, "--set", "worker.formats.dead_letters=json", "--set", "http.listen=127.0.0.1:0"];
    let run = |args: &[&str]| {
        let found = tributary(&[args, &sets].concat());
        assert!(found.status.success(), "{}", err(&found));
        out(&found)
    };
    run(&["send", "--offline", file.to_str().unwrap()]);
    run(&["run", "--until-idle", "1"]);
    let line = run(&["tail", "dead-letters", "--from-beginning", "--until-end"]);
    let letter: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&letter["reason"], &letter["field"]), (&"timestamp_missing".into(), &"timestamp".into()), "{letter}");
}
