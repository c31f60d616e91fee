//! SDKs of others, fetched by the project's script.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where they are.
pub struct Sdks(PathBuf);

/// Fetches them; `None` (with a line on standard error) if they cannot be fetched.
pub fn fetch() -> Option<Sdks> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/sdks");
    let fetched = Command::new(script).arg("fetch").stderr(Stdio::inherit()).output().unwrap();
    let required = std::env::var_os("TRIBUTARY_REQUIRE_SDKS").is_some_and(|value| value == "1");
    if fetched.status.code() == Some(3) && !required {
        // Not through the macros: the test harness would hold it back.
        let line = "\n==== SKIPPED: tests with SDKs: Python, Node or their registries cannot be had on this machine ====\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    assert!(fetched.status.success(), "the SDKs were not fetched: {}", fetched.status);
    Some(Sdks(String::from_utf8(fetched.stdout).unwrap().trim().into()))
}

impl Sdks {
    /// A program in Python.
    pub fn python(&self, program: &str) -> Command {
        let mut command = Command::new("python3");
        command.arg(path(program)).env("PYTHONPATH", self.0.join("python"));
        command
    }

    /// A program in Node.
    pub fn node(&self, program: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(path(program)).env("NODE_PATH", self.0.join("node_modules"));
        command
    }
}

fn path(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks").join(program)
}
