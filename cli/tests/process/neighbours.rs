//! `check` beside a running service; and the listener that an orchestrator may ask.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::watched::{Watched, free_addresses, get};

struct Place {
    sets: Vec<String>,
    http: SocketAddr,
    probes: SocketAddr,
    collector: SocketAddr,
}

impl Place {
    fn in_folder(folder: &Path) -> Self {
        let [http, probes, collector] = free_addresses();
        let sets = vec![
            format!("state.path={}", folder.join("state").display()),
            format!("http.listen={http}"),
            format!("http.probes={probes}"),
            format!("collector.listen={collector}"),
            "collector.write_keys.web=a-write-key-0123".to_owned(),
        ];
        Self { sets, http, probes, collector }
    }

    /// A command here, with further settings over these.
    fn command(&self, args: &[&str], over: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let sets = self.sets.iter().map(String::as_str).chain(over.iter().copied());
        command.env_remove("TRIBUTARY_CONFIG").args(args).args(sets.flat_map(|set| ["--set", set]));
        command
    }

    fn run(&self, over: &[&str]) -> Watched {
        let mut running = Watched::start(self.command(&["run", "--collect"], over));
        running.line(&["started"]);
        running
    }

    /// The findings of `check`: whether each is all right, and the text.
    fn check(&self) -> (i32, Vec<(String, bool, String)>) {
        let found = self.command(&["check", "--json"], &[]).output().unwrap();
        let rows: Vec<Value> = serde_json::from_slice(&found.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let row = |row: &Value| (text(&row["what"]), row["ok"] == true, text(&row["detail"]));
        (found.status.code().unwrap(), rows.iter().map(row).collect())
    }
}

fn of<'a>(rows: &'a [(String, bool, String)], what: &str) -> (bool, &'a str) {
    rows.iter().find(|(name, ..)| name == what).map(|(_, ok, detail)| (*ok, detail.as_str())).unwrap()
}

#[test]
fn the_running_service_itself_is_no_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::in_folder(folder.path());
    let (code, rows) = place.check();
    assert_eq!(code, 0, "{rows:#?}");
    assert!(of(&rows, "metrics").1.ends_with("is free"), "{rows:#?}");
    let running = place.run(&[]);
    let (code, rows) = place.check();
    assert_eq!(code, 0, "{rows:#?}");
    for what in ["log", "metrics", "probes", "collector"] {
        assert!(of(&rows, what).1.contains("in use by this service"), "{what}: {rows:#?}");
    }
    assert!(running.terminate().0.success());
}

#[test]
fn a_service_of_another_configuration_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::in_folder(folder.path());
    let other = format!("state.path={}", folder.path().join("other").display());
    let _running = place.run(&[&other]);
    let (code, rows) = place.check();
    assert_eq!(code, 1);
    for what in ["metrics", "probes", "collector"] {
        let (ok, detail) = of(&rows, what);
        assert!(!ok && detail.contains("another configuration"), "{what}: {rows:#?}");
    }
    assert!(of(&rows, "log").0, "{rows:#?}");
}

#[test]
fn a_port_of_another_program_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::in_folder(folder.path());
    // One that never answers, and one that answers something else.
    let _silent = TcpListener::bind(place.http).unwrap();
    let speaking = TcpListener::bind(place.collector).unwrap();
    std::thread::spawn(move || {
        for stream in speaking.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let (code, rows) = place.check();
    assert_eq!(code, 1);
    let (ok, detail) = of(&rows, "metrics");
    assert!(!ok && detail.ends_with("set http.listen"), "{rows:#?}");
    let (ok, detail) = of(&rows, "collector");
    assert!(!ok && detail.ends_with("set collector.listen"), "{rows:#?}");
    assert!(of(&rows, "probes").0);
}

#[test]
fn a_state_in_use_or_of_another_kind_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::in_folder(folder.path());
    let elsewhere: Vec<String> =
        ["http.listen", "http.probes", "collector.listen"].map(|key| format!("{key}=127.0.0.1:0")).into();
    let running = place.run(&elsewhere.iter().map(String::as_str).collect::<Vec<_>>());
    let (code, rows) = place.check();
    assert!(code == 1 && of(&rows, "log").1.contains("in use by another process"), "{rows:#?}");
    assert!(running.terminate().0.success());
    let (code, rows) = place.check();
    assert!(code == 0 && of(&rows, "log").0, "{rows:#?}");

    let mut wider = Place::in_folder(folder.path());
    wider.sets.push("topics.partitions=9".to_owned());
    let (code, rows) = wider.check();
    assert!(code == 1 && of(&rows, "log").1.contains("has 4 partitions, not 9"), "{rows:#?}");
}

#[test]
fn the_probe_port_serves_health_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::in_folder(folder.path());
    let mut running = place.run(&[]);
    assert_eq!(get(place.probes, "/livez").0, 200);
    let ready = |address| get(address, "/readyz");
    let until = std::time::Instant::now() + super::watched::PATIENCE;
    while ready(place.probes).0 != 200 {
        assert!(running.is_running() && std::time::Instant::now() < until);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(ready(place.http), ready(place.probes));
    assert_eq!(ready(place.collector).0, 200);
    assert_eq!(get(place.probes, "/metrics").0, 404);
    assert_eq!(get(place.collector, "/metrics").0, 404);
    assert!(get(place.http, "/metrics").1.contains("tributary_"));
}
