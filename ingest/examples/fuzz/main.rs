//! Feeds the decoders with broken variants of real payloads, and stops at the first that panics, takes too long, or gives an event that
//! breaks a limit.
//!
//! Stable Rust only, and every input follows from decoder, seed and number: a failure prints the command that repeats it.
//! `cargo run --release -p tributary-ingest --example fuzz -- --help` shows the options.

#![allow(clippy::disallowed_methods, reason = "a fuzzer measures time")]

mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde_json::json;

use mutate::Mutator;
use targets::{Target, targets};

const AFTER_HELP: &str = "\
Examples:
  cargo run --release -p tributary-ingest --example fuzz -- --executions 10000000
  cargo run --release -p tributary-ingest --example fuzz -- --seconds 60 --decoder hubspot";

/// Feeds the decoders with broken variants of real payloads.
#[derive(Debug, Parser)]
#[command(after_help = AFTER_HELP)]
struct Args {
    /// These decoders only
    #[arg(long, value_name = "NAME")]
    decoder: Vec<String>,
    /// Inputs for each decoder
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    executions: u64,
    /// Stop each decoder after this time, in seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// The seed that all inputs follow from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first input
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// The most time one input may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000)]
    input_ms: u64,
    /// Print the inputs
    #[arg(long)]
    show: bool,
    /// One JSON line for each decoder
    #[arg(long)]
    json: bool,
}

/// What became of a decoder's inputs.
struct Outcome {
    executions: u64,
    accepted: u64,
    events: u64,
    slowest_us: u128,
    elapsed: Duration,
    failure: Option<(u64, String)>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut failed = false;
    let known = targets();
    if let Some(name) = args.decoder.iter().find(|name| !known.iter().any(|target| target.name == name.as_str())) {
        let names: Vec<&str> = known.iter().map(|target| target.name).collect();
        eprintln!("error: no decoder `{name}`; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    for target in known.iter().filter(|target| args.decoder.is_empty() || args.decoder.iter().any(|name| name == target.name)) {
        let outcome = fuzz(target, &args);
        report(target, &outcome, &args);
        failed |= outcome.failure.is_some();
    }
    ExitCode::from(u8::from(failed))
}

/// The input under way, from 1; 0 between decoders.
static UNDER_WAY: AtomicU64 = AtomicU64::new(0);

fn fuzz(target: &Target, args: &Args) -> Outcome {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| run(target, args));
        // An input that never ends cannot be stopped from within.
        let (mut last, mut since) = (0, Instant::now());
        while !work.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
            let now = UNDER_WAY.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if now > 0 && since.elapsed() > Duration::from_millis(args.input_ms) {
                eprintln!(
                    "error: {}: an input takes more than {} ms; {}",
                    target.name,
                    args.input_ms,
                    again(target, args, now - 1)
                );
                std::process::exit(1);
            }
        }
        let outcome = work.join().unwrap_or_else(|_| Outcome {
            executions: 0,
            accepted: 0,
            events: 0,
            slowest_us: 0,
            elapsed: Duration::ZERO,
            failure: Some((args.from, "the fuzzer itself panicked".into())),
        });
        UNDER_WAY.store(0, Ordering::Relaxed);
        Outcome { elapsed: begin.elapsed(), ..outcome }
    })
}

fn run(target: &Target, args: &Args) -> Outcome {
    let mutator = Mutator::new(&target.corpus, target.words);
    let mut outcome = Outcome { executions: 0, accepted: 0, events: 0, slowest_us: 0, elapsed: Duration::ZERO, failure: None };
    let end = args.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut input = Vec::new();
    for number in args.from.. {
        let over = if args.seconds.is_some() { None } else { Some(outcome.executions >= args.executions) };
        let late = || end.is_some_and(|end| outcome.executions.is_multiple_of(256) && Instant::now() >= end);
        if over.unwrap_or_else(late) {
            break;
        }
        let mut random = ChaCha8Rng::seed_from_u64(args.seed.rotate_left(32) ^ number);
        mutator.make(&mut random, &mut input);
        if args.show {
            println!("{}", String::from_utf8_lossy(&input));
        }
        UNDER_WAY.store(number + 1, Ordering::Relaxed);
        let begin = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target.decode(&input)));
        outcome.slowest_us = outcome.slowest_us.max(begin.elapsed().as_micros());
        outcome.executions += 1;
        let result = result.unwrap_or_else(|_| Err("it panicked".into()));
        match result {
            Ok(events) => {
                outcome.accepted += u64::from(events > 0);
                outcome.events += events;
            }
            Err(problem) => {
                outcome.failure = Some((number, problem));
                break;
            }
        }
    }
    outcome
}

/// The command that repeats one input.
fn again(target: &Target, args: &Args, number: u64) -> String {
    format!("again: --decoder {} --seed {} --from {number} --executions 1 --show", target.name, args.seed)
}

fn report(target: &Target, outcome: &Outcome, args: &Args) {
    let Outcome { executions, accepted, events, slowest_us, elapsed, failure } = outcome;
    let again = failure.as_ref().map(|(number, problem)| format!("{problem}; {}", again(target, args, *number)));
    if args.json {
        println!(
            "{}",
            json!({
                "decoder": target.name, "seed": args.seed, "executions": executions, "accepted": accepted, "events": events,
                "slowest_us": u64::try_from(*slowest_us).unwrap_or(u64::MAX), "seconds": elapsed.as_secs(), "failure": again,
            })
        );
        return;
    }
    let per_second = u128::from(*executions) * 1_000 / elapsed.as_millis().max(1);
    println!(
        "{:<16} {executions:>10} inputs, {per_second:>7}/s, {accepted:>9} with events ({events}), slowest {slowest_us} us",
        target.name
    );
    if let Some(again) = again {
        println!("FAILED: {again}");
    }
}
