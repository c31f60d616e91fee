//! `tributary man`: manual pages, one per command.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;
use serde_json::json;

use crate::global::Global;
use crate::{stdout, table};

const AFTER_HELP: &str = "\
Example:
  tributary man | man -l -
  tributary man --out /usr/local/share/man/man1";

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder; default: print the first one
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Runs `man`: the manual of `program`.
///
/// # Errors
/// When the pages cannot be written.
pub fn run(args: &ManArgs, global: &Global, program: Command) -> anyhow::Result<()> {
    let pages = pages(program)?;
    let shown = || pages.iter().map(|(name, page)| json!({"page": name, "text": String::from_utf8_lossy(page)}));
    if global.json && args.out.is_none() {
        return Ok(table::print_json(&shown().collect::<Vec<_>>())?);
    }
    let Some(folder) = &args.out else {
        let first = pages.first().map(|(_, page)| page.as_slice()).unwrap_or_default();
        return Ok(stdout::out().write_all(first)?);
    };
    let failed = || format!("the pages cannot be written to {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    pages.iter().try_for_each(|(name, page)| fs::write(folder.join(name), page)).with_context(failed)?;
    if global.json {
        table::print_json(&json!({"pages": pages.len()}))?;
    }
    Ok(())
}

/// The pages with the names of their files; that of the program first.
fn pages(program: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    let mut left = vec![program];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        let man = Man::new(command);
        let mut page = Vec::new();
        man.render(&mut page)?;
        pages.push((man.get_filename(), page));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_command_has_a_page_with_what_it_does() {
        let pages = pages(Cli::command()).unwrap();
        assert_eq!(pages[0].0, "tributary.1");
        let page = |name: &str| {
            pages.iter().find(|(found, _)| found == name).map(|(_, page)| String::from_utf8(page.clone()).unwrap())
        };
        for command in Cli::command().get_subcommands() {
            let page = page(&format!("tributary-{}.1", command.get_name())).unwrap();
            assert!(page.contains(".SH NAME") && page.contains("Example"), "{}", command.get_name());
        }
        assert!(page("tributary-dead-letters-list.1").is_some());
    }
}
