//! Settings take hold in generations: on the embedded log, and with a rolling restart on real Kafka.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::command::{err, out};
use support::service::Service;
use support::{Running, finish, golden, history, pipeline, send, tailed_table, tributary};

/// Other settings than the defaults: the second model of the same name is another one.
const CHANGED: &str = "attribution.session_gap_minutes=45";

fn generations(service: &Service) -> Vec<(u64, bool)> {
    let shown: Value = serde_json::from_str(&service.ok(&["plan", "show", "--json"])).unwrap();
    let of = |row: &Value| (row["generation"].as_u64().unwrap(), row["newest"].as_bool().unwrap());
    shown.as_array().unwrap().iter().filter(|row| row["stage"] == "attributor").map(of).collect()
}

/// What `check` prints about the attributor's settings.
fn checked(service: &Service) -> Value {
    let told: Value = serde_json::from_str(&out(&service.command(&["check", "--json"]))).unwrap();
    let of = |row: &&Value| row["what"] == "settings" && row["stage"] == "attributor";
    told.as_array().unwrap().iter().find(of).unwrap().clone()
}

fn with(service: &Service, set: &str) -> Service {
    let mut sets = service.sets.clone();
    sets.push(set.to_owned());
    Service { config: None, sets }
}

#[test]
fn settings_that_were_left_are_refused_until_they_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let before = Service::in_folder(folder.path(), 2);
    let after = with(&before, CHANGED);
    send(&before.sets, &golden());
    before.drain();
    before.drain();
    assert_eq!(generations(&before), [(1, true)]);
    assert_eq!(checked(&before)["anew"], false);
    let told = checked(&after);
    assert_eq!((&told["holds"], &told["own"], &told["anew"]), (&1.into(), &2.into(), &true.into()), "{told}");
    assert!(told["units"].as_u64().unwrap() > 0 && told["milestones"].as_u64().unwrap() > 0, "{told}");
    let setting = serde_json::json!({"key": "attribution.session_gap_minutes", "from": "30", "to": "45"});
    assert_eq!((told["settings"].as_array().unwrap(), &told["ok"]), (&vec![setting], &true.into()));
    assert_eq!(told["models_changed"].as_array().unwrap().len(), 10);
    let table = after.ok(&["check"]);
    assert!(table.contains("generation 2 would replace 1") && table.contains("would hold"), "{table}");
    assert_eq!(generations(&before), [(1, true)], "it changes nothing");
    after.drain();
    assert_eq!(generations(&before), [(1, false), (2, true)]);

    assert_eq!(checked(&before)["ok"], false);
    let refused = before.command(&["run", "--until-idle", "1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    assert!(err(&refused).contains("generation 2") && err(&refused).contains("tributary plan accept"), "{}", err(&refused));

    let accepted = before.ok(&["plan", "accept"]);
    assert!(accepted.contains("attributor: these settings are generation 3"), "{accepted}");
    before.drain();
    assert_eq!(after.command(&["run", "--until-idle", "1"]).status.code(), Some(2));
}

#[test]
fn a_longer_window_than_what_is_kept_is_refused_where_anything_is() {
    let folder = tempfile::tempdir().unwrap();
    let short = with(&Service::in_folder(folder.path(), 1), "attribution.horizon_days=600");
    let (long, longest) = (with(&short, "attribution.horizon_days=700"), with(&short, "attribution.horizon_days=800"));
    short.drain();
    long.drain();
    send(&short.sets, &golden());
    long.drain();
    let refused = longest.command(&["run", "--until-idle", "1"]);
    assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
    for told in ["1340 days back", "goes back 1240", "horizon_days to 700 at most", "tributary replay"] {
        assert!(err(&refused).contains(told), "{told}: {}", err(&refused));
    }
    longest.ok(&["plan", "accept"]);
    longest.drain();
}

/// A field of the credit rows that hold.
fn held(service: &Service, field: &str) -> BTreeSet<String> {
    let lines = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    let mut rows: BTreeMap<[String; 3], Value> = BTreeMap::new();
    for line in lines.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let key = ["milestone_id", "model", "touch_id"].map(|field| row[field].as_str().unwrap_or_default().to_owned());
        let newer = rows.get(&key).is_none_or(|known| known["revision"].as_u64() < row["revision"].as_u64());
        if newer {
            rows.insert(key, row);
        }
    }
    let live = rows.into_values().filter(|row| row["weight_nano"].as_i64().unwrap() > 0);
    live.map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn changed_channel_rules_are_announced_and_applied_to_stored_touches() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    std::fs::write(&rules, "[[rule]]\nchannel = 'brand_search'\nsource = ['baidu']\n").unwrap();
    let before = Service::in_folder(folder.path(), 2);
    let next = folder.path().join("next.toml");
    std::fs::write(&next, format!("[ingest]\nchannels_file = '{}'\n", rules.display())).unwrap();
    let now = folder.path().join("now.toml");
    std::fs::write(&now, "").unwrap();
    let of = |config: &Path| Service { config: Some(config.display().to_string()), sets: before.sets.clone() };
    send(&before.sets, &golden());
    before.drain();
    let told = |in_force: &Path, next: &Path| {
        let told = of(next).ok(&["reclassify", "--json", "--in-force", in_force.to_str().unwrap()]);
        serde_json::from_str::<Value>(&told).unwrap()["moved"].take()
    };
    let moved = |from: &str, to: &str| serde_json::json!([{"from": from, "to": to, "touches": 1}]);
    assert_eq!(told(&now, &next), moved("paid_search", "brand_search"));
    let channels = held(&before, "channel");
    assert!(channels.contains("paid_search") && !channels.contains("brand_search"), "nothing has changed: {channels:?}");
    of(&next).drain();
    let channels = held(&before, "channel");
    assert!(!channels.contains("paid_search") && channels.contains("brand_search"), "{channels:?}");
    assert_eq!(told(&next, &now), moved("brand_search", "paid_search"), "and back");
    assert_eq!(told(&next, &next), serde_json::json!([]));
}

/// A process of a pipeline on Kafka, with a folder of its own.
fn start(sets: &[String], folder: &std::path::Path, name: &str, more: &[&str]) -> Running {
    let mut command = tributary(sets);
    command.args(["--set", &format!("state.path={}", folder.join(name).display()), "--set", &format!("kafka.instance={name}")]);
    for set in more {
        command.args(["--set", set]);
    }
    command.args(["--set", "admin.listen=127.0.0.1:0", "run"]);
    Running(command.stderr(Stdio::piped()).spawn().unwrap())
}

/// Waits for the end of a process: its exit code, and its output.
fn ended(mut running: Running) -> (Option<i32>, String) {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut running.0.stderr.take().unwrap(), &mut said).unwrap();
            return (status.code(), said);
        }
        assert!(Instant::now() < until, "it does not end");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn in_a_rolling_restart_old_instances_stop_and_nothing_is_reverted() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let sets = pipeline(&brokers, "rolling", folder.path(), &[]);
    send(&sets, &history(40, 5, false));
    finish(&sets);
    let service = Service { config: None, sets: sets.clone() };
    // Two that start together with the same settings are one generation, and the one there is.
    let old = ["a", "b"].map(|name| start(&sets, folder.path(), name, &[]));
    let new = start(&sets, folder.path(), "c", &[CHANGED]);
    for running in old {
        let (code, said) = ended(running);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("generation 2 are in force since then") && said.contains("tributary plan accept"), "{said}");
    }
    assert_eq!(generations(&service), [(1, false), (2, true)]);
    let (code, said) = ended(start(&sets, folder.path(), "a", &[]));
    assert_eq!(code, Some(2), "{said}");
    new.terminate();
    let mut changed = sets.clone();
    changed.push(CHANGED.to_owned());
    finish(&changed);
    assert_eq!(tailed_table(&sets).imbalances(), []);
    assert_eq!(held(&service, "model_version").len(), 10, "every row is of the new settings");
    let mut check: Command = tributary(&sets);
    check.args(["run", "--until-idle", "1"]);
    let refused = check.output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", out(&refused));
}
