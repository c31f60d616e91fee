//! Whoever reads the output may go away at any time, as `head` does: every command then ends quietly.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::commands::every_command;
use crate::support::service::Service;
use crate::support::{golden, write_files};

/// Every command that there is, with arguments that make it print something, and the exit code of a run that nobody reads. `DIR` is a
/// folder with a history, its replay and a backup; `NEW` one that does not exist yet.
const COMMANDS: [(&str, &str, i32); 43] = [
    ("audit", "", 0),
    ("check", "", 0),
    ("classify", "https://a.example/?utm_source=x", 0),
    ("collect", "", 2),
    ("completions", "bash", 0),
    ("dead-letters accept", "offline/0", 0),
    ("dead-letters list", "", 0),
    ("dead-letters list", "--json", 0),
    ("dead-letters show", "LETTER", 0),
    ("dead-letters retry", "--dry-run", 0),
    ("demo", "--people 5", 0),
    ("erase", "email:a@b.example", 0),
    ("explain", "closed_won:006X", 0),
    ("export", "--out NEW", 0),
    ("fit", "--paths DIR/paths.ndjson --resamples 0", 0),
    ("fit", "--topics --resamples 0 --until 2030-01-01T00:00:00Z", 0),
    ("generate", "--out NEW --people 5", 0),
    ("import", "DIR/sheet.csv --dry-run", 0),
    ("man", "", 0),
    ("metrics", "", 0),
    ("names", "", 0),
    ("plan accept", "", 0),
    ("plan show", "", 0),
    ("profile", "email:zhang@b-corp.example", 0),
    // The history has too little for it.
    ("propose-window", "", 1),
    ("quality", "--truth DIR/history/truth.ndjson --profiles DIR/replayed/profiles.ndjson", 0),
    ("reclassify", "", 0),
    ("report public-evidence", "", 0),
    ("replay", "--offline DIR/history/offline.ndjson --out NEW", 0),
    ("run", "--until-idle 0.1 --json", 0),
    ("send", "--offline DIR/history/offline.ndjson", 0),
    ("state info", "", 0),
    ("state verify", "", 0),
    ("state forget", "", 0),
    ("state accept-loss", "", 0),
    ("state backup", "NEW", 0),
    ("state restore", "DIR/backup --replace", 0),
    ("tail", "credits --from-beginning --until-end", 0),
    ("test-mapping", "DIR/pushes.ndjson", 0),
    // Without Kafka there are no topics: what they print goes through the same functions.
    ("topics create", "", 2),
    ("topics plan", "", 2),
    ("unlink", "email:a@b.example phone:13800001111", 0),
    ("tail", "dead-letters --from-beginning --until-end", 0),
];

/// A service with a past, and files for those commands that want some.
fn prepare(folder: &Path) -> Service {
    let service = Service::in_folder(folder, 2);
    let dir = folder.join("dir");
    fs::create_dir_all(&dir).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    let bad = path("bad.ndjson");
    fs::write(&bad, "not json\n{\"phone\": \"13800001111\"}\n").unwrap();
    fs::write(path("sheet.csv"), "timestamp,phone,colour\n2023-01-01 10:00,13800001111,red\n").unwrap();
    fs::write(path("paths.ndjson"), "{\"path\": [\"a\", \"b\"], \"converting\": 1, \"null\": 2}\n").unwrap();
    let push = r#"{"email": "a@b.example", "timestamp": "2024-05-01T10:00:00Z"}"#;
    fs::write(path("pushes.ndjson"), format!("{}\n", serde_json::json!({"provider": "native", "body": push}))).unwrap();
    service.ok(&["generate", "--out", &path("history"), "--people", "5"]);
    service.ok(&["replay", "--offline", &path("history/offline.ndjson"), "--out", &path("replayed")]);
    let files = write_files(&dir, &golden());
    service.ok(&[&["send"], &files.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat());
    service.ok(&["send", "--offline", &bad]);
    service.drain();
    service.ok(&["state", "backup", &path("backup")]);
    service
}

fn command(service: &Service, folder: &Path, name: &str, args: &str, number: usize, letter: &str) -> Command {
    let new = folder.join(format!("new-{number}")).display().to_string();
    let dir = folder.join("dir").display().to_string();
    let args = args.replace("NEW", &new).replace("DIR", &dir).replace("LETTER", letter);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.env_remove("TRIBUTARY_CONFIG").args(name.split(' ')).args(args.split_whitespace());
    command.args(service.sets.iter().flat_map(|set| ["--set", set]));
    command
}

/// What it prints is JSON, and nothing else.
fn speaks_json(mut command: Command) {
    let found = command.output().unwrap();
    let values = serde_json::Deserializer::from_slice(&found.stdout).into_iter::<serde_json::Value>();
    let values: Result<Vec<_>, _> = values.collect();
    let some = values.as_ref().is_ok_and(|values| !values.is_empty());
    assert!(found.status.success() && some, "{command:?}: {values:?} {}", String::from_utf8_lossy(&found.stderr));
}

/// The end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn every_command_ends_quietly_when_nobody_reads_it_and_speaks_json_when_somebody_does() {
    let tried: BTreeSet<String> = COMMANDS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(tried, every_command(), "a new command needs a line in COMMANDS");
    let folder = tempfile::tempdir().unwrap();
    let service = prepare(folder.path());
    let letters = service.ok(&["dead-letters", "list", "--json"]);
    let first: serde_json::Value = serde_json::from_str(letters.lines().next().unwrap()).unwrap();
    let letter = first["letter"].as_str().unwrap();
    for (at, (name, args, code)) in COMMANDS.into_iter().enumerate() {
        let mut unread_output = command(&service, folder.path(), name, args, 3 * at, letter);
        let found = unread_output.stdout(unread()).output().unwrap();
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(!said.contains("panicked") && !said.contains("os error 32"), "{name} {args}: {said}");
        assert_eq!(found.status.code(), Some(code), "{name} {args}: {said}");
        if code == 0 {
            assert!(!said.contains("error"), "{name} {args}: {said}");
        }
        // Nobody reads what it has to complain about, either.
        let mut unread_at_all = command(&service, folder.path(), name, args, 3 * at + 1, letter);
        let status = unread_at_all.stdout(unread()).stderr(unread()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{name} {args}, without standard error");
        if code == 0 {
            let args = if args.contains("--json") { args.to_owned() } else { format!("{args} --json") };
            speaks_json(command(&service, folder.path(), name, &args, 3 * at + 2, letter));
        }
    }
}

#[test]
fn help_ends_quietly_too() {
    for args in [&["--help"][..], &["--version"], &["dead-letters", "--help"], &["no-such-command"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        let status = command.args(args).stdout(unread()).stderr(unread()).status().unwrap();
        assert_eq!(status.code(), Some(if args == ["no-such-command"] { 2 } else { 0 }), "{args:?}");
    }
}

#[test]
fn the_exit_code_is_the_same_if_nobody_reads_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sheet.csv");
    fs::write(&file, "timestamp,phone\nnever,13800001112\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.env_remove("TRIBUTARY_CONFIG").args(["import", file.to_str().unwrap(), "--dry-run"]);
    assert_eq!(command.stdout(unread()).status().unwrap().code(), Some(1));
}
