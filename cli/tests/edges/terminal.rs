//! What strangers have written, shown to people: a terminal obeys none of it, a spreadsheet computes none of it.

use std::fs;
use std::process::Output;

use super::support::service::Service;

/// Whether anything is in an output that a terminal would obey.
fn obeyed(found: &Output) -> bool {
    let text = [&found.stdout[..], &found.stderr[..]].concat();
    String::from_utf8_lossy(&text).chars().any(|mark| (mark.is_control() && mark != '\n' && mark != '\t') || mark == '\u{202e}')
}

#[test]
fn no_output_moves_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\u{8}";
    let json = serde_json::json!({
        "timestamp": "2024-05-01T10:00:00Z", "user_id": "u", "source": evil, "campaign": evil, "traits": {"name": evil},
    });
    let milestone = serde_json::json!({
        "kind": "milestone", "milestone": "closed_won", "object_id": "1", "user_id": "u", "timestamp": "2024-06-01T10:00:00Z",
    });
    let file = folder.path().join(format!("{evil}.ndjson").replace('/', ""));
    fs::write(&file, format!("{json}\n{milestone}\n{evil}\n{{\"email\":\"{evil}\"}}\n")).unwrap();
    let name = file.to_str().unwrap();
    let sheet = folder.path().join("list.csv");
    fs::write(&sheet, format!("timestamp,user_id,{evil}\nnever,{evil},{evil}\n")).unwrap();
    let visible: [&[&str]; 16] = [
        &["send", "--offline", name],
        &["import", name],
        &["import", sheet.to_str().unwrap()],
        &["run", "--until-idle", "1"],
        &["dead-letters", "list"],
        &["dead-letters", "list", "--json"],
        &["dead-letters", "show", "0:0"],
        &["explain", "closed_won:1"],
        &["explain", "closed_won:1", "--json"],
        &["explain", evil],
        &["profile", "user_id:u"],
        &["profile", evil],
        &["classify", evil],
        &["replay", "--offline", "/nowhere/\u{1b}[2J", "--out", "/tmp"],
        &["tail", evil],
        &[evil],
    ];
    for args in visible {
        let found = service.command(args);
        assert!(
            !obeyed(&found),
            "{args:?}: {}",
            String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).escape_debug()
        );
    }
    let config = folder.path().join("t.toml");
    fs::write(&config, format!("[kafka]\n\"{}\" = 1\n[topics]\nnames = {{ \"\\u001b[2J\" = \"x\" }}\n", "\\u001b[2J")).unwrap();
    let found = service.command(&["check", "--config", config.to_str().unwrap()]);
    assert!(found.status.code() == Some(2) && !obeyed(&found), "{found:?}");
}

#[test]
fn the_sheet_that_is_written_has_no_formulas_and_is_read_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let out = folder.path().join("history");
    service.ok(&["generate", "--out", out.to_str().unwrap(), "--people", "200", "--seed", "7"]);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(out.join("offline.csv")).unwrap();
    let mut cells = 0;
    for row in reader.records() {
        for cell in &row.unwrap() {
            cells += 1;
            assert_eq!(tributary_cli::cell::inert(cell), cell, "a formula, or a mark that the pipeline would not understand");
            assert!(!cell.starts_with('\''), "{cell}");
        }
    }
    assert!(cells > 100, "{cells}");
    let report = service.command(&["import", out.join("offline.csv").to_str().unwrap(), "--json"]);
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
}
