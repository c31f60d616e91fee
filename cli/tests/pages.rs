//! The pages are right: those that are generated are as the code is, every link leads somewhere, and commands work (`pages/`).
//! `TRIBUTARY_WRITE_PAGES=1` writes the pages anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "pages/commands.rs"]
mod commands;
#[path = "pages/run_by_ci.rs"]
mod run_by_ci;
mod support;

use std::fmt::Write;
use std::fs;

use clap::{Command, CommandFactory};
use regex::Regex;
use support::pages::{pages, root};
use tributary_cli::args::Cli;
use tributary_runtime::reason::{OF_INTERNAL_RECORDS, OF_RAW_RECORDS, Reason};
use tributary_runtime::topic::Topic;

/// Holds a page to what it should be.
fn hold(name: &str, expected: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("TRIBUTARY_WRITE_PAGES").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{name} is not as the code is: TRIBUTARY_WRITE_PAGES=1 cargo test -p tributary --test pages");
}

#[test]
fn the_page_of_commands_has_their_help() {
    let mut page =
        "# Commands\n\nMade from `tributary COMMAND --help`. Options of all commands stand under the first.\n".to_owned();
    let mut program = Cli::command().term_width(110).disable_help_subcommand(true).disable_version_flag(true);
    program.build();
    section(&program, "tributary", &mut page);
    hold("commands.md", &page);
}

fn section(command: &Command, name: &str, page: &mut String) {
    let help = command.clone().bin_name(name).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    writeln!(page, "\n## {name}\n\n```text\n{}\n```", help.join("\n").trim_end()).unwrap();
    for sub in command.get_subcommands() {
        section(sub, &format!("{name} {}", sub.get_name()), page);
    }
}

#[test]
fn the_page_of_reasons_has_them_all() {
    let mut page = "# Why records are refused\n\nThe reason of a dead letter, the label of `tributary_dead_letters_total`; and of a field that was left out, in \
                    `tributary_fields_ignored_total`. The codes do not change.\n"
        .to_owned();
    for (title, reasons) in [("Raw records", OF_RAW_RECORDS), ("Records between stages", OF_INTERNAL_RECORDS)] {
        write!(page, "\n## {title}\n\n| reason | what it means | what to do |\n|---|---|---|\n").unwrap();
        for reason in reasons {
            let [meaning, remedy] = [Reason::meaning(*reason), reason.remedy()].map(|text| text.replace('|', "\\|"));
            writeln!(page, "| `{reason}` | {meaning} | {remedy} |").unwrap();
        }
    }
    hold("reasons.md", &page);
}

/// A message or an enum of a `.proto` file: its name, its comment, and its fields or values with theirs.
struct Declared {
    name: String,
    about: String,
    /// Type (none for a value), name, number and comment.
    fields: Vec<[String; 4]>,
}

/// The messages and enums of a file.
fn declared(file: &str) -> Vec<Declared> {
    let text = fs::read_to_string(root().join("proto/tributary/v1").join(file)).unwrap();
    let field = Regex::new(r"^(?:optional )?((?:repeated )?(?:map<\w+, \w+>|[\w.]+) )?(\w+) = (\d+);$").unwrap();
    let (mut messages, mut comment): (Vec<Declared>, Vec<&str>) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("//") {
            comment.push(words.trim());
            continue;
        }
        let about = std::mem::take(&mut comment).join(" ");
        let begins = line.strip_prefix("message ").or(line.strip_prefix("enum "));
        if let Some(name) = begins.and_then(|rest| rest.split(' ').next()) {
            messages.push(Declared { name: name.to_owned(), about, fields: Vec::new() });
        } else if let (Some(found), Some(message)) = (field.captures(line), messages.last_mut()) {
            let kind = found.get(1).map_or("", |kind| kind.as_str().trim()).to_owned();
            message.fields.push([kind, found[2].to_owned(), found[3].to_owned(), about]);
        }
    }
    messages
}

/// A value of an enum as JSON has it: `late_touch` of `REASON_LATE_TOUCH`.
fn short(of: &str, value: &str) -> String {
    value.trim_start_matches(&format!("{}_", of.to_uppercase())).to_lowercase()
}

/// Sentences of a `.proto` file as a page has them: what is in backquotes there stays so.
fn as_cell(words: &str) -> String {
    words.replace('|', "\\|")
}

#[test]
fn the_page_of_rows_matches_the_proto_files() {
    let rows = declared("output.proto");
    let mut page = "# Rows of the output topics\n\nThe data dictionary: every field of every row, made from the comments of `proto/tributary/v1/output.proto`, which imports \
                    nothing. In JSON names and order are the same, enums are their short names in lower case, and integers are numbers. In Parquet \
                    (`tributary export`) they are the short names, too; times are timestamps and days are dates.\n"
        .to_owned();
    for message in &rows {
        assert!(!message.fields.is_empty() && !message.about.is_empty(), "{}", message.name);
        let is_enum = message.fields.iter().all(|[kind, ..]| kind.is_empty());
        let titles = if is_enum { "| value | in Protobuf | number | |" } else { "| field | type | number | |" };
        write!(page, "\n## {}\n\n{}\n\n{titles}\n|---|---|--:|---|\n", message.name, message.about).unwrap();
        for [kind, name, number, about] in &message.fields {
            match (is_enum, number.as_str()) {
                (true, "0") => {}
                (true, _) => {
                    writeln!(page, "| `{}` | `{name}` | {number} | {} |", short(&message.name, name), as_cell(about)).unwrap()
                }
                (false, _) => {
                    let kind = kind.replace('<', "&lt;");
                    writeln!(page, "| `{name}` | {kind} | {number} | {} |", as_cell(about)).unwrap()
                }
            }
        }
    }
    for topic in Topic::public() {
        assert!(
            rows.iter().any(|row| row.about.contains(&format!("`{}` topic", topic.name()))),
            "no row is said to be of {topic:?}"
        );
    }
    hold("rows.md", &page);
}

/// What a heading is called in links.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut checked = 0;
    for page in pages() {
        let text = prose(&fs::read_to_string(&page).unwrap());
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.starts_with("http") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target}", page.display());
            checked += 1;
            if heading.is_empty() || !path.is_file() {
                continue;
            }
            let text = prose(&fs::read_to_string(&path).unwrap());
            let mut headings =
                text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#')));
            assert!(headings.any(|known| known == heading), "{}: {target}", page.display());
        }
    }
    assert!(checked > 20, "{checked}");
}
