//! Many seeds, on several threads.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::faults::Fault;
use crate::history::Features;
use crate::run::{Case, Report, run};
use crate::sums::Coverage;

/// A run of many seeds.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The features of their histories.
    pub features: Features,
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
    /// Whether to stop at the first failure.
    pub stop_at_first: bool,
}

/// The results of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// The seeds that failed, with the reason.
    pub failures: BTreeMap<u64, String>,
    /// How often each fault was injected.
    pub struck: BTreeMap<Fault, u64>,
    /// In how many seeds each was.
    pub in_seeds: BTreeMap<Fault, u64>,
    /// Touches dropped because of their age.
    pub dropped: u64,
    /// Raw records and other records from outside.
    pub records: u64,
    /// Distinct events.
    pub events: u64,
    /// Steps of workers.
    pub turns: u64,
    /// Counts of changes of credit rows.
    pub coverage: Coverage,
}

/// A campaign of at least this many seeds must have seen every change of a row that is possible.
pub const SEEDS_FOR_ALL: u64 = 1_000;

impl Tally {
    /// Changes that a campaign of this size should have seen and has not, and changes that it has seen though they are impossible. Empty
    /// for smaller campaigns.
    pub fn not_covered(&self) -> Vec<String> {
        if self.seeds < SEEDS_FOR_ALL || !self.failures.is_empty() { Vec::new() } else { self.coverage.faults() }
    }

    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.dropped += report.dropped;
        self.records += report.records as u64;
        self.events += report.events as u64;
        self.turns += report.turns;
        self.coverage.add(&report.coverage);
        for (fault, times) in report.struck {
            *self.struck.entry(fault).or_default() += times;
            *self.in_seeds.entry(fault).or_default() += 1;
        }
        if let Some(why) = report.failure {
            self.failures.insert(seed, why);
        }
    }
}

impl Campaign {
    /// Runs it; `tick` is called after every seed.
    pub fn run(&self, tick: impl Fn() + Sync) -> Tally {
        let next = AtomicU64::new(self.from);
        let stop = AtomicBool::new(false);
        let tally = Mutex::new(Tally::default());
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.from.saturating_add(self.seeds) || stop.load(Ordering::Relaxed) {
                    break;
                }
                let report = run(&Case::with(seed, self.features), false);
                if report.failure.is_some() && self.stop_at_first {
                    stop.store(true, Ordering::Relaxed);
                }
                tally.lock().unwrap_or_else(PoisonError::into_inner).add(seed, report);
                tick();
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(work);
            }
        });
        tally.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
