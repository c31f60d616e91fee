//! A service on the embedded log, run from the outside.

use std::path::Path;
use std::process::Output;

use super::command::{err, out, tributary};

pub struct Service {
    /// A configuration file.
    pub config: Option<String>,
    /// Settings over it.
    pub sets: Vec<String>,
}

impl Service {
    pub fn in_folder(folder: &Path, partitions: u32) -> Self {
        let state = format!("state.path={}", folder.join("state").display());
        let partitions = format!("topics.partitions={partitions}");
        Self { config: None, sets: vec![state, partitions, "http.listen=127.0.0.1:0".into()] }
    }

    pub fn command(&self, args: &[&str]) -> Output {
        let config = self.config.iter().flat_map(|file| ["--config", file]);
        let sets = self.sets.iter().flat_map(|set| ["--set", set]);
        tributary(&args.iter().copied().chain(config).chain(sets).collect::<Vec<_>>())
    }

    pub fn ok(&self, args: &[&str]) -> String {
        let found = self.command(args);
        assert!(found.status.success(), "{args:?}: {}", err(&found));
        out(&found)
    }

    /// Works until nothing is left to do.
    pub fn drain(&self) {
        self.ok(&["run", "--until-idle", "1"]);
    }
}
