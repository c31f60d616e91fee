//! All commands that there are, as the arguments are defined.

use std::collections::BTreeSet;

use clap::CommandFactory;
use tributary_cli::args::Cli;

use crate::support::command::{out, tributary};

/// The names of all commands, as `--help` has them.
fn names(command: &clap::Command, before: &str, found: &mut BTreeSet<String>) {
    let below: Vec<_> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        found.insert(before.to_owned());
    }
    for command in below {
        names(command, format!("{before} {}", command.get_name()).trim(), found);
    }
}

pub fn every_command() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    names(&Cli::command(), "", &mut found);
    found
}

#[test]
fn every_command_and_every_part_of_one_has_help_with_an_example() {
    for name in every_command() {
        let help = tributary(&name.split(' ').chain(["--help"]).collect::<Vec<_>>());
        let text = out(&help);
        assert!(
            help.status.success() && text.contains("Example") && text.contains(&format!("tributary {name}")),
            "{name}: {text}"
        );
    }
}
