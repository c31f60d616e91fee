//! `tributary completions`: completion scripts for shells.

use clap::{Args, Command};
use clap_complete::{Shell, generate};
use serde_json::json;

use crate::global::Global;
use crate::{stdout, table};

const AFTER_HELP: &str = "\
Example, for the bash of one user:
  tributary completions bash > ~/.local/share/bash-completion/completions/tributary";

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs `completions`: those of `program`.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &CompletionsArgs, global: &Global, mut program: Command) -> anyhow::Result<()> {
    // Made completely first: the generator panics if its reader disconnects.
    let mut script = Vec::new();
    generate(args.shell, &mut program, "tributary", &mut script);
    if global.json {
        let script = String::from_utf8_lossy(&script);
        return Ok(table::print_json(&json!({"shell": args.shell.to_string(), "script": script}))?);
    }
    Ok(std::io::Write::write_all(&mut stdout::out(), &script)?)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, ValueEnum};

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            generate(*shell, &mut Cli::command(), "tributary", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
        }
    }
}
