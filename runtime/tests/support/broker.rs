//! An Apache Kafka of a test binary's own, started by the project's script. Also part of the tests of the `tributary` binary.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A running broker, or several. They go when this process goes.
pub struct Broker {
    /// The bootstrap address.
    pub address: String,
    folder: PathBuf,
    brokers: u32,
}

impl Broker {
    /// Starts a broker, in a folder that `name` distinguishes from others of this process; `None` (with a line on standard error) if there
    /// can be none.
    pub fn start(name: &str) -> Option<Self> {
        Self::start_many(name, 1)
    }

    /// The same with so many brokers: 1 or 3.
    pub fn start_many(name: &str, brokers: u32) -> Option<Self> {
        Self::start_in(folder(name), brokers, &[])
    }

    /// The same, with a second listener for a proxy on this port of loopback.
    pub fn start_proxied(name: &str, proxy: u16) -> Option<Self> {
        Self::start_in(folder(name), 1, &["--proxy".to_owned(), proxy.to_string()])
    }

    /// The same in this folder, and with further arguments of the script.
    pub fn start_in(folder: PathBuf, brokers: u32, further: &[String]) -> Option<Self> {
        let started = script("start", &folder, brokers, further);
        let required = std::env::var_os("TRIBUTARY_REQUIRE_KAFKA").is_some_and(|value| value == "1");
        if started.status.code() == Some(3) && !required {
            // Not through the macros: the test harness would hold it back.
            let line = "\n==== SKIPPED: tests on real Kafka: Java or Maven Central cannot be reached from this machine ====\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        Some(Self { address: address(&started), folder, brokers })
    }

    /// Where the listener is that the proxy forwards to.
    pub fn behind(&self) -> String {
        std::fs::read_to_string(self.folder.join("behind")).unwrap().trim().to_owned()
    }

    /// Sends a signal, such as `STOP`, to the one with this number, from 1. Returns its process id.
    pub fn signal(&self, number: u32, signal: &str) -> String {
        let pid = std::fs::read_to_string(self.folder.join(format!("{number}/pid"))).unwrap();
        super::signal::send(pid.trim().parse().unwrap(), signal);
        pid.trim().to_owned()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&self, number: u32) {
        let pid = self.signal(number, "KILL");
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.is_empty() || status.contains("State:\tZ")
        };
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Stops them in order, with all they have written on disk.
    pub fn stop(&self) {
        assert!(script("stop", &self.folder, self.brokers, &[]).status.success());
    }

    /// Starts what was killed or stopped again, where it was and with all it had written.
    pub fn start_again(&self) {
        let again = address(&script("start", &self.folder, self.brokers, &[]));
        assert_eq!(again, self.address);
    }
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tributary-kafka-{}{name}", std::process::id()))
}

fn script(command: &str, folder: &Path, brokers: u32, further: &[String]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/kafka/broker");
    let pid = std::process::id().to_string();
    Command::new(script)
        .args([command, "--port", "0", "--owner", &pid, "--brokers", &brokers.to_string(), "--dir"])
        .arg(folder)
        .args(further)
        .stderr(Stdio::inherit())
        .output()
        .expect("bash runs the broker's script")
}

fn address(started: &Output) -> String {
    assert!(started.status.success(), "the broker did not start: {}", started.status);
    String::from_utf8(started.stdout.clone()).unwrap().trim().to_owned()
}
