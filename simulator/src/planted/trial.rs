//! A copy of the sources with one planted bug, built and simulated.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use super::{Bug, PlantError};
use crate::run::{Case, run};

/// The build profile, fast and incremental: see Cargo.toml.
const PROFILE: &str = "planted";

/// How planted bugs are tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The root of the sources. They are not changed: bugs are planted in a copy, in the folder `planted` of the target folder.
    pub sources: PathBuf,
    /// The first seed.
    pub from: u64,
    /// How many seeds are run at most per bug.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
}

/// How a bug was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// The seed that found it.
    pub seed: u64,
    /// The difference that it showed.
    pub why: String,
}

/// Why it is unknown whether a bug is found.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// It cannot be planted.
    #[error(transparent)]
    Plant(#[from] PlantError),
    /// The sources cannot be copied.
    #[error("copying {}: {source}", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A command cannot be run.
    #[error("running {}: {source}", program.display())]
    Start {
        /// The command.
        program: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The sources with the bug do not compile.
    #[error(
        "{}/{name}.patch fits the sources, and they do not compile with it: mend it, so that it is wrong and compiles\n\n{output}",
        super::FOLDER
    )]
    Build {
        /// The patch's name.
        name: String,
        /// The output of the compiler.
        output: String,
    },
    /// The output of the simulator with the bug is not a result.
    #[error("with {}/{name}.patch the simulator ended with {status} and said {output:?}", super::FOLDER)]
    Said {
        /// The patch's name.
        name: String,
        /// Its exit status.
        status: std::process::ExitStatus,
        /// Its output.
        output: String,
    },
}

/// The fields that are read of the simulator's `--json` output.
#[derive(Deserialize)]
struct Tally {
    failures: Vec<Finding>,
}

impl Trial {
    /// The first seed that finds the bug; `None` if none does. A seed that already fails without the bug is skipped.
    ///
    /// # Errors
    /// The bug cannot be planted, built or run.
    pub fn find(&self, bug: &Bug) -> Result<Option<Finding>, TrialError> {
        let wrong = bug.plant(&self.sources)?;
        let home = self.sources.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into())).join("planted");
        let (copy, built) = (home.join("sources"), home.join("target"));
        same(&self.sources, &copy, &|file| {
            wrong.iter().find(|(of, _)| self.sources.join(of) == file).map(|(_, text)| text.as_str())
        })?;
        self.build(bug, &copy, &built)?;
        let found = self.simulate(bug, &built.join(PROFILE).join("simulate"))?;
        Ok(found.into_iter().find(|finding| run(&Case::of(finding.seed), false).failure.is_none()))
    }

    fn build(&self, bug: &Bug, copy: &Path, built: &Path) -> Result<(), TrialError> {
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let mut build = Command::new(&cargo);
        build.current_dir(copy).args([
            "build",
            "--quiet",
            "--locked",
            "--bin",
            "simulate",
            "--package",
            env!("CARGO_PKG_NAME"),
        ]);
        build.args(["--profile", PROFILE, "--target-dir"]).arg(built);
        let output = output(&cargo, &mut build)?;
        if output.status.success() {
            return Ok(());
        }
        Err(TrialError::Build { name: bug.name.clone(), output: String::from_utf8_lossy(&output.stderr).into_owned() })
    }

    fn simulate(&self, bug: &Bug, program: &Path) -> Result<Vec<Finding>, TrialError> {
        let mut simulate = Command::new(program);
        simulate.args(["--stop-at-first", "--json", "--seeds", &self.seeds.to_string()]);
        simulate.args(["--from", &self.from.to_string(), "--jobs", &self.jobs.to_string()]);
        let Output { status, stdout, .. } = output(program, &mut simulate)?;
        let said = |_| {
            let (name, output) = (bug.name.clone(), String::from_utf8_lossy(&stdout).into_owned());
            TrialError::Said { name, status, output }
        };
        serde_json::from_slice(&stdout).map(|Tally { failures }| failures).map_err(said)
    }
}

fn output(program: &Path, command: &mut Command) -> Result<Output, TrialError> {
    command.output().map_err(|source| TrialError::Start { program: program.to_owned(), source })
}

/// Makes a folder equal to another one, except for files for which `instead` has a text. Unchanged files are not written, so that the
/// compiler does not build them again. Build results and hidden files are left out.
fn same<'t>(from: &Path, to: &Path, instead: &impl Fn(&Path) -> Option<&'t str>) -> Result<(), TrialError> {
    let of = |path: &Path| {
        let path = path.to_owned();
        move |source| TrialError::Copy { path, source }
    };
    fs::create_dir_all(to).map_err(of(to))?;
    let mut kept = Vec::new();
    for entry in fs::read_dir(from).map_err(of(from))? {
        let path = entry.map_err(of(from))?.path();
        let Some(name) = path.file_name().filter(|name| !is_left_out(name)) else { continue };
        kept.push(name.to_owned());
        let copy = to.join(name);
        if path.is_dir() {
            same(&path, &copy, instead)?;
            continue;
        }
        let bytes = match instead(&path) {
            Some(text) => text.as_bytes().to_vec(),
            None => fs::read(&path).map_err(of(&path))?,
        };
        if fs::read(&copy).ok().as_ref() != Some(&bytes) {
            fs::write(&copy, bytes).map_err(of(&copy))?;
        }
    }
    for entry in fs::read_dir(to).map_err(of(to))? {
        let path = entry.map_err(of(to))?.path();
        if path.file_name().is_some_and(|name| kept.iter().any(|kept| kept == name)) {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.map_err(of(&path))?;
    }
    Ok(())
}

fn is_left_out(name: &OsStr) -> bool {
    name == "target" || name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_becomes_the_same_but_for_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for name in ["src", "target", ".git", "old"] {
            fs::create_dir_all(from.join(name)).unwrap();
            fs::write(from.join(name).join("a.rs"), name).unwrap();
        }
        let planted = from.join("src/a.rs");
        same(&from, &to, &|file| (file == planted).then_some("wrong")).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/a.rs")).unwrap(), "wrong");
        assert_eq!(fs::read_to_string(to.join("old/a.rs")).unwrap(), "old");
        assert!(!to.join("target").exists() && !to.join(".git").exists());

        fs::remove_dir_all(from.join("old")).unwrap();
        let before = fs::metadata(to.join("src")).unwrap().modified().unwrap();
        same(&from, &to, &|_| None).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/a.rs")).unwrap(), "src");
        assert!(!to.join("old").exists());
        assert_eq!(
            fs::metadata(to.join("src")).unwrap().modified().unwrap(),
            before,
            "a folder of the same files is as old as it was"
        );
    }
}
