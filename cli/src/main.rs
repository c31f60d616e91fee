//! The `tributary` binary.

use std::process::ExitCode;

use clap::CommandFactory;
use tributary_cli::args::{Cli, wished_format};
use tributary_cli::{commands, logging, modes, outcome, resume};

/// There are many small, short-lived allocations, for which the system's allocator took a third of the time. It also replaces `malloc`
/// (feature `override`), so that memory freed by librdkafka can be used by RocksDB and by us.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    logging::begin(wished_format(&arguments));
    logging::report_panics();
    // Some shells and service managers set a soft limit of 1,024, and a higher hard limit.
    tributary_runtime::descriptors::raise();
    modes::keep_private();
    let exit_code = match Cli::of(arguments.clone()) {
        Ok(cli) => outcome::exit(commands::run(cli)),
        Err(error) => outcome::misused(&error, &arguments, &Cli::command()),
    };
    resume::exit_confirmed(exit_code);
    ExitCode::from(exit_code)
}
