//! The `tributary` binary.

use std::process::ExitCode;

use clap::CommandFactory;
use tributary_cli::args::{Cli, wished_format};
use tributary_cli::{commands, logging, modes, outcome, resume};

/// Messages are many small allocations that live for a moment; the system's allocator took a third of the time. It stands in for `malloc`
/// too (feature `override`): what librdkafka frees after a transaction RocksDB and we can use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    logging::begin(wished_format(&arguments));
    logging::report_panics();
    // Some shells and service managers allow 1,024, and more to who asks.
    tributary_runtime::descriptors::raise();
    modes::keep_private();
    let exit_code = match Cli::of(arguments.clone()) {
        Ok(cli) => outcome::exit(commands::run(cli)),
        Err(error) => outcome::misused(&error, &arguments, &Cli::command()),
    };
    resume::exit_confirmed(exit_code);
    ExitCode::from(exit_code)
}
