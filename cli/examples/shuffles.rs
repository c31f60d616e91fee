//! Promise 1 at length: histories in many arrival orders and partition counts must all give one credit table, byte for byte.
//!
//! `cargo run --release -p tributary --example shuffles -- HISTORIES SHUFFLES [PEOPLE]`: each of the histories (every second one messy)
//! is replayed in that many orders, over 1, 2 and 4 partitions and in batches of 1 to 1,000 records in turn. Prints a line of JSON;
//! on the first difference it prints how to see it again, and fails.

#![allow(clippy::print_stdout, reason = "its result")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tributary_cli::generate::{History, Item, Spec};
use tributary_cli::progress::Progress;
use tributary_cli::raw_files::shuffle_records;
use tributary_pipeline::replay::Replay;
use tributary_pipeline::settings::Settings;
use tributary_runtime::log::BatchLimits;
use tributary_runtime::topic::Topic;

const PARTITIONS: [u32; 3] = [1, 2, 4];
const BATCHES: [usize; 4] = [1, 7, 60, 1_000];
/// After the end of every generated history: 2030-01-01.
const RECEIVED_MS: i64 = 1_893_456_000_000;
const EVENTS_PER_PERSON: u64 = 15;

fn main() -> anyhow::Result<()> {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (histories, shuffles, people) = match numbers.as_slice() {
        [histories, shuffles] => (*histories, *shuffles, 20),
        [histories, shuffles, people] => (*histories, *shuffles, *people),
        _ => anyhow::bail!("usage: shuffles HISTORIES SHUFFLES [PEOPLE]"),
    };
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let rows = AtomicU64::new(0);
    let progress = std::sync::Mutex::new(Progress::new("shuffles", Some(histories * shuffles)));
    let work = || -> anyhow::Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= histories {
                return Ok(());
            }
            rows.fetch_add(check(seed, shuffles, people, &progress)?, Ordering::Relaxed);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a thread has panicked"))?)
    })?;
    let (rows, seconds) = (rows.into_inner(), started.elapsed().as_secs());
    println!("{{\"histories\":{histories},\"shuffles\":{shuffles},\"rows\":{rows},\"differences\":0,\"seconds\":{seconds}}}");
    Ok(())
}

/// Replays one history in every order; returns the rows of its table.
fn check(seed: u64, shuffles: u64, people: u64, progress: &std::sync::Mutex<Progress>) -> anyhow::Result<u64> {
    let spec = Spec { people, seed, days: 365, events: people * EVENTS_PER_PERSON, messy: seed % 2 == 1, dimensions: false };
    let record = |item| if let Item::Record(record) = item { Some((record.topic, record.value)) } else { None };
    let mut records: Vec<_> = History::new(spec).filter_map(record).collect();
    let expected = table(&records, 1, usize::MAX)?;
    for shuffle in 0..shuffles {
        shuffle_records(&mut records, shuffle);
        let partitions = pick(&PARTITIONS, shuffle);
        let batch = pick(&BATCHES, shuffle / 3);
        if table(&records, partitions, batch)? != expected {
            anyhow::bail!("history {seed} differs after shuffle {shuffle}: {partitions} partitions, batches of {batch}");
        }
        if let Ok(mut progress) = progress.lock() {
            progress.add(1);
        }
    }
    Ok(expected.lines().count() as u64)
}

fn pick<T: Copy + Default>(from: &[T], turn: u64) -> T {
    from.iter().cycle().nth(usize::try_from(turn).unwrap_or(0) % from.len()).copied().unwrap_or_default()
}

/// The credit table and the profiles, as text.
fn table(records: &[(Topic, Vec<u8>)], partitions: u32, batch: usize) -> anyhow::Result<String> {
    let mut settings = Settings::default();
    settings.identity.free_mail.push("freemail.example".into());
    let limits = BatchLimits { records_max: batch, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let mut replay = Replay::with_limits(&settings, partitions, limits)
        .map_err(|problems| anyhow::anyhow!("the settings are refused: {problems:?}"))?;
    for (topic, record) in records {
        replay.append(*topic, RECEIVED_MS, record);
    }
    let results = replay.finish()?;
    anyhow::ensure!(results.table().imbalances().is_empty(), "credit does not add up");
    Ok(results.text()?)
}
