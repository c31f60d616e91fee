//! Damaged, missing and older files: each is told or harmless, and never a silent loss or another value. Prints a table of what was done
//! to which kind of file, what was told, and what was lost.
//!
//! ```text
//! DAMAGE_TRIALS=2000 cargo test --release -p tributary-runtime --test damage -- --nocapture     (500 where it is not set)
//! DAMAGE_FIRST=117 DAMAGE_TRIALS=1 cargo test ...                                               one trial again
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod embedded;
mod inflict;
mod report;
mod store;

use std::path::Path;

use inflict::{Draw, inflict};
use report::Report;

/// What came of a trial.
enum Outcome {
    /// The damage was reported, in these words, and nothing was lost.
    Told(String),
    /// Nothing of what was written is missing.
    Harmless,
    /// It was thrown away, and all of it is in the changelog.
    Restored,
}

/// A folder that is damaged, and what is in it.
trait Victim {
    /// The folder to be copied and damaged in this trial, and one with older copies of its files.
    fn folders(&self, trial: u64) -> (&Path, &Path);
    /// Checks the damaged copy. Panics if something was lost or is wrong without a report.
    fn look(&self, trial: u64, copy: &Path, mend: &dyn Fn()) -> Outcome;
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn run(title: &str, victim: &dyn Victim) {
    let folder = tempfile::tempdir().unwrap();
    let (first, trials) = (number("DAMAGE_FIRST", 0), number("DAMAGE_TRIALS", 500));
    let mut report = Report::default();
    for trial in first..first + trials {
        let (whole, older) = victim.folders(trial);
        let copy = folder.path().join(format!("trial-{trial}"));
        inflict::copy(whole, &copy);
        let done = inflict(&mut Draw::new(title, trial), &copy, older);
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| victim.look(trial, &copy, &|| done.mend(&copy))));
        let outcome = seen.unwrap_or_else(|_| panic!("{title}: DAMAGE_FIRST={trial} DAMAGE_TRIALS=1: {done}"));
        report.add(&done, &outcome);
        std::fs::remove_dir_all(&copy).unwrap();
    }
    report.print(title);
    if trials >= 200 {
        report.check();
    }
}

#[test]
fn of_the_embedded_log() {
    let folder = tempfile::tempdir().unwrap();
    run("embedded log", &embedded::Logs::make(folder.path()));
}

#[test]
fn of_the_stores_on_kafka() {
    let folder = tempfile::tempdir().unwrap();
    run("stores on Kafka", &store::Stores::make(folder.path()));
}
