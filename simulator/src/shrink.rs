//! Shrinks a failing case: fewer faults and fewer records, as long as it fails.

use crate::faults::Fault;
use crate::run::{Case, run};

/// Most runs for shrinking.
const RUNS_MAX: usize = 600;

/// The smallest failing case that was found, and the number of its records. `tick` is called after every run.
pub fn shrink(case: &Case, records: usize, tick: impl Fn()) -> Case {
    let mut shrinking = Shrinking { best: case.clone(), runs: 0, tick };
    shrinking.faults();
    shrinking.records(records);
    shrinking.faults();
    shrinking.best
}

struct Shrinking<F> {
    best: Case,
    runs: usize,
    tick: F,
}

impl<F: Fn()> Shrinking<F> {
    /// Whether a smaller case fails, too; then it becomes the best one.
    fn fails(&mut self, case: Case) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let fails = run(&case, false).failure.is_some();
        (self.tick)();
        if fails {
            self.best = case;
        }
        fails
    }

    fn faults(&mut self) {
        let none = Case { faults_max: 0, ..self.best.clone() };
        if self.best.faults_max == 0 || self.fails(none) {
            return;
        }
        for fault in Fault::ALL {
            if !self.best.without.contains(fault) {
                let mut less = self.best.clone();
                less.without.insert(*fault);
                self.fails(less);
            }
        }
        let struck: u64 = run(&self.best, false).struck.values().sum();
        let (mut low, mut high) = (0, usize::try_from(struck).unwrap_or(usize::MAX).min(self.best.faults_max));
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if self.fails(Case { faults_max: middle, ..self.best.clone() }) {
                high = middle;
            } else {
                low = middle;
            }
        }
    }

    /// Drops halves, quarters, eighths, ... and finally single records.
    fn records(&mut self, records: usize) {
        let mut kept = self.best.keep.clone().unwrap_or_else(|| (0..records).collect());
        let mut size = kept.len().div_ceil(2);
        while size > 0 && !kept.is_empty() {
            let mut from = 0;
            while from < kept.len() {
                let less: Vec<usize> = kept
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| !(from..from + size).contains(at))
                    .map(|(_, keep)| *keep)
                    .collect();
                if self.fails(Case { keep: Some(less.clone()), ..self.best.clone() }) {
                    kept = less;
                } else {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }
}
