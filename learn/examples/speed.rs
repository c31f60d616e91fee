//! How long counting and fitting take: `cargo run --release -p tributary-learn --example speed -- [PATHS] [TOUCHES] [CHANNELS] [ORDER]`.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::error::Error;
use std::thread;
use std::time::Instant;

use tributary_learn::fit::{Options, fit};
use tributary_learn::parameters::{About, ModelKind};
use tributary_learn::paths::{ChannelId, Outcomes, Paths, TooManyLabels};

/// Invented paths: the lower a channel's number, the more frequent it is.
fn collect(seed: u64, count: u64, touches: u64, channels: u64) -> Result<Paths, TooManyLabels> {
    let mut paths = Paths::default();
    let ids = (0..channels).map(|channel| paths.label(&format!("channel {channel:02}"))).collect::<Result<Vec<_>, _>>()?;
    let mut state = seed;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut path: Vec<ChannelId> = Vec::new();
    for _ in 0..count {
        path.clear();
        for _ in 0..touches {
            let unit = draw() as f64 / (1u64 << 31) as f64;
            path.extend(ids.get((unit * unit * channels as f64) as usize));
        }
        let converts = u64::from(draw() % 20 == 0);
        paths.add(&path, Outcomes { converting: converts, null: 1 - converts });
    }
    Ok(paths)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let mut number = |default: u64| numbers.next().unwrap_or(Ok(default));
    let (count, touches, channels, order) = (number(10_000_000)?, number(5)?, number(30)?, number(1)?);
    let mut last = Instant::now();
    let mut told = |what: &str| {
        println!("{what}: {:.2} s", last.elapsed().as_secs_f64());
        last = Instant::now();
    };
    let halves: Vec<_> = thread::scope(|scope| {
        let running = [1, 2].map(|seed| scope.spawn(move || collect(seed, count / 2, touches, channels)));
        running.into_iter().filter_map(|half| half.join().ok()).collect()
    });
    told("invented and counted by two threads");
    let mut paths = Paths::default();
    for half in halves {
        paths.merge(&half?)?;
    }
    told("merged");
    let counted = paths.counted();
    told("sorted");
    println!("{} distinct paths", counted.len());
    let options = Options { models: ModelKind::all(u8::try_from(order)?).to_vec(), threads: 2, ..Options::default() };
    fit(&counted, &About::default(), &options, &|_| {})?;
    told("fitted, all models");
    // Linux says what the process has had at most.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        println!("at most {} of memory", peak.trim());
    }
    Ok(())
}
