//! Tributary's command line, as a library: the building blocks of the commands, and the seeded histories for tests.
//!
//! A command is a file in [`commands`] with its arguments and a `run`. It writes its result to [standard output](stdout) (a table for
//! people, JSON for programs) and everything else to [standard error](logging). It returns errors to [`main`](mod@outcome), which turns
//! them into exit codes.
//!
//! ```
//! use tributary_cli::args::{Cli, Command};
//!
//! let line = ["tributary", "dead-letters", "list", "--set", "kafka.brokers=kafka:9092"];
//! let cli = Cli::of(line.map(Into::into).to_vec())?;
//! assert!(matches!(cli.command, Command::DeadLetters(_)));
//! # Ok::<(), clap::Error>(())
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod answers;
pub mod args;
pub mod ask;
pub mod audit;
pub mod backlog;
pub mod cell;
pub mod commands;
pub mod dead_letters;
pub mod descriptors;
pub mod engine;
pub mod fit;
pub mod forget;
pub mod generate;
pub mod generations;
pub mod global;
pub mod import;
pub mod lines;
pub mod logging;
pub mod manager;
pub mod modes;
pub mod outcome;
pub mod progress;
pub mod quality;
pub mod raw_files;
pub mod registry;
pub mod reload;
pub mod requests;
pub mod results;
pub mod resume;
pub mod rows;
pub mod serving;
pub mod shares;
pub mod signals;
pub mod sink;
pub mod source;
pub mod state;
pub mod statement;
pub mod stdout;
pub mod table;
pub mod traces;
pub mod visible;
pub mod whole;
