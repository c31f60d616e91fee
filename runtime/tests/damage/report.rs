//! The table: kind of file x damage x what was told.

use std::collections::BTreeMap;

use super::Outcome;
use super::inflict::Done;

#[derive(Default)]
struct Counts {
    trials: usize,
    harmless: usize,
    restored: usize,
    told: BTreeMap<String, usize>,
}

/// What came of all trials.
#[derive(Default)]
pub struct Report(BTreeMap<(&'static str, &'static str), Counts>);

impl Report {
    pub fn add(&mut self, done: &Done, outcome: &Outcome) {
        let counts = self.0.entry((done.kind, done.what)).or_default();
        counts.trials += 1;
        match outcome {
            Outcome::Told(words) => *counts.told.entry(words.clone()).or_default() += 1,
            Outcome::Harmless => counts.harmless += 1,
            Outcome::Restored => counts.restored += 1,
        }
    }

    /// What was lost is not counted: a loss fails the test.
    pub fn print(&self, title: &str) {
        println!(
            "{title}: {} trials, nothing lost without being told",
            self.0.values().map(|counts| counts.trials).sum::<usize>()
        );
        println!("{:<16} {:<19} {:>6} {:>8} {:>8}  told", "file", "damage", "trials", "harmless", "restored");
        for ((kind, what), counts) in &self.0 {
            let told: Vec<_> = counts.told.iter().map(|(words, times)| format!("{times} {words}")).collect();
            let Counts { trials, harmless, restored, .. } = counts;
            println!("{kind:<16} {what:<19} {trials:>6} {harmless:>8} {restored:>8}  {}", told.join(", "));
        }
    }

    /// Whether the trials can have found anything: all kinds of outcome are among them, for the files that matter.
    pub fn check(&self) {
        let sum = |of: &dyn Fn(&Counts) -> usize| self.0.values().map(of).sum::<usize>();
        let noticed = sum(&|counts| counts.restored + counts.told.values().sum::<usize>());
        assert!(noticed > 40, "too little was noticed: {noticed}");
        assert!(sum(&|counts| counts.harmless) > 20, "nothing was harmless");
        assert!(self.0.len() > 30, "too few pairs of file and damage: {}", self.0.len());
    }
}
