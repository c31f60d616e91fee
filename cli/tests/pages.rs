//! The pages say what is so: those that are made from the code are as the code is, every link leads somewhere, and every command line that a
//! page shows can be read. `TRIBUTARY_WRITE_PAGES=1` writes the pages anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use regex::Regex;
use tributary_cli::args::Cli;
use tributary_runtime::reason::{OF_INTERNAL_RECORDS, OF_RAW_RECORDS, Reason};
use tributary_runtime::topic::Topic;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All pages.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let at_root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    found.extend(at_root.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    found.sort();
    found
}

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

/// A message or an enum of a `.proto` file: its name, what is said of it, and its fields or values with theirs.
struct Declared {
    name: String,
    about: String,
    /// Type (none of a value), name, number and what is said of it.
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
fn the_page_of_rows_is_what_the_proto_files_say() {
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

/// The words of a line of a shell, without what comes behind a pipe, a redirection or a comment. `None` where something is substituted.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None | Some('"'), '$' | '`') => return None,
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, '#') if !begun => break,
            (None, _) if c.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    Some(words)
}

#[test]
fn every_command_line_that_a_page_shows_can_be_read() {
    let mut read = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```").skip(1).step_by(2) {
            let Some(block) = block.strip_prefix("sh\n") else { continue };
            for line in block.replace("\\\n", " ").lines() {
                let Some(words) = words(line.trim()).filter(|words| words.first().is_some_and(|word| word == "tributary"))
                else {
                    continue;
                };
                if let Err(error) = Cli::of(words.iter().map(Into::into).collect()) {
                    panic!("{}: {line}\n{error}", page.display());
                }
                read.insert(words);
            }
        }
    }
    assert!(read.len() > 20, "{}", read.len());
}

/// The blocks of a page, without their fences.
fn blocks(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    text.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap().1.to_owned()).collect()
}

#[test]
fn the_explanation_in_the_page_is_what_is_printed() {
    let blocks = blocks("docs/outputs.md");
    let at = blocks.iter().position(|block| block.contains(" --explain ")).unwrap();
    let (folder, command) = blocks[at].trim().split_once('\n').unwrap();
    let (folder, arguments) = (folder.strip_prefix("cd ").unwrap(), command.strip_prefix("tributary ").unwrap());
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_tributary"));
    program.args(arguments.split(' ')).current_dir(root().join(folder)).env_remove("TRIBUTARY_CONFIG");
    let printed = String::from_utf8(program.output().unwrap().stdout).unwrap();
    let mut lines = printed.lines();
    for shown in blocks[at + 1].lines().filter(|line| *line != "...") {
        assert!(lines.any(|line| line == shown), "not printed, or not there: {shown}");
    }
}
