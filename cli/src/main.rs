//! The `tributary` binary.

use std::process::ExitCode;

use clap::Parser;
use tributary_cli::args::Cli;
use tributary_cli::{commands, outcome};

fn main() -> ExitCode {
    outcome::exit(commands::run(Cli::parse()))
}
