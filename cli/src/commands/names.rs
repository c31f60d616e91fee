//! `tributary names`: the names in settings, records and rows, with their synonyms.

use clap::Args;
use serde::Serialize;
use tributary_proto::vocabulary::{CHANNELS, MILESTONES, MODELS, ROLES, Term};

use crate::global::Global;
use crate::stdout::outln;
use crate::table;

const AFTER_HELP: &str = "\
Settings and --model accept any of these names of models; records and multipliers any of these names of roles. Case is ignored.

Example:
  tributary names
  tributary names --json | jq -r '.models[].name'";

/// The arguments of `names`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct NamesArgs {}

/// All terms.
#[derive(Debug, Serialize)]
struct Names {
    models: &'static [Term],
    milestones: &'static [Term],
    roles: &'static [Term],
    channels: &'static [Term],
}

const ALL: Names = Names { models: &MODELS, milestones: &MILESTONES, roles: &ROLES, channels: &CHANNELS };

impl Names {
    fn lists(&self) -> [(&'static str, &'static [Term]); 4] {
        [("Models", self.models), ("Milestones", self.milestones), ("Roles", self.roles), ("Channels", self.channels)]
    }
}

/// Runs `names`.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(_: &NamesArgs, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return Ok(table::print_json(&ALL)?);
    }
    for (title, terms) in ALL.lists() {
        outln!("{title}")?;
        let mut rows = table::table(&["name", "English", "Chinese", "also"]);
        for term in terms {
            rows.add_row([term.name, term.english, term.chinese, &term.also.join(", ")]);
        }
        table::print(&rows)?;
    }
    Ok(())
}

/// The tables of `docs/names.md`.
pub fn markdown() -> String {
    let mut text = String::new();
    for (title, terms) in ALL.lists() {
        text += &format!("## {title}\n\n| name | English | Chinese | also |\n|---|---|---|---|\n");
        for term in terms {
            text += &format!("| `{}` | {} | {} | {} |\n", term.name, term.english, term.chinese, term.also.join(", "));
        }
        text += "\n";
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_docs_have_the_tables_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/names.md");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with(&markdown()), "docs/names.md must end with:\n{}", markdown());
    }

    #[test]
    fn every_channel_of_the_built_in_rules_has_its_names() {
        let decoder = tributary_ingest::Decoder::new(&Default::default(), &Default::default()).unwrap();
        let listing = decoder.channels();
        let ruled: BTreeSet<&str> = listing.rules.iter().map(|rule| rule.channel.as_str()).collect();
        let named: BTreeSet<&str> = CHANNELS.iter().map(|term| term.name).filter(|name| *name != "unassigned").collect();
        assert_eq!(ruled, named);
    }
}
