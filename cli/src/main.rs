//! The `tributary` binary.

use std::process::ExitCode;

use tributary_cli::args::Cli;
use tributary_cli::{commands, outcome};

/// Messages are many small allocations that live for a moment; the system's allocator took a third of the time. It stands in for `malloc`
/// too (feature `override`): what librdkafka frees after a transaction RocksDB and we can use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    outcome::exit(commands::run(Cli::of_process()))
}
