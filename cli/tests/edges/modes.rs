//! What commands leave on the disk is their user's alone, whatever the umask was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::interrupted::is_unfinished;
use super::support::service::Service;
use super::support::{golden_folder, write_files};

/// Everything below a folder that another user may look into.
fn open_to_others(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.permissions().mode() & 0o077 != 0 {
            found.push(path.clone());
        }
        if metadata.is_dir() {
            open_to_others(&path, found);
        }
    }
}

fn with_umask_0(service: &Service, args: &[&str]) {
    let sets = service.sets.iter().flat_map(|set| ["--set", set]);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tributary")]).args(args).args(sets);
    let found = command.env_remove("TRIBUTARY_CONFIG").output().unwrap();
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.code().is_some_and(|code| code < 2) && !said.contains("error:"), "{args:?}: {said}");
}

#[test]
fn nothing_that_a_command_makes_is_open_to_others() {
    let given = tempfile::tempdir().unwrap();
    let records: Vec<_> = super::support::golden();
    let files = write_files(given.path(), &records);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let made = tempfile::tempdir().unwrap();
    let at = |name: &str| made.path().join(name).display().to_string();
    let service = Service::in_folder(made.path(), 1);
    let sheet = given.path().join("offline.csv");
    fs::copy(golden_folder().join("offline.csv"), &sheet).unwrap();
    let (results, history, backup, kept, metrics) = (at("results"), at("history"), at("backup"), at("demo"), at("audit.prom"));
    let exported = at("export");
    let replay = [&["replay"], &files[..], &["--out", &results]].concat();
    let commands: Vec<Vec<&str>> = vec![
        [&["send"], &files[..]].concat(),
        vec!["import", sheet.to_str().unwrap()],
        vec!["run", "--until-idle", "0.5"],
        vec!["erase", "email:nobody@b-corp.example", "--yes"],
        vec!["dead-letters", "accept", "offline/0"],
        vec!["dead-letters", "list"],
        vec!["state", "verify"],
        vec!["state", "backup", &backup],
        vec!["state", "restore", &backup, "--replace"],
        vec!["audit", "--metrics", &metrics],
        replay,
        vec!["export", "--out", &exported],
        vec!["generate", "--out", &history, "--people", "20", "--seed", "7"],
        vec!["demo", "--people", "20", "--keep", &kept],
        vec!["check"],
    ];
    for args in commands {
        with_umask_0(&service, &args);
        let mut open = Vec::new();
        open_to_others(made.path(), &mut open);
        // Counts alone, for a collector that is another user.
        open.retain(|path| *path != Path::new(&metrics));
        assert_eq!(open, Vec::<PathBuf>::new(), "{args:?}");
    }
    assert_eq!(fs::metadata(&metrics).unwrap().permissions().mode() & 0o777, 0o644);
    for made_by_somebody in [
        "state/log",
        "state/log.replaced",
        "backup/log",
        "results/profiles.ndjson",
        "demo/log",
        "history",
        "export/credits.parquet",
    ] {
        assert!(made.path().join(made_by_somebody).exists(), "{made_by_somebody}");
    }
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing_open() {
    let made = tempfile::tempdir().unwrap();
    let service = Service::in_folder(made.path(), 1);
    let file = made.path().join("bad.csv");
    fs::write(&file, "timestamp,timestamp\n2022-04-13,x\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    service.command(&["send", "--offline", file.to_str().unwrap()]);
    assert!(is_unfinished(made.path()));
    let mut open = Vec::new();
    open_to_others(made.path(), &mut open);
    assert_eq!(open, Vec::<PathBuf>::new());
}

#[test]
fn a_state_that_was_open_is_closed_when_it_is_opened() {
    let made = tempfile::tempdir().unwrap();
    let service = Service::in_folder(made.path(), 1);
    service.drain();
    for folder in ["state", "state/log"] {
        fs::set_permissions(made.path().join(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let check = service.command(&["check"]);
    assert!(String::from_utf8_lossy(&check.stdout).contains("open to other users"), "{check:?}");
    service.drain();
    for folder in ["state", "state/log"] {
        let mode = fs::metadata(made.path().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    assert!(!String::from_utf8_lossy(&service.command(&["check"]).stdout).contains("open to other users"));
}
