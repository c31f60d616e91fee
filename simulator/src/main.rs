//! see lib
use tributary_simulator::run::{Case, run};
fn main() {
    let from: u64 = std::env::args().nth(1).and_then(|t| t.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::args().nth(2).and_then(|t| t.parse().ok()).unwrap_or(100);
    let trace = std::env::args().nth(3).is_some();
    let begun = std::time::Instant::now();
    let mut struck = std::collections::BTreeMap::new();
    let (mut failed, mut turns) = (0, 0);
    for seed in from..from + count {
        let report = run(&Case::of(seed), trace);
        for line in report.trace { println!("{line}"); }
        turns += report.turns;
        for (f, n) in report.struck { *struck.entry(f.name()).or_insert(0) += n; }
        if let Some(why) = report.failure { failed += 1; let w: String = why.chars().take(700).collect(); println!("seed {seed}: {w}"); }
    }
    println!("{failed} failed of {count}, {turns} turns, {:?} {struck:?}", begun.elapsed());
}
