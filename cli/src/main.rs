//! The `tributary` binary.

use std::process::ExitCode;

use clap::Parser;
use tributary_cli::args::Cli;
use tributary_cli::{commands, outcome};

/// Messages are many small allocations that live for a moment; the system's allocator took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    outcome::exit(commands::run(Cli::parse()))
}
