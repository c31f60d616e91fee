//! The commands, one file each.

pub mod audit;
pub mod check;
pub mod classify;
pub mod collect;
pub mod completions;
pub mod dead_letters;
pub mod demo;
pub mod erase;
pub mod explain;
pub mod export;
pub mod fit;
pub mod generate;
pub mod import;
pub mod man;
pub mod metrics;
pub mod names;
pub mod plan;
pub mod profile;
pub mod propose_window;
pub mod quality;
pub mod reclassify;
pub mod replay;
pub mod report;
pub mod run;
pub mod send;
pub mod state;
pub mod tail;
pub mod test_mapping;
pub mod topics;
pub mod unlink;

use clap::CommandFactory;

use crate::args::{Cli, Command};

/// Runs the given command.
///
/// # Errors
/// The error that stopped it.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { global, command } = cli;
    match command {
        Command::Run(args) => run::run(&args, &global),
        Command::Collect(args) => collect::run(&args, &global),
        Command::Demo(args) => demo::run(&args, &global),
        Command::Reclassify(args) => reclassify::run(&args, &global),
        Command::Report(args) => report::run(&args, &global),
        Command::Replay(args) => replay::run(&args, &global),
        Command::Quality(args) => quality::run(&args, &global),
        Command::Check(args) => check::run(&args, &global),
        Command::Plan(args) => plan::run(&args, &global),
        Command::Topics(args) => topics::run(&args, &global),
        Command::Fit(args) => fit::run(&args, &global),
        Command::Generate(args) => generate::run(&args, &global),
        Command::Send(args) => send::run(&args, &global),
        Command::Classify(args) => classify::run(&args, &global),
        Command::Import(args) => import::run(&args, &global),
        Command::Completions(args) => completions::run(&args, &global, Cli::command()),
        Command::Man(args) => man::run(&args, &global, Cli::command()),
        Command::Metrics(args) => metrics::run(&args, &global),
        Command::Names(args) => names::run(&args, &global),
        Command::Explain(args) => explain::run(&args, &global),
        Command::Profile(args) => profile::run(&args, &global),
        Command::ProposeWindow(args) => propose_window::run(&args, &global),
        Command::Export(args) => export::run(&args, &global),
        Command::Audit(args) => audit::run(&args, &global),
        Command::DeadLetters(args) => dead_letters::run(&args, &global),
        Command::State(args) => state::run(&args, &global),
        Command::Erase(args) => erase::run(&args, &global),
        Command::Unlink(args) => unlink::run(&args, &global),
        Command::Tail(args) => tail::run(&args, &global),
        Command::TestMapping(args) => test_mapping::run(&args, &global),
    }
}
