//! SIGHUP: the configuration is read again, what can change changes, and nothing ever dies of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::watched::{PATIENCE, Watched, free_address};

/// A service with a configuration file that can be changed.
struct Configured {
    running: Watched,
    file: PathBuf,
    collector: SocketAddr,
}

fn command(folder: &Path, text: &str) -> (Command, PathBuf) {
    let file = folder.join("tributary.toml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let state = format!("state.path={}", folder.join("state").display());
    command.env_remove("TRIBUTARY_CONFIG").arg("--config").arg(&file);
    command.args(["--set", &state, "--set", "http.listen=127.0.0.1:0", "--set", "collector.write_keys.web=a-write-key-0123"]);
    (command, file)
}

impl Configured {
    fn start(folder: &Path, text: &str) -> Self {
        let (mut command, file) = command(folder, text);
        let collector = free_address();
        command.args(["run", "--collect", "--set", &format!("collector.listen={collector}")]);
        let mut running = Watched::start(command);
        running.line(&["started"]);
        Self { running, file, collector }
    }

    /// Changes the file, and sends SIGHUP.
    fn change(&mut self, text: &str) {
        fs::write(&self.file, text).unwrap();
        self.running.signal("HUP");
    }

    /// Does something that has a line at `debug`: a request that is none.
    fn offend(&self) {
        let mut stream = TcpStream::connect(self.collector).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"this is no request\r\n\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

const OFFENDED: &str = "a connection has ended early";

#[test]
fn a_reload_applies_what_it_can_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Configured::start(folder.path(), "[log]\nlevel = \"info\"\n");
    service.change("[log]\nlevel = \"debug\"\n");
    service.running.line(&["SIGHUP: applied", "log.level"]);
    service.offend();
    service.running.line(&[OFFENDED]);

    service.change("[log]\nlevel = \"loud\"\n[topcis]\npartitions = 0\n");
    service.running.line(&["tributary.toml:2: log.level: expected one of"]);
    service.running.line(&["tributary.toml:4: topics.partitions: expected 1 to 10000"]);
    service.running.line(&["SIGHUP: the configuration cannot be used", "problems=3"]);
    service.offend();
    service.running.line(&[OFFENDED]);

    let changed = "[log]\nlevel = \"debug\"\nformat = \"json\"\n[worker]\nbatch_ms = 31\n[collector]\nrate = 7\n";
    service.change(changed);
    service.running.line(&["SIGHUP: applied", "collector.rate"]);
    service.running.line(&["takes effect at a restart", "log.format, worker.batch_ms"]);
    // What needs a restart is logged every time, what was applied only once.
    service.change(changed);
    service.running.line(&["takes effect at a restart", "log.format, worker.batch_ms"]);
    let applied = service.running.seen.iter().filter(|line| line.contains("applied") && line.contains("collector.rate"));
    assert_eq!(applied.count(), 1);
    service.change("[log]\nlevel = \"debug\"\n[collector]\nrate = 7\n");
    service.running.line(&["SIGHUP: the configuration is unchanged"]);

    service.change("[log]\nlevel = \"warn\"\n[collector]\nrate = 7\n");
    service.running.line(&["SIGHUP: applied", "log.level"]);
    service.offend();
    assert!(service.running.is_running());
    let (status, lines) = service.running.terminate();
    assert!(status.success(), "{lines:#?}");
    let quiet = lines.iter().rev().take_while(|line| !line.contains("SIGHUP"));
    assert_eq!(quiet.filter(|line| line.contains(OFFENDED) || line.contains("INFO")).count(), 0, "{lines:#?}");
}

#[test]
fn a_file_that_a_key_names_is_seen_to_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    fs::write(&rules, "[[rule]]\nchannel = 'ours'\nsource = ['partner']\n").unwrap();
    let text = format!("[ingest]\nchannels_file = \"{}\"\n", rules.display());
    let mut service = Configured::start(folder.path(), &text);
    fs::write(&rules, "[[rule]]\nchannel = 'theirs'\nsource = ['partner']\n").unwrap();
    service.running.signal("HUP");
    service.running.line(&["takes effect at a restart", "ingest.channels_file (the file)"]);
}

#[test]
fn a_collector_survives_a_hangup() {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, file) = command(folder.path(), "");
    command.args(["collect", "--set", "collector.listen=127.0.0.1:0", "--set", &format!("kafka.brokers={}", free_address())]);
    let mut running = Watched::start(command);
    running.line(&["started"]);
    fs::write(&file, "[collector]\nrate = 5\n").unwrap();
    running.signal("HUP");
    running.line(&["SIGHUP: applied", "collector.rate"]);
    assert!(running.is_running());
}

#[test]
fn a_stopped_partition_continues_once_the_limit_is_higher() {
    let folder = tempfile::tempdir().unwrap();
    let limit = |in_a_row| format!("[topics]\npartitions = 1\n[worker.dead_letters]\nin_a_row = {in_a_row}\n");
    let bad = folder.path().join("bad.ndjson");
    fs::write(&bad, "not json\n".repeat(60)).unwrap();
    let (mut send, _) = command(folder.path(), &limit(20));
    assert!(send.args(["send", "--offline", bad.to_str().unwrap()]).output().unwrap().status.success());
    let (mut run, file) = command(folder.path(), &limit(20));
    run.arg("run");
    let mut running = Watched::start(run);
    running.line(&["offline/0 is stopped"]);
    fs::write(&file, limit(1_000)).unwrap();
    running.signal("HUP");
    running.line(&["SIGHUP: applied", "worker.dead_letters.in_a_row"]);
    running.line(&["resumed: the limits of refusals were changed"]);
    running.line(&["refused: it is in the dead letters", "offset=0"]);
    let (status, lines) = running.terminate();
    assert!(status.success(), "{lines:#?}");
    let (mut list, _) = command(folder.path(), &limit(1_000));
    let found = list.args(["dead-letters", "list", "--json"]).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap().lines().count(), 60);
}
